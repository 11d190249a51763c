"""Few rows get as many steps as it takes to learn from them, counted in updates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from toy import Toy, rows

from apps import catalogue
from apps.data import Examples
from apps.errors import UserError
from apps.training.plan import Plan
from apps.training.session import Session


class Sized(Toy):
    """Drops nothing where rows are few."""

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        return {"dropout": 0.0} if len(units) < 50 else {}


def session(
    run: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int = 32,
    said: list[str] | None = None,
    *,
    resume: bool = False,
    **settings: Any,
) -> Session:
    """A training on 7/8 of so many rows, 14 to a batch."""
    monkeypatch.setitem(catalogue.APPLICATIONS, "toy", catalogue.Entry("test_schedule:Sized", ""))
    examples = rows(number, seed=0)
    pairs = zip(examples["text"], examples["label"], strict=True)
    data = [{"text": text, "label": label} for text, label in pairs]
    given = {"batch_size": 14, "validation_fraction": 0.125, "learning_rate": 0.01, **settings}
    log = (said if said is not None else []).append
    return Session(Plan("toy", data, settings=given), run=run, resume=resume, log=log)


def test_few_rows_are_passed_until_there_are_enough_updates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    position = session(tmp_path / "run", monkeypatch, said=said, updates=61).fit()
    # Of two steps each, instead of the default of 12 epochs.
    assert (position.epoch, position.total, position.stopped) == (31, 62, "epochs")
    assert said[0] == "chosen for 28 training rows: epochs=31, patience=8, dropout=0.0"


def test_many_rows_are_passed_as_often_as_the_config_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    training = session(tmp_path / "run", monkeypatch, 160, said, updates=30)
    assert training.fit().total == 12 * 10
    assert not any(line.startswith("chosen") for line in said)


def test_what_the_user_sets_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    given: dict[str, Any] = {"epochs": 3, "patience": 2, "dropout": 0.1}
    training = session(tmp_path / "run", monkeypatch, said=said, **given)
    assert training.fit().total == 2 * 3
    assert not any(line.startswith("chosen") for line in said)
    config = training.application.config
    assert {key: getattr(config, key) for key in given} == given
    assert training.application.task.config is training.application.input.config is config


def test_a_run_goes_on_with_what_was_chosen_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = session(tmp_path / "run", monkeypatch, updates=61)
    begun.fit(2)
    about = json.loads((tmp_path / "run" / "config.json").read_text())
    assert about["chosen"] == {"dropout": 0.0, "epochs": 31, "patience": 8}
    assert about["config"].items() >= about["chosen"].items()
    going_on = session(tmp_path / "run", monkeypatch, resume=True, updates=61)
    assert going_on.application.config == begun.application.config
    assert going_on.fit().total == 62
    with pytest.raises(UserError, match="was started with epochs=31, not 12"):
        session(tmp_path / "run", monkeypatch, resume=True, updates=61, epochs=12)
