"""The tf.data pipeline that feeds a view's batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.data.views.buckets import Batch
from apps.data.views.view import View

if TYPE_CHECKING:
    import tensorflow as tf

# Batches being made and batches waiting: few, to bound memory where a row takes megabytes.
_AT_ONCE, _WAITING = 4, 2


def dataset(view: View, batches: Sequence[Batch], start: int = 0) -> tf.data.Dataset:
    """Batches as a tf.data pipeline, in their order, fetched ahead by several threads.

    Args:
        view: makes the batches' arrays.
        batches: which units go together and to what length they are padded.
        start: batches to skip, to continue where an interrupted epoch stopped.

    Returns:
        Elements as the view fetches them, with the shapes of its `specs`.
    """
    import tensorflow as tf

    specs = view.specs()

    def fetch(number: np.ndarray) -> list[np.ndarray]:
        arrays = view.fetch(batches[int(number)])
        return [arrays[name] for name in specs]

    def element(number: tf.Tensor) -> dict[str, tf.Tensor]:
        dtypes = [tf.as_dtype(spec.dtype) for spec in specs.values()]
        tensors = tf.numpy_function(fetch, [number], dtypes, stateful=False)
        for tensor, spec in zip(tensors, specs.values(), strict=True):
            tensor.set_shape(spec.shape)
        return dict(zip(specs, tensors, strict=True))

    numbers = tf.data.Dataset.range(start, len(batches))
    elements = numbers.map(element, num_parallel_calls=_AT_ONCE, deterministic=True)
    return elements.prefetch(_WAITING)
