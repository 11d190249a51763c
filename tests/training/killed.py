"""Trains again and again, each time in a process that is killed at a given moment.

Usage: killed.py RUN ROWS SETTINGS, the last two being JSON files. A checkpoint is written after
every step, so that each moment is the same one every time.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path

from killing import kill_before, require_killed

import apps
from apps import catalogue
from apps.training import checkpoints, finish, loop, run_folder, session

# Of the saves of a session: one after each step, one at the end of an epoch of seven steps.
MID_EPOCH = 6
END_OF_THAT_EPOCH = 3
MID_NEXT_EPOCH = 4


MOMENTS: dict[str, Callable[[], None]] = {
    "before the run folder": lambda: kill_before(run_folder.RunFolder, "create"),
    "before the first checkpoint": lambda: kill_before(checkpoints.Checkpoints, "save"),
    "mid-epoch": lambda: kill_before(checkpoints.Checkpoints, "save", MID_EPOCH),
    "best weights written, checkpoint not": lambda: kill_before(
        checkpoints.Checkpoints, "save", END_OF_THAT_EPOCH
    ),
    "mid next epoch": lambda: kill_before(checkpoints.Checkpoints, "save", 1 + MID_NEXT_EPOCH),
    "last phase": lambda: kill_before(run_folder.RunFolder, "write_model"),
    "before the report": lambda: kill_before(finish, "report_of"),
}

if __name__ == "__main__":
    run, *files = sys.argv[1:]
    rows, settings = (json.loads(Path(file).read_text()) for file in files)
    catalogue.load("sentiment")
    vars(session)["Budget"] = functools.partial(loop.Budget, checkpoint_seconds=0.0)

    def train(moment: str) -> None:
        MOMENTS[moment]()
        apps.train("sentiment", rows, run=run, resume=True, **settings)

    for moment in MOMENTS:
        require_killed(moment, functools.partial(train, moment))
