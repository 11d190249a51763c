"""Hyperparameters of forecasts by quantiles."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from apps.configuration import ApplicationConfig, fixed
from apps.errors import UserError

MEDIAN = 0.5


@dataclass(frozen=True)
class QuantilesConfig(ApplicationConfig):
    """Hyperparameters of every application that forecasts quantiles.

    `levels` are the quantiles' probabilities, the median among them. They are moved until
    as many validation rows lie below them as they say (`conformal`): the `ends` of each interval
    alike, `each` quantile by itself, `never`, or, `checked`, as what the earlier half of these rows
    asks for is best for the later half.
    """

    levels: str = fixed("0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9")
    conformal: str = fixed("checked", choices=("checked", "ends", "each", "never"))

    def __post_init__(self) -> None:
        super().__post_init__()
        self.probabilities  # noqa: B018

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The levels as numbers, rising."""
        try:
            found = tuple(float(part) for part in self.levels.split(","))
        except ValueError:
            found = ()
        rising = all(a < b for a, b in itertools.pairwise(found))
        if MEDIAN not in found or not rising or not 0 < found[0] <= found[-1] < 1:
            raise UserError(
                f"levels={self.levels}: give rising probabilities between 0 and 1 with the median "
                "among them, such as 0.05,0.5,0.95"
            )
        return found
