"""Contenders of a benchmark: separate processes that take turns."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


class Contender:
    """A child process that times cases on demand, one JSON object a line.

    Args:
        name: its name in the table.
        module: the module to run, such as `benchmarks.engine_contender`.
        arguments: the module's arguments.
        environment: variables added to this process's environment.
    """

    def __init__(
        self, name: str, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environment or {}), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )

    def ask(self, task: str, **case: object) -> float:
        """The process's answer to a task: for `time`, milliseconds of one run of the case."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"task": task, **case}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} died on {case}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


def take_turns(
    contenders: Sequence[Contender], rounds: int, task: str = "time", **case: object
) -> dict[str, float]:
    """Median milliseconds per contender of a task, over rounds in which they take turns."""
    times: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for turn in range(rounds):
        for contender in contenders if turn % 2 else reversed(contenders):
            times[contender.name].append(contender.ask(task, **case))
    return {name: statistics.median(values) for name, values in times.items()}
