"""A linear model of word n-grams inside the graph: hashed, each n-gram counted once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Odd multipliers of a polynomial hash; products stay within 64 bits for any 32-bit id.
_MULTIPLIERS = (2_147_483_629, 1_000_003, 7_919, 104_729, 611_953)
# The order is mixed in again to tell a pair from a single word of equal hash.
_ORDER_STEP = 7_368_787


@keras.saving.register_keras_serializable("apps")
class NgramLogits(keras.layers.Layer):
    """Sum of one weight per distinct n-gram of a text, over the square root of their number.

    N-grams whose hashes collide share weights (Weinberger et al. 2009, "Feature hashing for
    large scale multitask learning"). The weights are set before training and are not trained.

    Args:
        classes: number of logits.
        order: n-grams of 1 up to this many words.
        buckets: rows of the table of weights.
    """

    def __init__(self, classes: int, order: int, buckets: int, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.classes, self.order, self.buckets = classes, order, buckets

    def build(self, ids_shape: Any, lengths_shape: Any = None) -> None:
        self.table = self.add_weight(
            shape=(self.buckets + 1, self.classes), initializer="zeros", name="table"
        )
        self.bias = self.add_weight(shape=(self.classes,), initializer="zeros", name="bias")

    def call(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Logits of texts, `(batch, classes)` float32.

        Args:
            ids: `(batch, time)` int32, right-padded.
            lengths: `(batch,)` int32, words of each text.
        """
        rows = tf.sort(self.rows(ids, lengths), axis=-1)
        first = tf.pad(rows[:, 1:] != rows[:, :-1], [[0, 0], [1, 0]], constant_values=True)
        rows = tf.where(first, rows, self.buckets)
        count = tf.reduce_sum(tf.cast(rows < self.buckets, tf.float32), 1, keepdims=True)
        sums = tf.reduce_sum(tf.gather(self.table.value, rows), 1)
        return sums / tf.sqrt(tf.maximum(count, 1.0)) + self.bias.value

    def rows(self, ids: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        """Table row of every n-gram, `(batch, order · time)` int64; `buckets` if there is none."""
        words = tf.cast(ids, tf.int64)
        steps = tf.shape(ids)[1]
        position = tf.range(steps)[None, :]
        found, mixed = [], tf.zeros_like(words)
        for n in range(self.order):
            shifted = tf.pad(words, [[0, 0], [n, 0]])[:, :steps]
            mixed = tf.bitwise.bitwise_xor(mixed, shifted * _MULTIPLIERS[n])
            whole = (position >= n) & (position < lengths[:, None])
            row = tf.math.floormod(mixed + n * _ORDER_STEP, self.buckets)
            found.append(tf.where(whole, row, self.buckets))
        return tf.concat(found, -1)

    def features(self, values: np.ndarray, offsets: np.ndarray, block: int = 1 << 18) -> Any:
        """N-gram features of many texts, each row of Euclidean length 1.

        Args:
            values: `(words,)` int32, the ids of all texts end to end.
            offsets: `(texts + 1,)` int64.
            block: words hashed at a time.

        Returns:
            scipy CSR matrix `(texts, buckets)` float32, whose product with a table of weights
            gives the layer's logits.
        """
        from scipy import sparse

        parts: list[Any] = []
        first, texts = 0, len(offsets) - 1
        while first < texts or not parts:
            last = int(np.searchsorted(offsets, offsets[first] + block, side="right")) - 1
            last = min(max(last, first + 1), texts)
            parts.append(self._block_features(values, offsets[first : last + 1]))
            first = last
        return sparse.vstack(parts, format="csr")

    def _block_features(self, values: np.ndarray, ends: np.ndarray) -> Any:
        from scipy import sparse

        words = values[ends[0] : ends[-1]].astype(np.int64)
        lengths = np.diff(ends)
        texts = np.repeat(np.arange(len(lengths)), lengths)
        position = np.arange(len(words)) - np.repeat(ends[:-1] - ends[0], lengths)
        found, of, mixed = [], [], np.zeros_like(words)
        for n in range(self.order):
            mixed[n:] ^= words[: len(words) - n] * _MULTIPLIERS[n]
            whole = position >= n
            found.append((mixed[whole] + n * _ORDER_STEP) % self.buckets)
            of.append(texts[whole])
        rows, texts = np.concatenate(found), np.concatenate(of)
        shape = (len(lengths), self.buckets)
        part = sparse.csr_matrix((np.ones(len(rows), np.float32), (texts, rows)), shape=shape)
        part.sum_duplicates()
        counts = np.diff(part.indptr)
        part.data[:] = np.repeat(1.0 / np.sqrt(np.maximum(counts, 1)), counts)
        return part

    def compute_output_spec(self, ids: Any, lengths: Any) -> keras.KerasTensor:
        return keras.KerasTensor((ids.shape[0], self.classes), dtype="float32")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {
            **config,
            "classes": self.classes,
            "order": self.order,
            "buckets": self.buckets,
        }
