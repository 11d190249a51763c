"""What greedy and beam search decoders of CTC outputs have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

Tensors = dict[str, tf.Tensor]

# What is known of every decoded token, and its type.
PER_TOKEN = {"ids": "int32", "steps": "int32", "confidence": "float32"}


class Decoder(keras.layers.Layer):
    """Log probabilities of tokens at each step to the most likely tokens.

    Whole utterances are decoded by the code that decodes streams: as one chunk and its end.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})

    def call(self, log_probabilities: tf.Tensor, lengths: tf.Tensor) -> Tensors:
        """Decode whole utterances.

        Args:
            log_probabilities: normalised, in nats, `(batch, steps, tokens)` float32; token 0 is
                the blank.
            lengths: real steps of each row, `(batch,)` int32.

        Returns:
            `ids` `(batch, most)` int32, padded with 0; `steps` `(batch, most)` int32, the step at
            which each token begins; `confidence` `(batch, most)` float32, the largest probability
            of the token at any step of its run; `counts` `(batch,)` int32, tokens of each row;
            `score` `(batch,)` float32, by which the answer was chosen, in nats.
        """
        settled, state = self.step(log_probabilities, lengths, self.zeros(tf.shape(lengths)[0]))
        return join(settled, self.finish(state))

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """What a stream carries, by name: shape without the batch axis, and type."""
        raise NotImplementedError

    def step(
        self, log_probabilities: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Tensors, Tensors]:
        """Decode a chunk of a stream.

        Args:
            log_probabilities: `(batch, steps, tokens)` float32.
            lengths: steps of each row that are new, `(batch,)` int32; 0 is fine.
            state: what the chunk before it left, zeros at the beginning.

        Returns:
            Tokens that no later chunk changes any more, in the form of `call` without `score`,
            steps counted from the stream's beginning; under the same names with `partial_` in
            front the best guess of what follows them; and the state.
        """
        raise NotImplementedError

    def finish(self, state: Mapping[str, tf.Tensor]) -> Tensors:
        """The tokens behind those that have settled, in the form of `call`, as a stream ends."""
        raise NotImplementedError

    def zeros(self, rows: int | tf.Tensor) -> Tensors:
        """The state at the beginning of so many streams."""
        return {
            name: tf.zeros([rows, *shape], dtype)
            for name, (shape, dtype) in self.state_specs().items()
        }

    def compute_output_spec(self, log_probabilities: Any, lengths: Any) -> dict[str, Any]:
        batch = log_probabilities.shape[0]
        return {
            **{name: keras.KerasTensor((batch, None), kind) for name, kind in PER_TOKEN.items()},
            "counts": keras.KerasTensor((batch,), "int32"),
            "score": keras.KerasTensor((batch,), "float32"),
        }


def trimmed(tokens: Mapping[str, tf.Tensor], counts: tf.Tensor) -> Tensors:
    """Zeros in the place of what stands behind each row's tokens, and no more columns than needed.

    Args:
        tokens: by name, `(batch, any)`.
        counts: tokens of each row, `(batch,)` int32.

    Returns:
        The same, `(batch, most)`, at least one column, and `counts`.
    """
    most = tf.maximum(tf.reduce_max(tf.pad(counts, [[1, 0]])), 1)
    real = tf.sequence_mask(counts, most)

    def trim(values: tf.Tensor) -> tf.Tensor:
        missing = tf.maximum(most - tf.shape(values)[1], 0)
        values = tf.pad(values[:, :most], [[0, 0], [0, missing]])
        return tf.where(real, values, tf.zeros([], values.dtype))

    return {**{name: trim(values) for name, values in tokens.items()}, "counts": counts}


def join(first: Mapping[str, tf.Tensor], second: Mapping[str, tf.Tensor]) -> Tensors:
    """Tokens of two decoded pieces of the same rows, one behind the other.

    Args:
        first: tokens that have settled, as `Decoder.step` gives them.
        second: what follows, as `Decoder.finish` or `Decoder.step` gives it.

    Returns:
        `ids`, `steps`, `confidence`, `counts`, and `score` where the second piece has one.
    """
    counts = first["counts"] + second["counts"]
    left, right = tf.shape(first["ids"])[1], tf.shape(second["ids"])[1]
    place = tf.range(left + right)[None]
    held = first["counts"][:, None]
    index = tf.where(place < held, place, tf.minimum(place - held, right - 1) + left)
    joined = {
        name: tf.gather(tf.concat([first[name], second[name]], 1), index, batch_dims=1)
        for name in PER_TOKEN
    }
    score = {"score": second["score"]} if "score" in second else {}
    return {**trimmed(joined, counts), **score}
