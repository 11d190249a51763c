"""A chief over a search of toys in this process, and what its trials have written down."""

from __future__ import annotations

import threading
from pathlib import Path

from toy_search import ToyScheduler
from waiting import LIMIT, until

from tuning.distributed.chief import Chief


def events(folder: Path) -> list[list[str]]:
    """What the toy trials wrote down: trial, process, and what."""
    file = folder / "events"
    lines = file.read_text().splitlines() if file.exists() else []
    return [line.split(" ", 2) for line in lines]


def ended_once(folder: Path) -> bool:
    """Whether no trial ended twice or was ever run by two processes at a time."""
    ends = [trial for trial, _, what in events(folder) if what == "ends"]
    doubled = [trial for trial, _, what in events(folder) if what == "doubled"]
    return len(ends) == len(set(ends)) and not doubled


class RunningChief:
    """A chief in this process, waited for in a thread."""

    def __init__(self, scheduler: ToyScheduler, lease_seconds: float, listen: str) -> None:
        self.scheduler = scheduler
        self.said: list[str] = []
        self._ticks = 0
        self._stopping = False
        self.failure: BaseException | None = None
        self.chief = Chief(scheduler, listen, lease_seconds, self.said.append)
        self.address = self.chief.address
        self.chief.start()
        self._thread = threading.Thread(target=self._wait)
        self._thread.start()

    def _wait(self) -> None:
        try:
            self.chief.wait(self._tick)
        except BaseException as error:
            self.failure = error

    def _tick(self) -> None:
        self._ticks += 1
        if self._stopping:
            raise TimeoutError("the test is over")

    def ends(self) -> bool:
        """Wait for the end of `wait`."""
        self._thread.join(LIMIT)
        return not self._thread.is_alive()

    def goes_on(self) -> bool:
        """Whether `wait` goes through another whole cycle without an end."""
        enough = self._ticks + 2
        until(lambda: self._ticks >= enough or not self._thread.is_alive())
        return self._thread.is_alive()

    def stop(self) -> None:
        """End whatever still runs."""
        self._stopping = True
        self._thread.join()
        self.chief.stop()
