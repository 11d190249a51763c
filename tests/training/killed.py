"""Trains in a process of its own and kills it at a given moment, as `kill -9` would.

Usage: killed.py MOMENT RUN ROWS SETTINGS, the last two being JSON files. A checkpoint is written
after every step, so that each moment is the same one every time.
"""

import functools
import json
import sys
from collections.abc import Callable

from killing import kill_before

import apps
from apps.training import checkpoints, loop, run_folder, session

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
    "before the report": lambda: kill_before(session.Run, "report"),
}

if __name__ == "__main__":
    moment, run, rows, settings = sys.argv[1:]
    MOMENTS[moment]()
    vars(session)["Budget"] = functools.partial(loop.Budget, checkpoint_seconds=0.0)
    with open(rows) as r, open(settings) as s:
        apps.train("sentiment", json.load(r), run=run, resume=True, **json.load(s))
    sys.exit("the training came to its end")
