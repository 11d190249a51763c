"""Hyperparameters from texts and values."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from apps.configuration import ApplicationConfig, changed, fixed, searched
from apps.errors import UserError, nearest


@dataclass(frozen=True)
class Config(ApplicationConfig):
    depth: int = searched(2, low=1, high=4)
    rate: float = searched(0.5, low=0.1, high=0.9, log=True)
    units: int | tuple[int, ...] = searched(8, low=1, high=64, log=True, per="depth", span=(4, 16))
    fast: bool = searched(True, choices=(False, True))
    mode: str = fixed("mean", choices=("mean", "max"))
    file: str | None = fixed(None)


@pytest.mark.parametrize(
    ("key", "given", "read"),
    [
        ("depth", "3", 3),
        ("depth", 3.0, 3),
        ("rate", "1e-1", 0.1),
        ("rate", 0.9, 0.9),
        ("fast", "no", False),
        ("fast", "TRUE", True),
        ("fast", False, False),
        ("mode", "max", "max"),
        ("file", "none", None),
        ("file", "a.vec", "a.vec"),
        ("units", "9", 9),
        ("units", 9, 9),
        ("units", "16,32", (16, 32)),
        ("units", "[16, 32]", (16, 32)),
        ("units", [16, 32.0], (16, 32)),
        ("units", (16,), 16),
    ],
)
def test_values_are_read_as_the_type_of_the_field(key: str, given: Any, read: Any) -> None:
    value = getattr(Config.from_values({key: given}), key)
    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize(
    ("key", "given", "words"),
    [
        ("depth", "2.5", "whole number"),
        ("depth", "", "whole number"),
        ("depth", True, "whole number"),
        ("depth", None, "whole number"),
        ("depth", "inf", "whole number"),
        ("depth", 5, "at most 4"),
        ("rate", "nan", "finite"),
        ("rate", 0.05, "at least 0.1"),
        ("fast", "maybe", "true or false"),
        ("mode", "min", "mean, max"),
        ("deph", 1, "did you mean 'depth'"),
        ("zzz", 1, "known: .*depth"),
        ("units", "16,", "whole number"),
        ("units", "16,x", "units=x: give a whole number"),
        ("units", [16, 65], "units=65: must be at most 64"),
        ("units", [16, 32, 8], "units=16,32,8: gives 3 values, but depth is 2"),
    ],
)
def test_what_cannot_be_is_refused(key: str, given: Any, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Config.from_values({key: given})
    assert "\n" not in str(caught.value)


def test_ranges_hold_in_python_too() -> None:
    with pytest.raises(UserError, match="depth=9"):
        replace(Config(), depth=9)


def test_only_searched_fields_are_marked() -> None:
    searched_names = {name for name, span in Config.ranges().items() if span.searched}
    expected = {"depth", "rate", "units", "fast", "learning_rate", "batch_size"}
    assert searched_names == expected
    assert Config.ranges()["units"].per == "depth"


def test_a_changed_default_keeps_its_range_and_may_change_a_part_of_it() -> None:
    @dataclass(frozen=True)
    class Deep(Config):
        depth: int = changed(3)
        units: int | tuple[int, ...] = changed(32, span=(8, 48))

    @dataclass(frozen=True)
    class Deeper(Deep):
        depth: int = changed(4)

    assert (Deep().depth, Deeper().depth, Deeper().units) == (3, 4, 32)
    assert Deeper.ranges() | {"units": None} == Config.ranges() | {"units": None}
    assert Deeper.ranges()["units"] == replace(Config.ranges()["units"], span=(8, 48))
    with pytest.raises(UserError, match="at most 4"):
        Deeper(depth=5)


def test_dictionary_restores_the_config() -> None:
    config = Config(depth=4, units=(4, 5, 6, 7), file="a.vec")
    assert json.loads(json.dumps(config.to_dict())) == config.to_dict()
    assert Config.from_values(config.to_dict()) == config


def test_error_messages_are_one_line() -> None:
    assert str(UserError("a\n b\tc")) == "a b c"
    assert nearest("sentimant", ["sentiment"]) == "; did you mean 'sentiment'?"
    assert nearest("x", ["b", "a"]) == "; known: a, b"
