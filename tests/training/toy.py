"""A classifier so small that a training of it takes a second: for what the loop itself promises."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.configuration import ApplicationConfig
from apps.data import Prepared, RaggedRows
from apps.layers.pooling import LengthMask, MaxMeanPooling
from apps.tasks.classification import Classifier
from apps.training.distribution import Distribution
from apps.training.loop import Budget, Training
from apps.training.run_folder import RunFolder


class Toy:
    """What the loop asks of an application and no more: tells rows with more ones than twos.

    Args:
        config: settings of the training.
        seed: of weights, dropout and order.
        loss_factor: what the loss is multiplied by.
        dropout: share of the embedding's outputs dropped.
    """

    objective, maximise = "accuracy", True
    better, measure = Application.better, Classifier.measure
    decode, output_steps = Application.decode, Application.output_steps

    def __init__(
        self, config: ApplicationConfig, seed: int, loss_factor: float, dropout: float
    ) -> None:
        self.config, self.seed, self.loss_factor = config, seed, loss_factor
        keras.utils.set_random_seed(seed)
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        x = keras.layers.Embedding(3, 4, name="embedding")(ids)
        x = keras.layers.Dropout(dropout, seed=seed)(x)
        x = MaxMeanPooling()(x, mask=LengthMask()(ids, lengths))
        self.model = keras.Model({"ids": ids, "lengths": lengths}, keras.layers.Dense(2)(x))

    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs)
        return tf.reduce_mean(losses) * self.loss_factor


def rows(number: int, seed: int) -> Prepared:
    """Random rows of ones and twos with their class."""
    draw = np.random.default_rng(seed)
    sequences = [draw.integers(1, 3, draw.integers(3, 30)) for _ in range(number)]
    target = np.array([(row == 1).mean() > 0.5 for row in sequences], np.int32)
    return Prepared.of({"ids": RaggedRows.from_rows(sequences)}, target=target)


def training(
    folder: Path,
    *,
    seed: int = 0,
    minutes: float | None = None,
    checkpoint_seconds: float = 30.0,
    loss_factor: float = 1.0,
    dropout: float = 0.2,
    number: int = 96,
    distribution: Distribution | None = None,
    **settings: Any,
) -> Training:
    """A training of the toy, in steps of 8 rows."""
    config = ApplicationConfig.from_values({"batch_size": 8, "epochs": 2, **settings})
    distribution = distribution or Distribution()
    with distribution.scope():
        toy: Any = Toy(config, seed, loss_factor, dropout)
    files = RunFolder(folder)
    if not files.config.exists():
        files.create({"application": "toy"}, {})
    held_out = rows(40, seed=1)
    return Training(
        toy,
        rows(number, seed=0),
        held_out,
        held_out.values["target"],
        files,
        Budget(time.monotonic(), minutes, checkpoint_seconds=checkpoint_seconds),
        lambda line: None,
        distribution,
    )
