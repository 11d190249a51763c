"""Decisions from the posteriors of a classifier as a stream goes on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from apps.following import Decision, Follower

_METER_WIDTH = 20
_METER_SECONDS = 0.1


@dataclass(frozen=True)
class Detection:
    """A class that was decided.

    Attributes:
        start: when its posterior began to rise, seconds from the beginning of the stream.
        end: when it was decided, in seconds of the stream.
        label: the class.
        probability: its smoothed posterior at that moment.
    """

    start: float
    end: float
    label: str
    probability: float


class Detector:
    """Smoothing, hysteresis and a refractory time over posteriors.

    Posteriors are averaged over a window, and a class's confidence is the maximum of its averages
    over a window as long (Chen, Parada and Heigold, "Small-footprint keyword spotting using deep
    neural networks", ICASSP 2014, section 3.3, for phrases of one word). Steps before the first
    count as zeros. A word is decided when its average is the highest of all classes and at least
    `on`; it may be decided again once its confidence has fallen below `off`. Classes of the
    background, such as silence, are decided in the same way, but keep no word waiting.

    Args:
        labels: the names of the classes, in the order of the posteriors.
        step_seconds: seconds from one step to the next.
        smooth_ms: both windows, in milliseconds; at least one step.
        on: average at which a word is decided, 0 to 1.
        off: confidence below which it may be decided again, at most `on`.
        refractory_ms: least time from one word to the next, in milliseconds.
        background: classes that are no words.

    Raises:
        ValueError: thresholds or times out of their ranges.
    """

    def __init__(
        self,
        labels: Sequence[str],
        step_seconds: float,
        *,
        smooth_ms: float = 100.0,
        on: float = 0.7,
        off: float = 0.4,
        refractory_ms: float = 300.0,
        background: Sequence[str] = (),
    ) -> None:
        if not 0.0 < off <= on <= 1.0:
            raise ValueError(f"on and off must be 0 < off <= on <= 1, not {on} and {off}")
        if smooth_ms < 0 or refractory_ms < 0 or step_seconds <= 0:
            raise ValueError(
                f"smooth_ms {smooth_ms} and refractory_ms {refractory_ms} must be 0 or more, "
                f"step_seconds {step_seconds} more than 0"
            )
        self.labels = tuple(labels)
        self.step_seconds = step_seconds
        self.on = on
        self.off = off
        steps = max(1, round(smooth_ms / 1000 / step_seconds))
        classes = len(self.labels)
        self._recent = np.zeros((steps, classes))
        self._averages = np.zeros((steps, classes))
        self._armed = np.ones(classes, bool)
        self._background = np.array([label in background for label in self.labels])
        self._risen = np.zeros(classes, np.int64)
        self._steps = 0
        self._refractory = round(refractory_ms / 1000 / step_seconds)
        self._free_from = 0

    @property
    def averages(self) -> np.ndarray:
        """Smoothed posteriors of the last step, `(classes,)`; zeros before the first."""
        return self._averages[(self._steps - 1) % len(self._averages)]

    def push(self, posteriors: np.ndarray) -> list[Detection]:
        """Take the next steps of a stream.

        Args:
            posteriors: `(steps, classes)`, of no step too.

        Returns:
            What they decide, in the order of time.
        """
        decided = [self._step(row) for row in np.asarray(posteriors, np.float64)]
        return [detection for detection in decided if detection is not None]

    def _step(self, posteriors: np.ndarray) -> Detection | None:
        place = self._steps % len(self._recent)
        self._recent[place] = posteriors
        self._averages[place] = averages = self._recent.mean(axis=0)
        confidence = self._averages.max(axis=0)
        self._steps += 1
        fallen = confidence < self.off
        self._armed |= fallen
        self._risen[fallen] = self._steps
        best = int(averages.argmax())
        if not self._armed[best] or averages[best] < self.on:
            return None
        if not self._background[best]:
            if self._steps < self._free_from:
                return None
            self._free_from = self._steps + self._refractory
        self._armed[best] = False
        return Detection(
            start=round(int(self._risen[best]) * self.step_seconds, 3),
            end=round(self._steps * self.step_seconds, 3),
            label=self.labels[best],
            probability=round(float(averages[best]), 4),
        )


class DetectionFollower(Follower):
    """A line for each class that is decided; meanwhile a meter of the likeliest.

    Args:
        detector: decides, from `probabilities` `(steps, classes)` of which `steps` are real.
        hidden: classes of which nothing is printed.
    """

    def __init__(self, detector: Detector, hidden: Collection[str] = ()) -> None:
        self._detector = detector
        self._hidden = hidden
        self._metered = 0.0

    def push(self, answer: Mapping[str, np.ndarray], end: float) -> list[Decision]:
        found = self._detector.push(answer["probabilities"][: int(answer["steps"])])
        if end >= self._metered + _METER_SECONDS:
            self._metered = end
            self.undecided = self._meter(end)
        return [
            Decision(asdict(one), f"{one.end:8.2f} s  {one.label}  {one.probability:.2f}")
            for one in found
            if one.label not in self._hidden
        ]

    def _meter(self, seconds: float) -> str:
        averages = self._detector.averages
        best = int(averages.argmax())
        bar = "#" * round(float(averages[best]) * _METER_WIDTH)
        return f"{seconds:8.1f} s  {bar:{_METER_WIDTH}}  {self._detector.labels[best]}"
