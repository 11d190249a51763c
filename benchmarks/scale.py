"""Rows against seconds and memory up to the first step of training, for every application.

    python -m benchmarks.scale [APP …] [--rows 1000,10000,…] [--json] [--out benchmarks/results]

Rows are those of the application's sample over and over, half of their words replaced by others of
the same length, their recordings with noise added and written to files, their clips written to
files of different content. Each number of rows runs in
a fresh process, which reads them, learns what is learnt before training, fits the baselines and
makes one step.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps import catalogue
from benchmarks.machine import about_machine, sentence

ROWS = (1_000, 10_000, 100_000)
COLUMNS = (
    "| application | rows | seconds | of CPU | slope | peak memory, MB | more for 1,000 rows |"
)
_WORDS_OF_A_LENGTH = 5_000


class _FirstStep(BaseException):
    """The first step is made."""


def rows_of(application: str, count: int, folder: Path) -> dict[str, list[Any]]:
    """Columns of rows that differ from one another, made of the application's sample.

    Args:
        application: a name of the catalogue.
        count: how many rows.
        folder: takes the files of recordings.
    """
    sample = catalogue.load(application).sample(0)
    draw = np.random.default_rng(0)
    words = _Words(draw)
    inputs = catalogue.load(application).input.columns
    columns: dict[str, list[Any]] = {name: [] for name in sample.columns}
    for row in range(count):
        for name, values in sample.columns.items():
            value = values[row % len(sample)]
            if name in inputs and isinstance(value, str):
                value = words.replaced(value)
            elif hasattr(value, "samples"):
                value = _noisy(value, draw, folder / f"{row}.wav")
            elif hasattr(value, "sampled"):
                value = _filmed(value, row % len(sample), row, folder)
            columns[name].append(value)
    return columns


class _Words:
    """Made-up words, a few of them frequent, as in a language."""

    def __init__(self, draw: np.random.Generator) -> None:
        self._draw = draw
        self._of_length: dict[int, list[str]] = {}
        chances = 1 / np.arange(1, _WORDS_OF_A_LENGTH + 1)
        self._ranks = np.cumsum(chances) / chances.sum()

    def replaced(self, text: str) -> str:
        """A text, half of its words replaced by words of the same length, so that spans stay."""
        words = text.split(" ")
        ranks = np.searchsorted(self._ranks, self._draw.random(len(words)))
        for place in np.flatnonzero(self._draw.random(len(words)) < 0.5):
            if words[place].isalpha():
                words[place] = self._some(len(words[place]))[ranks[place]]
        return " ".join(words)

    def _some(self, length: int) -> list[str]:
        if length not in self._of_length:
            letters = self._draw.integers(97, 123, (_WORDS_OF_A_LENGTH, length), np.uint8)
            self._of_length[length] = [row.tobytes().decode() for row in letters]
        return self._of_length[length]


def _noisy(clip: Any, draw: np.random.Generator, file: Path) -> Path:
    import soundfile

    noise = draw.integers(-30, 31, len(clip.samples), np.int16)
    soundfile.write(file, np.clip(clip.samples, -32_000, 32_000) + noise, clip.rate, "PCM_16")
    return file


def _filmed(clip: Any, number: int, row: int, folder: Path) -> Path:
    """A file with the frames of a clip of the sample, of another content for each row."""
    import av

    master = folder / f"master-{number}.mp4"
    if not master.exists():
        with av.open(str(master), "w") as container:
            stream: Any = container.add_stream("libx264", 12)
            frames = clip.sampled(clip.frames, clip.width)
            stream.height, stream.width = frames.shape[1:3]
            stream.pix_fmt = "yuv420p"
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            container.mux(stream.encode())
    file = folder / f"{row}.mp4"
    # A box that readers pass over: its length, its name and the number of the row.
    file.write_bytes(master.read_bytes() + struct.pack(">I4sQ", 16, b"free", row))
    return file


def first_step(application: str, count: int) -> dict[str, float]:
    """Train up to the first step in this process.

    Returns:
        `seconds` and `cpu_seconds` of the training, and `peak_mb` of the process.
    """
    from apps import environment

    environment.prepare()
    from apps.training.plan import Plan
    from apps.training.session import Session

    with tempfile.TemporaryDirectory() as folder:
        os.environ["APPS_CACHE"] = str(Path(folder) / "cache")
        files = Path(folder) / "files"
        files.mkdir()
        rows = rows_of(application, count, files)
        started, used = time.monotonic(), time.process_time()
        session = Session(Plan(application, rows), run=Path(folder) / "run")
        session.baselines()

        def stop(_: object) -> None:
            raise _FirstStep

        with contextlib.suppress(_FirstStep):
            session.fit(on_step=stop)
        return {
            "seconds": time.monotonic() - started,
            "cpu_seconds": time.process_time() - used,
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6,
        }


def measured(applications: Sequence[str], rows: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Measure each application with each number of rows, each in a process of its own.

    Yields:
        `application`, `rows`, what `first_step` gives, and `slope`: the power of the rows with
        which the seconds have grown since the number of rows before, None for the first.
    """
    for application in applications:
        before: dict[str, Any] = {}
        for count in sorted(rows):
            command = [sys.executable, "-m", "benchmarks.scale", application, "--child", str(count)]
            child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = {
                "application": application,
                "rows": count,
                **json.loads(child.stdout.splitlines()[-1]),
            }
            yield {**found, "slope": slope(before, found) if before else None}
            before = found


def slope(before: dict[str, Any], after: dict[str, Any]) -> float:
    """The power of the rows with which the seconds grow from one measurement to another."""
    growth = math.log(after["rows"] / before["rows"])
    return math.log(after["seconds"] / before["seconds"]) / growth


def line(found: dict[str, Any], base: float) -> str:
    """A row of the table; `base` is the peak memory with the fewest rows."""
    steep = "" if found["slope"] is None else f"{found['slope']:.2f}"
    more = 1000 * (found["peak_mb"] - base) / found["rows"]
    return (
        f"| {found['application']} | {found['rows']:,} | {found['seconds']:.1f} | "
        f"{found['cpu_seconds']:.1f} | {steep} | {found['peak_mb']:,.0f} | {more:.1f} |"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale", description=__doc__)
    parser.add_argument("applications", nargs="*", metavar="APP", help="all unless given")
    parser.add_argument("--rows", default=",".join(map(str, ROWS)), help="numbers with commas")
    parser.add_argument("--json", action="store_true", help="one JSON object a measurement")
    parser.add_argument("--out", type=Path, help="folder for scale.json, which is added to")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    applications = chosen.applications or list(catalogue.APPLICATIONS)
    if chosen.child is not None:
        print(json.dumps(first_step(applications[0], chosen.child)))
        return
    rows = [int(number) for number in chosen.rows.split(",")]
    about, all_found, base = about_machine("tensorflow", "scikit-learn"), [], 0.0
    if not chosen.json:
        print(f"{sentence(about)}, {os.cpu_count()} threads\n\n{COLUMNS}\n|" + "---|" * 7)
    for found in measured(applications, rows):
        base = found["peak_mb"] if found["slope"] is None else base
        all_found.append(found)
        print(json.dumps(found) if chosen.json else line(found, base), flush=True)
    if chosen.out:
        written = json.dumps({"machine": about, "measured": all_found}, indent=1)
        (chosen.out / "scale.json").write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
