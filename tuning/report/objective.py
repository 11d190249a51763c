"""How the objective of a search is written and compared."""

from __future__ import annotations

from typing import Any

from apps.report.quantities import MISSING, Metric, finite, percent
from tuning.settings import SearchSettings


class Objective(Metric):
    """The metric that decides, written with the digits that tell one trial from the next."""

    @classmethod
    def of(cls, settings: SearchSettings) -> Objective:
        """The objective that a search was asked for."""
        return cls(**settings.metric(settings.objective).to_dict())

    @property
    def maximise(self) -> bool:
        """Whether a larger value is the better one."""
        return self.better == "higher"

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
