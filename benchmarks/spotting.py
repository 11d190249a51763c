"""How well words are spotted in a long recording: misses, false alarms, delay."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from apps.tasks.detection import Detection


@dataclass(frozen=True)
class SpokenWord:
    """A word in a recording: its label, and where it begins and ends in seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Spotting:
    """Detections compared with what was said.

    Attributes:
        words: how many were said.
        false_alarms: detections of what was not said at that time; a word taken for another counts
            as a false alarm and as a miss.
        delays: seconds from the end of each detected word to its detection; negative if it was
            detected before it ended.
        seconds: length of the recording.
    """

    words: int
    false_alarms: int
    delays: tuple[float, ...]
    seconds: float

    @property
    def misses(self) -> int:
        """Words that were not detected."""
        return self.words - len(self.delays)

    @property
    def miss_rate(self) -> float:
        """Misses as a share of the words; 0 if there are no words."""
        return self.misses / self.words if self.words else 0.0

    @property
    def false_alarms_per_hour(self) -> float:
        """False alarms for each hour of the recording."""
        return self.false_alarms * 3600 / self.seconds

    @property
    def median_delay(self) -> float | None:
        """Median of the delays in seconds; None if no word was detected."""
        return statistics.median(self.delays) if self.delays else None


def spotting(
    detections: Iterable[Detection],
    truth: Iterable[SpokenWord],
    *,
    tolerance: float,
    seconds: float,
) -> Spotting:
    """Match as many detections with words as possible.

    A detection matches a word of its label if it is made between the word's beginning and
    `tolerance` after its end. Each detection matches at most one word, and each word at most one
    detection.

    Args:
        detections: what was detected.
        truth: what was said.
        tolerance: seconds after a word's end within which it may still be detected.
        seconds: length of the recording, more than 0.
    """
    waiting = sorted(truth, key=lambda word: word.end)
    words, false_alarms, delays = len(waiting), 0, []
    for detection in sorted(detections, key=lambda one: one.end):
        # Of the words that match, taking the one that ends first leaves most to later detections.
        found = next(
            (
                word
                for word in waiting
                if word.label == detection.label
                and word.start <= detection.end <= word.end + tolerance
            ),
            None,
        )
        if found is None:
            false_alarms += 1
            continue
        waiting.remove(found)
        delays.append(detection.end - found.end)
    return Spotting(words, false_alarms, tuple(delays), seconds)
