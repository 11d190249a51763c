"""An application so small that a trial of it takes a second, and every way in which one can fail.

Loading this module adds it to the catalogue, as a user's own module would.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from apps import catalogue
from apps.application import Application
from apps.configuration import ApplicationConfig, fixed, searched
from apps.data import Examples
from apps.inputs.texts import Texts
from apps.layers.pooling import LengthMask, MaxMeanPooling
from apps.layers.text import WordIds
from apps.tasks.classification import Classification
from apps.training.checkpoints import Position
from tuning.trials import child
from tuning.trials.training import Training


@dataclass(frozen=True)
class FaultyConfig(ApplicationConfig):
    """Settings; `fault` names what goes wrong, `flag` a file that tells that it did."""

    units: int = searched(4, low=1, high=1000)
    fault: str = fixed("")
    flag: str = fixed("")


class FaultyTask(Classification):
    """Which label a text has, by a measure that may fail."""

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        found = super().measure(statistics)
        if self.config.fault == "inf metric":
            found["cross_entropy"] = float("inf")
        return found


class Faulty(Application):
    """Tells rows with more a's than b's."""

    name = "faulty"
    input = Texts("text")
    task = FaultyTask("label")
    Config = FaultyConfig
    config: FaultyConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        draw = np.random.default_rng(7)
        texts = [draw.choice(["a", "b"], draw.integers(3, 20)) for _ in range(96)]
        labels = ["ab"[int((text == "b").mean() >= 0.5)] for text in texts]
        places = [f"row {number}" for number in range(len(texts))]
        return Examples({"text": list(map(" ".join, texts)), "label": labels}, places, "sample")

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        return {"words": WordIds(("a", "b"), max_tokens=64, name="words")}

    def build(self) -> keras.Model:
        FAULTS.get(self.config.fault, lambda config: None)(self.config)
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        size = self.adapted["words"].size
        x = keras.layers.Embedding(size, self.config.units, name="embedding")(ids)
        x = keras.layers.Dropout(0.2, seed=self.seed)(x)
        x = MaxMeanPooling()(x, mask=LengthMask()(ids, lengths))
        logits = keras.layers.Dense(len(self.labels))(x)
        return keras.Model({"ids": ids, "lengths": lengths}, logits)

    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        factors = {"nan loss": float("nan"), "inf loss": float("inf")}
        return super().loss(batch, outputs) * factors.get(self.config.fault, 1.0)


def _raise(config: FaultyConfig) -> None:
    raise RuntimeError("no such\nlayer")


def _hang(config: FaultyConfig) -> None:
    time.sleep(600)


def _allocate(config: FaultyConfig) -> None:
    if config.flag:
        # A helper of its own, such as a compiler, that must not outlive it.
        helper = subprocess.Popen(["sleep", "600"])
        Path(config.flag).write_text(str(helper.pid))
    taken = []
    while True:
        taken.append(np.ones(2**21))
        time.sleep(0.002)


def _allocate_whole_batches(config: FaultyConfig) -> None:
    if config.accumulation_steps == 1:
        _allocate(config)


def _exhaust(config: FaultyConfig) -> None:
    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def _be_killed(config: FaultyConfig) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _be_deaf(config: FaultyConfig) -> None:
    signal.signal(signal.SIGINT, lambda number, frame: print("heard", flush=True))
    print("deaf", flush=True)
    while True:
        time.sleep(600)


def _tell_threads(config: FaultyConfig) -> None:
    raise RuntimeError(f"{tf.config.threading.get_intra_op_parallelism_threads()} threads")


def _fill_the_disk(config: FaultyConfig) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "last.npz")


def _leave(config: FaultyConfig) -> None:
    os._exit(3)


FAULTS = {
    "raises": _raise,
    "hangs": _hang,
    "allocates": _allocate,
    "allocates for whole batches": _allocate_whole_batches,
    "exhausted": _exhaust,
    "killed": _be_killed,
    "deaf": _be_deaf,
    "threads": _tell_threads,
    "disk": _fill_the_disk,
    "leaves": _leave,
}


class FaultyTraining(Training):
    """Trains until something happens between two epochs or two steps."""

    def _on_epoch(self, position: Position) -> None:
        super()._on_epoch(position)
        # A training that is taken up again completes the first epoch no second time.
        while self.job.settings.get("fault") == "waits" and position.epoch == 1:
            time.sleep(0.02)

    def _on_step(self, position: Position) -> None:
        super()._on_step(position)
        flag = Path(self.job.settings.get("flag", ""))
        kills = self.job.settings.get("fault") == "killed once" and not flag.exists()
        if kills and (position.epoch, position.step) == (1, 3):
            flag.touch()
            os.kill(os.getpid(), signal.SIGKILL)


child.Training = FaultyTraining  # type: ignore[misc]
catalogue.APPLICATIONS["faulty"] = catalogue.Entry("faulty:Faulty", "whether there are more a's")
