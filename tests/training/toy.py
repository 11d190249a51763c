"""A classifier so small that a training of it takes a second: for what the loop itself promises."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.application import Application
from apps.configuration import ApplicationConfig, fixed
from apps.data import Examples
from apps.inputs.texts import Texts
from apps.layers.pooling import LengthMask, MaxMeanPooling
from apps.layers.text import WordIds
from apps.tasks.classification import Classification
from apps.training.distribution import Distribution
from apps.training.loop import Budget, Training
from apps.training.run_folder import RunFolder

WORDS = ("one", "two")


@dataclass(frozen=True)
class ToyConfig(ApplicationConfig):
    """`dropout` is the share of the embedding's outputs dropped; `loss` multiplies the loss."""

    dropout: float = fixed(0.2, low=0.0, high=0.9)
    loss: str = fixed("1")


class Toy(Application):
    """Which of two words a text holds more of."""

    name = "toy"
    input = Texts("text")
    task: Classification = Classification("label")
    Config = ToyConfig
    config: ToyConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return rows(96, seed)

    def adapt(self, examples: Examples) -> Any:
        return {"words": WordIds(WORDS, max_tokens=64, name="words")}

    def build(self) -> keras.Model:
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        x = keras.layers.Embedding(self.adapted["words"].size, 4, name="embedding")(ids)
        x = keras.layers.Dropout(self.config.dropout, seed=self.seed)(x)
        x = MaxMeanPooling()(x, mask=LengthMask()(ids, lengths))
        logits = keras.layers.Dense(len(self.labels))(x)
        return keras.Model({"ids": ids, "lengths": lengths}, logits)

    def loss(self, batch: Any, outputs: Any) -> Any:
        return super().loss(batch, outputs) * float(self.config.loss)


def rows(number: int, seed: int) -> Examples:
    """Random texts of the two words, labelled with the more frequent one."""
    draw = np.random.default_rng(seed)
    texts = [draw.choice(WORDS, draw.integers(3, 30)) for _ in range(number)]
    labels = [WORDS[int((text == "two").mean() > 0.5)] for text in texts]
    places = [f"row {row}" for row in range(1, number + 1)]
    return Examples({"text": [" ".join(text) for text in texts], "label": labels}, places, "toy")


def training(
    folder: Path,
    *,
    kind: type[Toy] = Toy,
    seed: int = 0,
    started: float | None = None,
    minutes: float | None = None,
    checkpoint_seconds: float = 30.0,
    number: int = 96,
    log: Callable[[str], None] = lambda line: None,
    distribution: Distribution | None = None,
    **settings: Any,
) -> Training:
    """A training of the toy, in steps of 8 rows."""
    config = kind.Config.from_values({"batch_size": 8, "epochs": 2, **settings})
    distribution = distribution or Distribution()
    keras.utils.set_random_seed(seed)
    toy = kind(config, seed)
    learnt = rows(number, seed=0)
    with distribution.scope():
        adaptation = toy.compose(learnt)
    files = RunFolder(folder)
    if not files.config.exists():
        files.create({"application": "toy"}, {})
    started = time.monotonic() if started is None else started
    return Training(
        toy,
        toy.view(learnt, training=adaptation),
        toy.view(rows(40, seed=1)),
        None,
        files,
        Budget(started, minutes, checkpoint_seconds=checkpoint_seconds),
        log,
        distribution,
    )
