"""What happens beside the trials: leaderboard, report, TensorBoard, removal of old checkpoints."""

from __future__ import annotations

import csv
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tuning.folder import SearchFolder
from tuning.record import SearchRecord, record_of
from tuning.report import Leaderboard, write_page, write_trial
from tuning.scheduler import LocalScheduler
from tuning.trials.folder import prune

_EVERY_SECONDS, _SAVE_SECONDS = 1.0, 15.0
# Writing the report takes at most this share of the time of a running search.
_REPORT_SHARE = 0.01


class Oversight:
    """Watches a running search from a thread of its own.

    Args:
        folder: of the search.
        scheduler: of the search.
        log: takes a line for each trial that ends; the leaderboard on standard error unless given.
    """

    def __init__(
        self,
        folder: SearchFolder,
        scheduler: LocalScheduler,
        log: Callable[[str], None] | None,
    ) -> None:
        self._folder, self._scheduler = folder, scheduler
        self._board = Leaderboard(scheduler.settings, log=log)
        self._seen: set[str] = set()
        self._page_at = self._saved_at = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="oversight", daemon=True)

    def __enter__(self) -> Self:
        self._board.__enter__()
        self._thread.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._stop.set()
        self._thread.join()
        # A trial may have ended since the last look.
        self._page_at = 0.0
        self._try_to_look()
        self._board.__exit__(*error)

    def say(self, line: str) -> None:
        """Print a line beside the leaderboard."""
        self._board.line(line)

    def record(self) -> SearchRecord:
        """The search as it stands."""
        oracle = self._scheduler.oracle
        with oracle.lock:
            return record_of(
                self._scheduler.settings,
                dict(oracle.rows),
                list(oracle.finals.chosen),
                elapsed=oracle.clock.elapsed(),
                phase="finals" if oracle.finals.chosen else "searching",
            )

    def _watch(self) -> None:
        while not self._stop.wait(_EVERY_SECONDS):
            self._try_to_look()

    def _try_to_look(self) -> None:
        """Look; an error in it is reported and does not end the search."""
        try:
            self.look()
        except OSError as error:
            # On a full disk the oracle ends the search.
            self._board.line(f"{error.filename or self._folder.path}: {error.strerror}")
        except Exception as error:
            self._board.line(f"the report cannot be written: {type(error).__name__}: {error}")

    def look(self) -> None:
        """Show and write what has changed."""
        record = self.record()
        self._board.update(record, self._scheduler.running)
        rows = self._scheduler.oracle.rows
        ended = [r for n, r in list(rows.items()) if r.status != "RUNNING" and n not in self._seen]
        for row in ended:
            self._seen.add(row.id)
            if row.id.isdigit():
                write_trial(
                    self._folder.tensorboard, row, read_history(self._folder.run(row.id)), record
                )
        if ended:
            self._prune()
        if ended or self._stop.is_set():
            self._write_page(record)
        # The minutes since the last save would be spent twice if this process were killed.
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self._saved_at = time.monotonic()
            self._scheduler.oracle.save()

    def _prune(self) -> None:
        """Remove the checkpoints of trials that nothing will continue."""
        for name in self._scheduler.oracle.superfluous():
            prune(self._folder.trial(name))

    def _write_page(self, record: SearchRecord) -> None:
        now = time.monotonic()
        if now < self._page_at:
            return
        write_page(record, self._folder.page)
        self._page_at = now + (time.monotonic() - now) / _REPORT_SHARE


def read_history(run: Path) -> list[dict[str, float]]:
    """The rows of a run's `history.csv`; none before the first epoch."""
    try:
        with (run / "history.csv").open(encoding="utf-8", newline="") as lines:
            return [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)
            ]
    except (FileNotFoundError, ValueError):
        return []
