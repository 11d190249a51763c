"""Exports in a process of its own and kills it at a given moment, as `kill -9` would.

Usage: killed_export.py MOMENT RUN MODELS.
"""

import os
import sys
from collections.abc import Callable

from killing import kill_before

import apps
from apps.export import models_config, saved_model
from apps.export.gate import Verdict

MOMENTS: dict[str, Callable[[], None]] = {
    "before the graph is written": lambda: kill_before(saved_model, "_write_graph"),
    "before the gate": lambda: kill_before(saved_model, "verify"),
    "before the rename": lambda: kill_before(os, "rename"),
    "after the rename": lambda: kill_before(models_config, "add"),
}

if __name__ == "__main__":
    moment, run, models = sys.argv[1:]
    found = apps.load(run)
    # The gate has tests of its own, and this test exports many times.
    vars(saved_model)["verify"] = lambda folder, log: Verdict(folder, ())
    MOMENTS[moment]()
    found.export(models)
    sys.exit("the export came to its end")
