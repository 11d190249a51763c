"""Exports again and again, each time in a process that is killed at a given moment.

Usage: killed_export.py RUN FOLDER; each export goes to a folder named after its moment.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

from killing import kill_before, require_killed

import apps
from apps import catalogue
from apps.export import models_config, saved_model
from apps.export.gate import Verdict

MOMENTS: dict[str, Callable[[], None]] = {
    "before the graph is written": lambda: kill_before(saved_model, "_write_graph"),
    "before the rename": lambda: kill_before(os, "rename"),
    "after the rename": lambda: kill_before(models_config, "add"),
}

if __name__ == "__main__":
    run, folder = sys.argv[1:]
    catalogue.load("sentiment")
    # The gate has tests of its own, and this test exports many times.
    vars(saved_model)["verify"] = lambda folder, log: Verdict(folder, ())

    def export(moment: str) -> None:
        found = apps.load(run)
        MOMENTS[moment]()
        found.export(Path(folder) / moment)

    for moment in MOMENTS:
        require_killed(moment, functools.partial(export, moment))
