"""A search of which the trials are invented: what oracles and scheduler are tried on."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.configuration import ApplicationConfig, searched
from tuning.clock import Clock
from tuning.oracles import make_oracle
from tuning.scheduler import LocalScheduler, Wait
from tuning.settings import SearchSettings
from tuning.space import Space
from tuning.trials.job import Job, Outcome

EPOCHS = 9


@dataclass(frozen=True)
class Config(ApplicationConfig):
    """Hyperparameters of layers, conditions among them."""

    depth: int = searched(1, low=1, high=4, span=(1, 3))
    units: int | tuple[int, ...] = searched(
        128, low=1, high=512, log=True, per="depth", span=(16, 256)
    )
    layer_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6), when=("depth", 2))
    bidirectional: bool = searched(True, choices=(False, True))


GRID = {
    "fix": {"bidirectional": True, "learning_rate": 1e-3, "batch_size": 32},
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
        (folder / "search.json").write_text(json.dumps(settings.to_dict()))
        self.clock = Clock()
        space = Space(Config, settings.fix, settings.space)
        self.oracle = make_oracle(settings, space, folder, self.clock, epochs=EPOCHS)
        self.scheduler = LocalScheduler(self.oracle)

    def reopened(self, *, keep_ongoing: bool = False) -> Search:
        """The same search in a process that knows nothing but the folder."""
        again = Search(self.folder, self.settings)
        again.oracle.reload(keep_ongoing=keep_ongoing)
        again.scheduler = LocalScheduler(again.oracle)
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
