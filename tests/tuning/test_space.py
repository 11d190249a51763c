"""The search space is the Config's, and every point of it a Config."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from points import drawn

from apps.configuration import ApplicationConfig, fixed, searched
from apps.errors import UserError
from tuning.space import Space


@dataclass(frozen=True)
class Config(ApplicationConfig):
    depth: int = searched(1, low=1, high=4, span=(1, 3))
    units: int | tuple[int, ...] = searched(8, low=1, high=64, log=True, per="depth", span=(4, 16))
    between: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.5), when=("depth", 2))
    fast: bool = searched(True, choices=(False, True))
    mode: str = fixed("mean", choices=("mean", "max"))


def test_every_searched_hyperparameter_and_no_other_is_a_dimension() -> None:
    described = Space(Config).described()
    assert described == {
        "depth": "1:3",
        "units": "4:16:log",
        "between": "0:0.5",
        "fast": "False,True",
        "learning_rate": "0.0003:0.01:log",
        "batch_size": "16:128:log",
    }


def test_points_stay_in_range_and_show_only_what_is_active() -> None:
    space = Space(Config)
    seen = set()
    for seed in range(60):
        shown = space.shown(drawn(space, seed))
        depth, units = shown["depth"], shown["units"]
        widths = [units] if isinstance(units, int) else units
        assert len(widths) == depth
        assert all(4 <= width <= 16 for width in widths)
        assert ("between" in shown) == (depth > 1)
        assert 3e-4 <= shown["learning_rate"] <= 1e-2
        assert isinstance(shown["fast"], bool)
        Config.from_values({**space.settings(drawn(space, seed)), **shown})
        seen.add(depth)
    assert seen == {1, 2, 3}


def test_a_point_is_a_complete_config_with_what_was_given() -> None:
    space = Space(Config, fixed={"mode": "max", "fast": "no", "depth": 2}, ranges={"units": "5,9"})
    settings = space.settings(drawn(space, 3))
    assert set(settings) == set(Config().to_dict())
    assert (settings["mode"], settings["fast"], settings["depth"]) == ("max", False, 2)
    assert set(settings["units"]) <= {5, 9}
    shown = space.shown(drawn(space, 3))
    assert shown["mode"] == "max"
    assert "between" in shown
    assert "epochs" not in shown


def test_the_default_is_the_configs_own_or_the_nearest_inside() -> None:
    assert Space(Config).settings(Space(Config).hyperparameters().values) == Config().to_dict()
    narrowed = Space(Config, ranges={"units": "10:12", "learning_rate": "1e-4:5e-4:log"})
    settings = narrowed.settings(narrowed.hyperparameters().values)
    assert (settings["units"], settings["learning_rate"]) == (10, 5e-4)


def test_a_range_may_be_a_list_of_values() -> None:
    assert Space(Config, ranges={"depth": [1, 3]}).described()["depth"] == "1,3"
    assert (
        Space(Config, ranges={"depth": "1,2", "units": "4,5"}).grid_points()
        == 2 * 2**2 * 4 * 2 * 4 * 4
    )


def test_a_grid_holds_ends_middle_and_default_of_a_range() -> None:
    space = Space(Config, ranges={"units": "4:16:log"})
    values = {
        tuple(one.values) for one in space.hyperparameters(grid=True).space if "units" in one.name
    }
    assert values == {(4, 8, 16)}


@pytest.mark.parametrize(
    ("given", "ranges", "words"),
    [
        ({"unit": 3}, {}, "unknown setting 'unit'; did you mean 'units'"),
        ({}, {"unit": "1:2"}, "unknown setting 'unit'; did you mean 'units'"),
        ({"units": 99}, {}, "units=99: must be at most 64"),
        ({"units": "3,4"}, {}, "gives several values while depth is searched"),
        ({"fast": "no"}, {"fast": "yes,no"}, "with --fix and with --space"),
        ({"objective": "f1"}, {}, "use --objective"),
        ({}, {"units": "9:3"}, "the low end must lie below"),
        ({}, {"units": "3:3"}, "the low end must lie below"),
        ({}, {"units": "0:9"}, "must be at least 1"),
        ({}, {"units": "a:9"}, "give a whole number"),
        ({}, {"units": "3:9:lin"}, "write low:high"),
        ({}, {"units": "3"}, "one value is no range; use --fix units=3"),
        ({}, {"between": "0:0.5:log"}, "begins above 0"),
        ({}, {"fast": "0:1"}, "give its values as a,b,c"),
        ({}, {"mode": "mean,min"}, "choose one of mean, max"),
        ({}, {"epochs": "1:5"}, "the same in all trials; use --fix epochs"),
        ({k: v for k, v in Config.defaults().items() if Config.ranges()[k].searched}, {}, "train"),
        (
            {
                k: v
                for k, v in Config.defaults().items()
                if Config.ranges()[k].searched and k != "between"
            },
            {},
            "use train",
        ),
    ],
)
def test_what_is_no_space_is_refused_in_one_line(
    given: dict[str, Any], ranges: dict[str, str], words: str
) -> None:
    with pytest.raises(UserError, match=words) as caught:
        Space(Config, given, ranges)
    assert "\n" not in str(caught.value)
