"""What a search was asked for; a folder is one search, and resuming must ask for the same one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from apps.errors import UserError, nearest

ALGORITHMS = ("hyperband", "bayesian", "random", "grid")
STRATEGIES = ("mirrored", "multiworker")
CONSTRAINTS = ("latency_ms", "parameters", "size_mb")
_IDENTITY = {
    "application": "application",
    "algorithm": "algorithm",
    "objective": "objective",
    "budget": "budget",
    "fixed": "fixed values",
    "space": "space",
    "ranges": "ranges of the application",
    "columns": "columns",
    "seed": "seed",
    "fingerprint": "data",
}


@dataclass(frozen=True)
class SearchSettings:
    """What a search was asked for.

    Attributes:
        application: a name of the catalogue.
        data, validation: sources of the trials; where `validation` is None, a part of `data`.
        columns: the application's column names to the source's.
        algorithm: `hyperband`, `bayesian`, `random` or `grid`.
        trials: how many at most, those over the budget not counted; None for as many as the
            algorithm or the minutes give.
        minutes: wall-clock time of the whole search, finals included; None without limit.
        trial_minutes: wall-clock limit of one trial.
        objective: the metric that decides.
        maximise: whether a larger one is better.
        budget: upper bounds of `latency_ms`, `parameters` and `size_mb`.
        fixed: hyperparameters that are given, not searched.
        space: hyperparameters whose range is given: `low:high`, `low:high:log` or `a,b,c`.
        ranges: what is searched, as the application had it when the search began.
        seed: of the oracle and of the trials; the finals take the numbers after it.
        finalists: how many of the best are retrained; the default configuration comes on top.
        seeds: how many times each of them is retrained.
        strategy: of `tf.distribute`, for each trial.
        test: a source that the winner is measured on, once.
        fingerprint: of the rows searched on.
        test_overlap: how many test rows are also among those searched on.
    """

    application: str
    data: str
    objective: str
    maximise: bool
    validation: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
    algorithm: str = "hyperband"
    trials: int | None = None
    minutes: float | None = None
    trial_minutes: float = 60.0
    budget: dict[str, float] = field(default_factory=dict)
    fixed: dict[str, Any] = field(default_factory=dict)
    space: dict[str, str] = field(default_factory=dict)
    ranges: dict[str, str] = field(default_factory=dict)
    seed: int = 0
    finalists: int = 3
    seeds: int = 3
    strategy: str | None = None
    test: str | None = None
    fingerprint: str = ""
    test_overlap: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; TypeError where something is missing or unknown."""
        return cls(**values)

    def require_same(self, other: SearchSettings, where: str) -> None:
        """Raise UserError unless another search is this one, budgets of time and trials aside.

        Args:
            other: what is asked for now.
            where: the folder of this search.
        """
        for key, called in _IDENTITY.items():
            began, asked = getattr(self, key), getattr(other, key)
            if began != asked:
                raise UserError(
                    f"{where}: the search began with {_difference(called, began, asked)}; "
                    "resume with the same, or name another folder with --run"
                )


def read_budget(values: Mapping[str, Any]) -> dict[str, float]:
    """Upper bounds by name.

    Raises:
        UserError: an unknown name, or a bound that is no positive number.
    """
    bounds = {}
    for key, value in values.items():
        if key not in CONSTRAINTS:
            raise UserError(f"--budget {key}: unknown{nearest(key, CONSTRAINTS)}")
        try:
            bounds[key] = float(value)
        except (TypeError, ValueError):
            bounds[key] = 0.0
        if not 0 < bounds[key] < float("inf"):
            raise UserError(f"--budget {key}={value}: give a positive number")
    return bounds


def _difference(called: str, began: Any, asked: Any) -> str:
    if called == "data":
        return "other data"
    if isinstance(began, dict):
        keys = sorted(began.keys() | asked.keys())
        key = next(key for key in keys if began.get(key) != asked.get(key))
        return f"other {called}: {key} was {_said(began.get(key))}, is {_said(asked.get(key))}"
    return f"{called} {_said(began)}, not {_said(asked)}"


def _said(value: Any) -> str:
    return "not given" if value is None else str(value)
