"""Seconds of each epoch with a network of `keras.applications` that stays as it is.

    python -m benchmarks.video_backbone [--backbone mobilenet_v2] [--size 96] [--clips 40] [--json]

Its weights are random, which costs what trained ones cost; clips are rendered. What the network
makes of each frame is kept on disk in the first epoch; beside it the same without (`cache_gb=0`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.machine import about_machine, sentence

_EPOCHS = 4


def seconds_of_epochs(folder: Path, settings: dict[str, Any], clips: int) -> list[float]:
    """Wall-clock seconds of each epoch, its validation included."""
    from apps.training.plan import Plan
    from apps.training.session import Session
    from apps.video.sample_clips import sample_clips

    rows = sample_clips(0, clips)
    pairs = zip(rows["video"], rows["label"], strict=True)
    data = [{"video": video, "label": label} for video, label in pairs]
    given = {"fine_tune": "no", "epochs": _EPOCHS, "updates": 1, **settings}
    session = Session(Plan("actions", data, settings=given), run=folder)
    ends = [time.perf_counter()]
    session.fit(on_epoch=lambda position: ends.append(time.perf_counter()))
    return [after - before for before, after in itertools.pairwise(ends)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print a few lines or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.video_backbone", description=__doc__)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=96, help="of a frame, pixels")
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args(arguments)
    from apps import environment

    environment.prepare()
    from apps.layers.video.backbone import FrameBackbone

    with tempfile.TemporaryDirectory() as folder:
        os.environ["APPS_CACHE"] = str(Path(folder) / "cache")
        file = Path(folder) / "random.weights.h5"
        FrameBackbone(chosen.backbone, chosen.size).network.save_weights(file)
        given = {"backbone": chosen.backbone, "weights": str(file), "size": chosen.size}
        given["motion"] = "picture"
        found = {
            "kept": seconds_of_epochs(Path(folder) / "kept", given, chosen.clips),
            "anew": seconds_of_epochs(
                Path(folder) / "anew", {**given, "cache_gb": 0}, chosen.clips
            ),
        }
    about = about_machine("tensorflow", "keras")
    if chosen.json:
        print(json.dumps({"machine": about, **found}))
        return
    print(f"{sentence(about)}\n")
    for name, seconds in found.items():
        print(f"features {name}: epochs of {', '.join(f'{one:.1f}' for one in seconds)} s")


if __name__ == "__main__":
    main()
