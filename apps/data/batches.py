"""Prepared rows and the tf.data pipeline that feeds them, batch by batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from apps.data.buckets import Batch
from apps.data.ragged import RaggedRows

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass(frozen=True, eq=False)
class Prepared:
    """Rows ready for the model: sequences of one length each, and values of fixed shape.

    Attributes:
        sequences: name to ragged rows; all of them have the same lengths.
        values: name to array `(rows, …)`, the target for example.
    """

    sequences: Mapping[str, RaggedRows]
    values: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        for name, rows in self.sequences.items():
            if not np.array_equal(rows.lengths, self.lengths):
                raise ValueError(f"the lengths of '{name}' differ from those of the first sequence")
        for name, values in self.values.items():
            if len(values) != len(self.lengths):
                raise ValueError(f"'{name}' has {len(values)} rows, not {len(self.lengths)}")

    @classmethod
    def of(cls, sequences: Mapping[str, RaggedRows], **values: np.ndarray | None) -> Self:
        """Prepared rows from sequences and from those values that are not None."""
        given = {name: np.asarray(value) for name, value in values.items() if value is not None}
        return cls(dict(sequences), given)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def lengths(self) -> np.ndarray:
        """`(rows,)` int64, in steps."""
        return next(iter(self.sequences.values())).lengths

    def fetch(self, rows: np.ndarray, length: int) -> dict[str, np.ndarray]:
        """The arrays of a batch.

        Args:
            rows: `(batch,)` row numbers.
            length: steps to which sequences are padded or clipped.

        Returns:
            Each sequence `(batch, length)` of its dtype, each value `(batch, …)`, and `lengths`
            `(batch,)` int32 in steps.
        """
        return {
            **{name: ragged.fetch(rows, length) for name, ragged in self.sequences.items()},
            **{name: values[rows] for name, values in self.values.items()},
            "lengths": np.minimum(self.lengths[rows], length).astype(np.int32),
        }


def dataset(prepared: Prepared, batches: Sequence[Batch], start: int = 0) -> tf.data.Dataset:
    """Batches as a tf.data pipeline, in their order, fetched ahead by several threads.

    Args:
        prepared: the rows.
        batches: which rows go together and to what length they are padded.
        start: batches to leave out, to go on where an interrupted epoch stopped.

    Returns:
        Elements as `fetch` gives them; batch and time dimensions are None in the element spec.
    """
    import tensorflow as tf

    names, signature = _signature(prepared)

    def fetch(number: np.ndarray) -> list[np.ndarray]:
        arrays = prepared.fetch(*batches[int(number)])
        return [arrays[name] for name in names]

    def element(number: tf.Tensor) -> dict[str, tf.Tensor]:
        tensors = tf.numpy_function(
            fetch, [number], [spec.dtype for spec in signature], stateful=False
        )
        for tensor, spec in zip(tensors, signature, strict=True):
            tensor.set_shape(spec.shape)
        return dict(zip(names, tensors, strict=True))

    numbers = tf.data.Dataset.range(start, len(batches))
    elements = numbers.map(element, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    return elements.prefetch(tf.data.AUTOTUNE)


def _signature(prepared: Prepared) -> tuple[list[str], list[tf.TensorSpec]]:
    """Names and specs of a batch's tensors, seen from batches that differ in both dimensions."""
    import tensorflow as tf

    none = np.zeros(0, np.int64)
    small, large = prepared.fetch(none, 1), prepared.fetch(none, 2)
    specs = []
    for name, array in small.items():
        sizes = zip(array.shape[1:], large[name].shape[1:], strict=True)
        shape = (None, *(a if a == b else None for a, b in sizes))
        specs.append(tf.TensorSpec(shape, tf.as_dtype(array.dtype)))
    return list(small), specs
