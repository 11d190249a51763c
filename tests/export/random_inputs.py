"""Random inputs of a model, for tests of layers that have no inputs of their own."""

from __future__ import annotations

import keras
import numpy as np

from apps.layers.doctor.tracing import places


def random_inputs(model: keras.Model, rows: int, steps: int, seed: int) -> dict[str, np.ndarray]:
    """Random inputs of a model.

    A vector of integers holds lengths, from 1 to all steps; other integers are ids that every
    embedding of the model has, the first of them 0; floats are normal; seven truths in ten are
    true.

    Args:
        model: the Keras model, functional.
        rows: the size of the first axis.
        steps: the size of other axes that the model leaves open.
        seed: seeds the draw.
    """
    draw = np.random.default_rng(seed)
    layers = [place.layer for place in places(model)]
    sizes = [layer.input_dim for layer in layers if isinstance(layer, keras.layers.Embedding)]
    given: dict[str, np.ndarray] = {}
    for tensor in model.inputs:
        shape = [rows, *(steps if size is None else size for size in tensor.shape[1:])]
        value: np.ndarray
        if tensor.dtype == "bool":
            value = draw.random(shape) < 0.7
        elif not tensor.dtype.startswith("int"):
            value = draw.standard_normal(shape)
        elif len(shape) == 1:
            value = draw.integers(1, steps + 1, shape)
            value[:2] = [steps, 1][:rows]
        else:
            value = draw.integers(0, min(sizes, default=2), shape)
            value.flat[0] = 0
        given[tensor.name] = value.astype(tensor.dtype)
    return given
