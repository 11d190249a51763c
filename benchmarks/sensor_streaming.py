"""Rows a second that a detector of anomalies judges on one core, by how many come at once.

    python -m benchmarks.sensor_streaming RUN|SAVED_MODEL SENSOR.csv [--rows 20000] [--rounds 5]

The table's rows go through `step` as `python -m apps stream` sends them, one in a call or 16 or
256, the table over and over. Sizes take turns, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import about_machine, sentence

AT_ONCE = (1, 16, 256)
TARGET = 2000.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a model, and write figures and table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensor_streaming")
    parser.add_argument("run", metavar="RUN|SAVED_MODEL")
    parser.add_argument("table", metavar="SENSOR.csv")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)
    about = about_machine("tensorflow", "keras")
    # TensorFlow counts the cores when it is imported.
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        found = rows_a_second(options.run, Path(options.table), options.rows, options.rounds)
    finally:
        os.sched_setaffinity(0, cores)
    results = {
        "command": f"python -m benchmarks.sensor_streaming RUN {Path(options.table).name} "
        f"--rows {options.rows} --rounds {options.rounds}",
        "machine": about,
        "target": TARGET,
        **found,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "sensor_streaming.json").write_text(json.dumps(results, indent=1) + "\n")
    print(table(results))


def rows_a_second(run: str, file: Path, rows: int, rounds: int) -> dict[str, Any]:
    """Median rows a second by rows in a call, and the number of sensors."""
    from apps import environment

    environment.import_tensorflow_quietly()
    import numpy as np

    from apps.streams.model import StreamModel
    from apps.streams.stream import Stream

    model = StreamModel.load(run)
    options = model.input.stream_options()
    chunks = list(model.input.chunks(file, model.metadata, options))
    whole = {n: np.concatenate([one.arrays[n] for one in chunks], 1) for n in chunks[0].arrays}
    times = -(-rows // whole["series"].shape[1])
    whole = {name: np.concatenate([value] * times, 1)[:, :rows] for name, value in whole.items()}
    streams = {size: Stream(model) for size in AT_ONCE}
    rates: dict[int, list[float]] = {size: [] for size in AT_ONCE}
    for number in range(rounds + 1):
        for size, stream in streams.items():
            # Few calls are enough of those that take long.
            sent = min(rows, 1000 * size) // size * size
            began = time.perf_counter()
            for start in range(0, sent, size):
                stream.send({name: value[:, start : start + size] for name, value in whole.items()})
            # The first round traces and compiles.
            if number:
                rates[size].append(sent / (time.perf_counter() - began))
    medians = {str(size): statistics.median(of_size) for size, of_size in rates.items()}
    return {"channels": whole["series"].shape[2], "rows_a_second": medians}


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    rates = results["rows_a_second"]
    lines = [
        f"`{results['command']}` ({results['channels']} sensor(s), one core) on "
        f"{sentence(results['machine'])}.",
        "",
        "| rows in a call | rows a second |",
        "|---|---|",
        *(f"| {size} | {rate:,.0f} |" for size, rate in rates.items()),
        "",
        f"Target: at least {results['target']:,.0f}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
