"""A run folder as training leaves it, and a browser that tells what a page asked for."""

from __future__ import annotations

import csv
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

HISTORY = [
    (1, 100, 4.0, 1e-3, 0.61, 0.52, 0.78),
    (2, 200, 8.1, 7e-4, 0.43, 0.41, 0.86),
    (3, 300, 12.2, 3e-4, 0.31, 0.39, 0.913),
    (4, 400, 16.4, 1e-4, 0.24, 0.44, 0.88),
]


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished sentiment run whose model beats both baselines."""
    folder = tmp_path / "sentiment-run"
    folder.mkdir()
    files = {
        "config.json": {
            "application": "sentiment",
            "config": {"depth": 1, "units": 128, "epochs": 10, "tokens": None},
            "data": {"train": "reviews.csv", "validation": None},
            "seed": 7,
        },
        "environment.json": {
            "python": "3.11.2",
            "tensorflow": "2.21.0",
            "device": "CPU",
            "command": ["python", "-m", "apps", "train", "sentiment", "--data", "my reviews.csv"],
        },
        "metrics.json": {
            "examples": {"train": 4500, "validation": 500, "skipped": 3},
            "metrics": {
                "accuracy": 0.913,
                "f1": 0.9127,
                "cross_entropy": 0.24,
                "calibration_error": 0.031,
            },
            "interval": {
                "accuracy": [0.888, 0.936],
                "f1": [0.887, 0.935],
                "cross_entropy": [0.2, 0.28],
                "calibration_error": [0.02, 0.05],
            },
            "baselines": {
                "majority": {"accuracy": 0.52, "f1": 0.342, "cross_entropy": 0.692},
                "bag_of_words": {"accuracy": 0.861, "f1": 0.86, "cross_entropy": 0.35},
            },
            "cost": {
                "parameters": 1234567,
                "ms_per_example": 0.42,
                "peak_memory_mb": 812.0,
                "size_mb": 4.9,
            },
            "seconds": 754.2,
            "stopped": "patience",
            "best": {"epoch": 3, "step": 300},
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    with (folder / "history.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        header = "epoch,step,seconds,learning_rate,loss,val_loss,val_accuracy"
        writer.writerow(header.split(","))
        writer.writerows(HISTORY)
    return folder


# Chromium reads commands from descriptor 3 and answers on 4. The two pipes are moved out of the way
# first, since one of them may have the number that the other one is to get.
_CONNECT = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
os.dup2(ends[0], 3)
os.dup2(ends[1], 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Headless Chromium, driven over its debugging pipe."""

    def __init__(self, executable: str, profile: Path) -> None:
        to_browser, self._commands = os.pipe()
        self._answers, from_browser = os.pipe()

        self._process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _CONNECT,
                str(to_browser),
                str(from_browser),
                executable,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                f"--user-data-dir={profile}",
                "about:blank",
            ],
            pass_fds=(to_browser, from_browser),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._identifiers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    _session: str | None = None

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the DevTools protocol; events on the way are kept."""
        message: dict[str, Any] = {
            "id": next(self._identifiers),
            "method": method,
            "params": parameters,
        }
        if self._session:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == message["id"]:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def open(self, file: Path) -> None:
        """Load a page from disk and wait until it and all that it refers to has loaded."""
        self.events.clear()
        self.call("Page.navigate", url=file.as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, expression: str) -> Any:
        """The value of an expression of JavaScript in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        os.close(self._commands)
        os.close(self._answers)

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._answers, 1 << 20)
            assert chunk, "the browser ended"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    page = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield page
    page.close()
