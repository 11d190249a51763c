"""The rows of a search, read once and handed to all trials that are forked from one process."""

from __future__ import annotations

import contextlib
from typing import Any, ClassVar

import psutil

from apps import catalogue
from apps.data import Examples
from apps.data.sources import SAMPLE
from apps.data.tfds import PREFIX
from apps.training.plan import Plan
from tuning.trials.job import Job
from tuning.trials.memory import available_mb

# Texts that a trial looks at are copied into its own memory.
_MEMORY_SHARE = 0.1


class HeldPlan(Plan):
    """A plan whose rows this process, and all that are forked from it, read once.

    All trials so see one state of the data, whatever becomes of the files.
    """

    _held: ClassVar[dict[tuple[Any, ...], Examples]] = {}

    def _read(self, source: Any, seed: int) -> Examples:
        # Of a file the seed changes nothing.
        drawn = seed if source == SAMPLE else None
        columns = tuple(sorted(self.columns.items()))
        key = (self.application, source, drawn, columns, self._labels)
        if key not in self._held:
            self._held[key] = super()._read(source, seed)
        return self._held[key]

    @classmethod
    def forget(cls) -> None:
        """Hold no rows any more."""
        cls._held.clear()


class RowsAhead:
    """Reads the rows of trials before they are forked, without an operation of TensorFlow."""

    def __init__(self) -> None:
        self._fits = True

    def read(self, job: Job) -> None:
        """Read the rows that the next trial needs, if they have not been read and are not too many.

        A backtest reads its rows itself.
        """
        source = job.source
        entry = catalogue.APPLICATIONS.get(source["application"])
        places = [source[name] for name in ("data", "validation") if source[name] is not None]
        # Applications of a user's own, and TensorFlow Datasets, may run operations.
        foreign = entry is None or not entry.place.startswith("apps.")
        foreign = foreign or any(place.startswith(PREFIX) for place in places)
        if not self._fits or job.folds or foreign:
            return
        most, process = _MEMORY_SHARE * available_mb() * 2**20, psutil.Process()
        before = process.memory_info().rss
        # The trial meets the same error, and reports it.
        with contextlib.suppress(Exception):
            plan = HeldPlan(**source)
            plan.read()
            if plan.validation is not None:
                plan.read_validation()
        self._fits = process.memory_info().rss - before <= most
        if not self._fits:
            HeldPlan.forget()
