"""An executor whose trials are those of `faulty.py`, and jobs for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tuning.trials.executor import Executor
from tuning.trials.job import Job

ENDLESS = 9e5
MEMORY_MB = 1500.0


@pytest.fixture(scope="session")
def executor() -> Iterator[Executor]:
    with Executor(threads=1, memory_mb=MEMORY_MB, preload=["faulty"], grace_seconds=2.0) as runs:
        yield runs


@pytest.fixture(scope="session")
def job() -> Callable[..., Job]:
    """A function that makes a job in a folder from settings, and from fields of the job."""

    def make(folder: Path, settings: dict[str, Any] | None = None, **fields: Any) -> Job:
        values = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, **(settings or {})}
        return Job(
            **{
                "id": folder.name.removeprefix("trial_"),
                "application": "faulty",
                "data": "sample",
                "settings": values,
                "seed": 5,
                "folder": str(folder),
                "minutes": ENDLESS,
                # With a share of the minutes spent before the first step, however small, the
                # learning rate would depend on how busy the machine is, and weights with it.
                "anneals": False,
                "objective": "accuracy",
                **fields,
            }
        )

    return make
