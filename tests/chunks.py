"""Feeds a layer that streams with pieces of a batch, as they would come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

State = Mapping[str, tf.Tensor]
Step = Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, tf.Tensor, State]]


def outputs(
    step: Step,
    specs: Mapping[str, tuple[tuple[int, ...], str]],
    signal: np.ndarray,
    lengths: np.ndarray,
    *,
    most: int,
    seed: int = 0,
) -> list[np.ndarray]:
    """Outputs of each row of a batch that is fed in chunks of random sizes.

    The first chunk is of no step at all; then every row has its own number of steps in a chunk,
    and something other than zeros in the padding. States must keep their shapes and dtypes.

    Args:
        step: a layer's `step`.
        specs: its `state_specs()`.
        signal: the whole, `(batch, time, ...)`.
        lengths: steps of each row, `(batch,)`.
        most: steps in a chunk at most.
        seed: of the sizes and the padding.
    """
    generator = np.random.default_rng(seed)
    rows = len(signal)
    signature = (
        tf.TensorSpec((None, None, *signal.shape[2:]), signal.dtype),
        tf.TensorSpec((None,), tf.int32),
        {name: tf.TensorSpec((None, *shape), dtype) for name, (shape, dtype) in specs.items()},
    )
    traced = tf.function(step, input_signature=signature)
    state = {name: tf.zeros((rows, *shape), dtype) for name, (shape, dtype) in specs.items()}
    found: list[list[np.ndarray]] = [[] for _ in signal]
    position = np.zeros_like(lengths)
    sizes = np.zeros_like(lengths)
    while True:
        padding = int(generator.integers(0, 2)) if sizes.any() else 0
        chunk = generator.normal(0, 9, (rows, sizes.max() + padding, *signal.shape[2:]))
        for row, size in enumerate(sizes):
            chunk[row, :size] = signal[row, position[row] : position[row] + size]
        y, steps, after = traced(
            tf.constant(chunk, signal.dtype), tf.constant(sizes, tf.int32), state
        )
        assert {name: (t.shape, t.dtype) for name, t in after.items()} == {
            name: (t.shape, t.dtype) for name, t in state.items()
        }
        state = dict(after)
        for row, count in enumerate(steps.numpy()):
            assert 0 <= count <= y.shape[1]
            found[row].extend(y.numpy()[row, :count])
        position += sizes
        if (position == lengths).all():
            return [np.array(row) for row in found]
        sizes = np.minimum(generator.integers(0, most + 1, len(lengths)), lengths - position)
