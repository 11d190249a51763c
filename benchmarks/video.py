"""What the action model costs: one clip at a time, and an epoch of training whose frames are kept.

    python -m benchmarks.video [--data SRC] [--columns C=NAME] [--epochs N] [--json]

The default model with 16 frames of 64 by 64 pixels. Clips are decoded before the first epoch, and
training is timed from the second on; the first, in which the graph is made, is printed beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import about_machine, sentence

_CALLS = 200
_BATCH = 16


def latency(model: Any) -> dict[str, float]:
    """Milliseconds for one clip: median, and the value that one of ten calls exceeds."""
    import tensorflow as tf

    size = model.inputs[0].shape[2]
    draw = np.random.default_rng(0)
    clip = tf.constant(draw.integers(0, 256, (1, 16, size, size, 3)).astype(np.uint8))
    answer = tf.function(lambda frames: model({"frames": frames}, training=False))
    times = []
    for _ in range(_CALLS):
        started = time.perf_counter()
        answer(clip).numpy()
        times.append(1e3 * (time.perf_counter() - started))
    settled = times[_CALLS // 4 :]
    return {"median_ms": float(np.median(settled)), "p90_ms": float(np.percentile(settled, 90))}


def training(source: str, columns: str | None, epochs: int) -> dict[str, Any]:
    """Clips a second in each epoch, and how long one clip takes afterwards."""
    from apps import catalogue
    from apps.data.columns import parse_rename
    from apps.training.plan import Plan
    from apps.training.session import Session

    with tempfile.TemporaryDirectory() as folder:
        os.environ["APPS_CACHE"] = str(Path(folder) / "cache")
        renamed = parse_rename(columns, catalogue.load("actions").columns()) if columns else {}
        given = {"updates": 1, "epochs": epochs, "batch_size": _BATCH}
        plan = Plan("actions", source, columns=renamed, settings=given)
        read = time.perf_counter()
        session = Session(plan, run=Path(folder) / "run")
        read = time.perf_counter() - read
        times: dict[int, list[float]] = {}

        def step(position: Any) -> None:
            times.setdefault(position.epoch, []).append(time.perf_counter())

        session.fit(on_step=step)
        # The first step waits for the pipeline, and the last batch is smaller.
        rates = [
            _BATCH * (len(ends) - 2) / (ends[-2] - ends[0]) for _, ends in sorted(times.items())
        ]
        answered = latency(session.application.model)
    return {"decoding_s": read, "clips_per_second": rates, **answered}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a few lines or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.video", description=__doc__)
    parser.add_argument("--data", default="sample", help="clips to train on")
    parser.add_argument("--columns", help="as apps train takes it")
    parser.add_argument("--epochs", type=int, default=5, help="of training")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args(arguments)
    from apps import environment

    environment.prepare()
    about = about_machine("tensorflow", "keras", "av")
    found = {"machine": about, **training(chosen.data, chosen.columns, chosen.epochs)}
    if chosen.json:
        print(json.dumps(found))
        return
    first, *later = found["clips_per_second"]
    print(f"{sentence(about)}\n")
    print(f"one clip of 16 frames: {found['median_ms']:.1f} ms, p90 {found['p90_ms']:.1f} ms")
    print(f"reading and decoding: {found['decoding_s']:.1f} s")
    print(f"training: {np.median(later):.0f} clips/s, first epoch {first:.0f} clips/s")


if __name__ == "__main__":
    main()
