"""Retraining the best with fresh seeds, and keeping time for it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from tuning.clock import Clock
from tuning.record import DEFAULT, TrialRow, ranked
from tuning.settings import SearchSettings

# The largest shares of all minutes: for retraining, for one trial, and for the winner's report.
_MOST_FOR_FINALS = 1 / 3
_MOST_FOR_A_TRIAL = 0.25
_FOR_THE_REPORT = 0.05
_LONGEST_REPORT = 60.0


def final_id(trial: str, number: int) -> str:
    """The id of a trial's n-th retraining, counted from 1."""
    return f"final-{trial}-{number}"


class Finals:
    """Plans the retraining seed by seed, so that all finalists meet the same seeds.

    The best single score of many is the luckiest one; a mean over fresh seeds is not. The default
    configuration always takes part, so that the winner is no worse than no search.

    Args:
        settings: how many finalists and seeds, and how many minutes.
        clock: of the search.
    """

    def __init__(self, settings: SearchSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self.chosen: list[str] = []
        self.workers = 1

    def choose(self, rows: Mapping[str, TrialRow]) -> None:
        """Choose the finalists: the best trials and the default; fewer where time is short."""
        names, _ = self._affordable(rows, self._left())
        # A round that takes longer than expected has its last training cut short. That must not be
        # the default, which the others have to beat.
        self.chosen = sorted(names, key=lambda name: name != DEFAULT)

    def next(self, rows: Mapping[str, TrialRow]) -> tuple[str, str] | None:
        """Ids of the next retraining and of the trial that it repeats; None when all are done."""
        for number in range(1, self._settings.seeds + 1):
            names = {trial: final_id(trial, number) for trial in self.chosen}
            left = {trial: name for trial, name in names.items() if name not in rows}
            # A round that is trained only in part compares nothing.
            if len(left) == len(names) and not self._time_for_round(rows, self.chosen):
                return None
            for trial, name in left.items():
                return name, trial
        return None

    def time_for_another(self, rows: Mapping[str, TrialRow]) -> bool:
        """Whether the search can begin one more trial and still have time for its finals."""
        if self._settings.minutes is None:
            return True
        ended = [row.seconds for row in _searched(rows) if row.status != "RUNNING" and row.seconds]
        return self._left_for_search(rows) > max(3.0, 0.5 * min(ended, default=0.0))

    def limit(self, rows: Mapping[str, TrialRow], trial: str) -> float:
        """Seconds that a trial may take, without those of the trials that it continues."""
        most = 60.0 * self._settings.trial_minutes
        if self._settings.minutes is None:
            return most
        everything = 60.0 * self._settings.minutes
        left = self._left() if trial.startswith("final-") else self._left_for_search(rows)
        return max(5.0, min(most, _MOST_FOR_A_TRIAL * everything, left))

    def _left_for_search(self, rows: Mapping[str, TrialRow]) -> float:
        kept = _MOST_FOR_FINALS * 60.0 * (self._settings.minutes or 0.0)
        left = self._left()
        if not self._settings.seeds or not self._settings.finalists:
            return left
        # Before the first score nobody knows how long a retraining takes.
        if any(row.status == "COMPLETED" for row in rows.values()):
            names, seeds = self._affordable(rows, kept)
            kept = seeds * self._round(rows, names)
            # New leaders may take longer than those before them. Then the rest of the time goes to
            # as many finalists as it suffices for, or to the search if it suffices for none.
            if kept > left:
                kept = left if self._affordable(rows, left)[0] else 0.0
        return left - kept

    def _left(self) -> float:
        if self._settings.minutes is None:
            return math.inf
        return 60.0 * self._settings.minutes - self._closing() - self._clock.elapsed()

    def _affordable(self, rows: Mapping[str, TrialRow], seconds: float) -> tuple[list[str], int]:
        """As many finalists as have time for two seeds, and the number of seeds for these."""
        best = self._best(rows)
        settings = self._settings
        if not settings.seeds:
            return [], 0
        for count in range(min(settings.finalists, len(best)), 0, -1):
            names = best[:count] + [DEFAULT] * (DEFAULT in best[count:])
            # A single finalist is compared with nothing.
            names = names if len(names) > 1 else best[:2]
            taken = max(self._round(rows, names), 1e-3)
            seeds = int(min(settings.seeds, seconds / taken))
            if seeds >= min(2, settings.seeds):
                return names, seeds
        return [], 0

    def _time_for_round(self, rows: Mapping[str, TrialRow], trials: Iterable[str]) -> bool:
        return self._left() > 0.9 * self._round(rows, trials)

    def _round(self, rows: Mapping[str, TrialRow], trials: Iterable[str]) -> float:
        """Expected seconds of one retraining of each."""
        default = rows.get(DEFAULT)
        whole = max((row.epochs for row in rows.values()), default=1)
        total = 0.0
        for trial in trials:
            taken = chain_seconds(rows, trial)
            # A trial that Hyperband stopped early is retrained in full length.
            total += taken * max(1.0, whole / max(rows[trial].epochs, 1))
        if not total and default is not None:
            total = default.seconds
        return total / max(self.workers, 1)

    def _closing(self) -> float:
        return min(_LONGEST_REPORT, _FOR_THE_REPORT * 60.0 * (self._settings.minutes or 0.0))

    def _best(self, rows: Mapping[str, TrialRow]) -> list[str]:
        """The best trials, followed by the default unless it is among them."""
        best = ranked(_searched(rows), self._settings.maximise)
        went_on = {row.continues for row in rows.values() if row.status == "COMPLETED"}
        names = [row.id for row in best if row.id not in went_on]
        first = names[: self._settings.finalists]
        return first + [DEFAULT] * (DEFAULT in names and DEFAULT not in first)


def first_retraining(rows: Mapping[str, TrialRow], trial: str) -> str:
    """Id of the first retraining that completed."""
    done = [row for row in rows.values() if row.id.startswith(f"final-{trial}-")]
    numbers = [int(row.id.rpartition("-")[2]) for row in done if row.status == "COMPLETED"]
    return final_id(trial, min(numbers))


def chain_seconds(rows: Mapping[str, TrialRow], trial: str | None) -> float:
    """Seconds of a trial and of those that it continues."""
    total = 0.0
    while trial is not None:
        total += rows[trial].seconds
        trial = rows[trial].continues
    return total


def _searched(rows: Mapping[str, TrialRow]) -> list[TrialRow]:
    return [row for row in rows.values() if row.id.isdigit()]
