"""Trains on two devices or in two processes, for the tests of `distribution`.

Usage: several.py mirrored FOLDER        the toy, alone and on two virtual devices
       several.py multiworker RUN ROWS [STEP]   reviews, by TF_CONFIG; killed after STEP
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf

from apps.components import Pace
from apps.errors import UserError
from apps.training.distribution import distribute
from apps.training.plan import Plan
from apps.training.session import Session

SETTINGS: dict[str, Any] = {
    "units": 4,
    "embedding": 4,
    "ngrams": 0,
    "bidirectional": False,
    "batch_size": 16,
    "epochs": 3,
    "learning_rate": 0.01,
    **{f"{place}_dropout": 0.0 for place in ("word", "input", "layer", "weight", "output")},
}
TOY: dict[str, Any] = {"number": 33, "dropout": 0.0, "learning_rate": 0.01, "epochs": 2}


def mirrored(folder: Path) -> None:
    from toy import Toy, training

    class Paced(Toy):
        def paces(self) -> tuple[Pace, ...]:
            return (Pace(("embedding",), rate=0.1, begins=0.5),)

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    said: list[str] = []
    two = distribute("mirrored", said.append)
    assert two.replicas == 2, said
    # The last batch has one row, which leaves a device without any.
    training(folder / "alone", **TOY).run()
    training(folder / "together", **TOY, accumulation_steps=2, distribution=two).run()
    training(folder / "first alone", **TOY).run(1)
    training(folder / "first alone", **TOY, distribution=two).run()
    training(folder / "first together", **TOY, distribution=two).run(1)
    training(folder / "first together", **TOY).run()
    training(folder / "paced alone", kind=Paced, **TOY).run()
    training(folder / "paced together", kind=Paced, **TOY, distribution=two).run()


def multiworker(run: str, rows: str, step: int = 0) -> None:
    def killed(position: Any) -> None:
        if position.total == step:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        plan = Plan("sentiment", json.loads(Path(rows).read_text()), settings=SETTINGS)
        session = Session(plan, strategy="multiworker", run=run, resume=True)
        session.fit(on_step=killed)
        print(session.finish())
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    if sys.argv[1] == "mirrored":
        mirrored(Path(sys.argv[2]))
    else:
        multiworker(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
