"""A batch in pieces gives the gradients, and the training, of the batch as a whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from toy import training

from apps.layers import LSTMStack
from apps.training.gradients import batch_gradients, share

ROWS = 3


@pytest.fixture(scope="module")
def application() -> Any:
    """Word ids to one number, with an LSTM and a weight decay in the loss."""
    keras.utils.set_random_seed(3)
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = keras.layers.Embedding(9, 4, name="embedding")(ids)
    x = LSTMStack(units=3, return_sequences=False)(x)
    dense = keras.layers.Dense(1, kernel_regularizer=keras.regularizers.L2(0.1))
    model = keras.Model({"ids": ids}, dense(x))
    return SimpleNamespace(
        model=model,
        forward=lambda batch: model({"ids": batch["ids"]}, training=True),
        loss=lambda batch, outputs: tf.reduce_mean(
            tf.math.squared_difference(outputs[:, 0], batch["target"])
        ),
    )


@pytest.fixture(scope="module")
def batch() -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(4)
    return {
        "ids": tf.constant(draw.integers(0, 8, (ROWS, 5)), tf.int32),
        "target": tf.constant(draw.normal(size=ROWS), tf.float32),
    }


@pytest.mark.parametrize("pieces", [2, ROWS + 1])
def test_gradients_are_those_of_the_whole_batch(
    application: Any, batch: dict[str, tf.Tensor], pieces: int
) -> None:
    whole = batch_gradients(application, batch)
    pieced = tf.function(lambda b: batch_gradients(application, b, accumulation_steps=pieces))(
        batch
    )
    np.testing.assert_allclose(pieced.loss, whole.loss, rtol=1e-6)
    kinds = []
    for one, other in zip(pieced.gradients, whole.gradients, strict=True):
        kinds.append(isinstance(one, tf.IndexedSlices))
        size = np.abs(tf.convert_to_tensor(other)).max()
        np.testing.assert_allclose(
            tf.convert_to_tensor(one), tf.convert_to_tensor(other), rtol=1e-6, atol=1e-6 * size
        )
    assert kinds == [True] + [False] * (len(kinds) - 1), "an embedding's gradient stays sparse"


def test_shares_hold_every_row_once_and_weigh_as_many_rows_as_they_have(
    batch: dict[str, tf.Tensor],
) -> None:
    for count in (1, 2, 3, ROWS, ROWS + 3):
        pieces = [share(batch, number, count) for number in range(count)]
        counted = [piece.batch["target"].numpy() for piece in pieces if piece.weight > 0]
        np.testing.assert_array_equal(np.concatenate(counted), batch["target"])
        assert all(len(p.batch["target"]) > 0 for p in pieces), "the mean of none is no number"
        assert sum(float(piece.weight) for piece in pieces) == pytest.approx(1)
        states = [piece.spread({"state_h": piece.batch["target"][:, None]}) for piece in pieces]
        placed = sum(state["state_h"].numpy() for state in states)
        np.testing.assert_array_equal(placed[:, 0], batch["target"])


def test_pieces_come_one_after_the_other(application: Any, batch: dict[str, tf.Tensor]) -> None:
    """Otherwise all activations would be in memory together, and pieces would save nothing."""
    graph = tf.function(
        lambda b: batch_gradients(application, b, accumulation_steps=3)
    ).get_concrete_function(
        {
            name: tf.TensorSpec([None, *value.shape[1:]], value.dtype)
            for name, value in batch.items()
        }
    )
    operations = graph.graph.get_operations()
    begins = [o for o in operations if o.type == "GatherV2" and "/embedding_" in o.name]
    ends = [o for o in operations if o.type == "SquaredDifference"]
    assert len(begins) == len(ends) == 3
    for end, begin in zip(ends, begins[1:], strict=False):
        assert _waits_for(begin, end)


def _waits_for(later: tf.Operation, earlier: tf.Operation) -> bool:
    seen, open_ones = set(), [later]
    while open_ones:
        operation = open_ones.pop()
        if operation is earlier:
            return True
        if operation.name not in seen:
            seen.add(operation.name)
            open_ones += [*operation.control_inputs, *(tensor.op for tensor in operation.inputs)]
    return False


def test_a_training_in_pieces_is_the_same_training(tmp_path: Path) -> None:
    states = []
    for pieces in (1, 3):
        session = training(
            tmp_path / str(pieces),
            number=97,
            dropout=0.0,
            learning_rate=0.01,
            accumulation_steps=pieces,
        )
        session.run()
        states.append([np.array(v) for v in [*session.model.weights, *session.optimizer.variables]])
    for one, other in zip(*states, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
