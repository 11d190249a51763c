"""What a search was asked for; a folder is one search, and resuming must ask for the same one."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from apps.errors import UserError, nearest
from apps.report.quantities import Metric
from tuning.arguments import CONSTRAINTS, Asked

_IDENTITY = {
    "application": "application",
    "algorithm": "algorithm",
    "objective": "objective",
    "budget": "budget",
    "fix": "fixed values",
    "space": "space",
    "ranges": "ranges of the application",
    "columns": "columns",
    "since": "since",
    "until": "until",
    "labels": "labels",
    "folds": "folds",
    "seed": "seed",
    "fingerprint": "data",
}


@dataclass(frozen=True, kw_only=True)
class SearchSettings(Asked):
    """What a search was asked for, as its folder keeps it; resuming must ask for the same.

    Attributes:
        application: a name of the catalogue.
        ranges: what is searched, as the application had it when the search began.
        metrics: what the application's task measures.
        fingerprint: of the rows searched on.
        test_overlap: how many test rows are also among those searched on.
    """

    application: str
    ranges: dict[str, str] = field(default_factory=dict)
    metrics: tuple[Metric, ...] = ()
    fingerprint: str = ""
    test_overlap: int = 0

    def metric(self, name: str) -> Metric:
        """What is known of a metric; one without a direction where the name is not known."""
        known = (one for one in self.metrics if one.name == name)
        return next(known, None) or Metric.unknown(name)

    @property
    def maximise(self) -> bool:
        """Whether a larger value of the objective is the better one."""
        return self.metric(self.objective).better == "higher"

    def to_dict(self) -> dict[str, Any]:
        """The settings by name, ready for JSON."""
        metrics = [one.to_dict() for one in self.metrics]
        return {**dataclasses.asdict(self), "metrics": metrics}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `to_dict` gave; TypeError where something is missing or unknown."""
        metrics = tuple(Metric.from_dict(one) for one in values.get("metrics", ()))
        return cls(**{**values, "metrics": metrics})

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
