"""The tf.data pipeline that feeds a view's batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from apps.data.views.buckets import Batch
from apps.data.views.view import View
from apps.errors import UserError

if TYPE_CHECKING:
    import tensorflow as tf

# Batches being made and batches waiting: few, to bound memory where a row takes megabytes.
_AT_ONCE, _WAITING = 4, 2


class Elements:
    """A pipeline's elements; what a user is at fault for in one of them stays a `UserError`.

    Args:
        pipeline: fetches them.
        failures: errors of its function, added while it runs; TensorFlow keeps only their text.
    """

    def __init__(self, pipeline: tf.data.Dataset, failures: Sequence[UserError]) -> None:
        self._pipeline, self._failures = pipeline, failures

    @property
    def element_spec(self) -> dict[str, tf.TensorSpec]:
        """Shape and dtype of each array of a batch."""
        return self._pipeline.element_spec

    def __iter__(self) -> Iterator[dict[str, tf.Tensor]]:
        import tensorflow as tf

        try:
            yield from self._pipeline
        except tf.errors.OpError:
            if self._failures:
                raise self._failures[0] from None
            raise


def dataset(view: View, batches: Sequence[Batch], start: int = 0) -> Elements:
    """Batches as a tf.data pipeline, in their order, fetched ahead by several threads.

    Args:
        view: makes the batches' arrays.
        batches: which units go together and to what length they are padded.
        start: batches to skip, to continue where an interrupted epoch stopped.

    Returns:
        Elements as the view fetches them, with the shapes of its `specs`; a `UserError` of the
        view's `fetch` comes out of the loop over them.
    """
    import tensorflow as tf

    specs = view.specs()
    failures: list[UserError] = []

    def fetch(number: np.ndarray) -> list[np.ndarray]:
        try:
            arrays = view.fetch(batches[int(number)])
        except UserError as error:
            failures.append(error)
            raise
        return [arrays[name] for name in specs]

    def element(number: tf.Tensor) -> dict[str, tf.Tensor]:
        dtypes = [tf.as_dtype(spec.dtype) for spec in specs.values()]
        tensors = tf.numpy_function(fetch, [number], dtypes, stateful=False)
        for tensor, spec in zip(tensors, specs.values(), strict=True):
            tensor.set_shape(spec.shape)
        return dict(zip(specs, tensors, strict=True))

    numbers = tf.data.Dataset.range(start, len(batches))
    elements = numbers.map(element, num_parallel_calls=_AT_ONCE, deterministic=True)
    return Elements(elements.prefetch(_WAITING), failures)
