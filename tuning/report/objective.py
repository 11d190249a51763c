"""How the objective of a search is named, written and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.report.quantities import MISSING, finite, metric, percent
from tuning.settings import SearchSettings


@dataclass(frozen=True)
class Objective:
    """The metric that decides, with the digits that tell one trial from the next.

    Attributes:
        name: of the metric.
        maximise: whether a larger value is the better one.
    """

    name: str
    maximise: bool

    @classmethod
    def of(cls, settings: SearchSettings) -> Objective:
        """The objective that a search was asked for."""
        return cls(settings.objective, settings.maximise)

    @property
    def title(self) -> str:
        """Its name in words, as it stands inside a sentence."""
        return metric(self.name).title

    @property
    def rate(self) -> bool:
        """Whether it is a fraction, written in per cent."""
        return metric(self.name).rate

    def written(self, value: Any) -> str:
        """A score, `"91.32 %"` or `"0.3412"`; a dash where it is no finite number."""
        if not finite(value):
            return MISSING
        return percent(value, 2) if self.rate else f"{value:.4g}"

    def width(self, value: Any) -> str:
        """A spread or a difference without its sign, `"0.42 points"` or `"0.0131"`."""
        if not finite(value):
            return MISSING
        return f"{100 * abs(value):.2f}\u202fpoints" if self.rate else f"{abs(value):.3g}"

    def gain(self, value: float, over: float) -> float:
        """By how much one score is better than another; negative where it is worse."""
        return value - over if self.maximise else over - value
