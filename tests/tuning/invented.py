"""A search of which the trials are invented: what oracles and scheduler are tried on."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apps.text.sentiment import SentimentConfig
from tuning.clock import Clock
from tuning.oracles import make_oracle
from tuning.scheduler import LocalScheduler, Wait
from tuning.settings import SearchSettings
from tuning.space import Space
from tuning.trials.job import Job, Outcome

EPOCHS = 9
GRID = {
    "fixed": {
        key: value
        for key, value in SentimentConfig.defaults().items()
        if SentimentConfig.ranges()[key].searched and key not in ("units", "depth", "layer_dropout")
    },
    "space": {"units": "128,16", "depth": "1,2", "layer_dropout": "0.2,0.5"},
}


def outcome(job: Job, **changes: Any) -> Outcome:
    """A completed trial that scores by its learning rate and its epochs."""
    epochs = job.epochs or EPOCHS
    score = 1.0 - abs(math.log10(job.settings["learning_rate"] / 2e-3)) + 0.01 * epochs
    values = {"score": score, "metrics": {"accuracy": score, "f1": 0.5}, "seconds": 10.0}
    return Outcome(**{"status": "COMPLETED", "epochs": epochs, **values, **changes})


class Search:
    """A search in a folder, driven trial by trial."""

    def __init__(self, folder: Path, settings: SearchSettings) -> None:
        self.folder, self.settings = folder, settings
        folder.mkdir(exist_ok=True)
        self.clock = Clock()
        space = Space(SentimentConfig, settings.fixed, settings.space)
        self.oracle = make_oracle(settings, space, folder, self.clock, epochs=EPOCHS)
        self.scheduler = LocalScheduler(self.oracle, folder, settings, space)

    def reopened(self, *, keep_ongoing: bool = False) -> Search:
        """The same search in a process that knows nothing but the folder."""
        again = Search(self.folder, self.settings)
        again.oracle.reload(keep_ongoing=keep_ongoing)
        again.scheduler = LocalScheduler(
            again.oracle, self.folder, self.settings, again.oracle.space
        )
        return again

    def ask(self, worker: str = "w") -> Job:
        job = self.scheduler.next(worker)
        assert isinstance(job, Job), job
        return job

    def finish(
        self, worker: str = "w", *, most: int = 1000, judge: Callable[[Job], Outcome] = outcome
    ) -> list[Job]:
        """Run trials until the search is over, or so many of them."""
        ran: list[Job] = []
        while len(ran) < most and (job := self.scheduler.next(worker)) is not None:
            assert not isinstance(job, Wait)
            ran.append(job)
            self.scheduler.end(worker, job.id, judge(job))
        return ran
