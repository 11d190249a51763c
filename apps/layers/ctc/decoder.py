"""Base of the greedy and beam search decoders of CTC outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.outside import Outside

Tensors = dict[str, tf.Tensor]

# Fields of every decoded token, and their types.
PER_TOKEN = {"ids": "int32", "steps": "int32", "confidence": "float32"}


class Decoder(keras.layers.Layer):
    """Decodes log probabilities of tokens at each step into the most likely tokens.

    A whole utterance is decoded as a stream of one chunk.
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
            of the token at any step of its run; `counts` `(batch,)` int32, tokens in each row;
            `score` `(batch,)` float32, by which the answer was chosen, in nats.
        """
        settled, state = self.step(log_probabilities, lengths, self.zeros(tf.shape(lengths)[0]))
        return join(settled, self.finish(state))

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries."""
        raise NotImplementedError

    def step(
        self, log_probabilities: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Tensors, Tensors]:
        """Decode a chunk of a stream.

        Args:
            log_probabilities: `(batch, steps, tokens)` float32.
            lengths: new steps of each row, `(batch,)` int32, possibly 0.
            state: the state after the chunk before, zeros at the start of a stream.

        Returns:
            Settled tokens, which no later chunk changes, in the form of `call` without `score`,
            steps counted from the stream's start; beside them, under the same names after
            `partial_`, the best guess of the tokens that follow; and the next state.
        """
        raise NotImplementedError

    def finish(self, state: Mapping[str, tf.Tensor]) -> Tensors:
        """End a stream: the tokens after the settled ones, in the form of `call`."""
        raise NotImplementedError

    def outside(self) -> Outside:
        """The search."""
        return Outside(
            "decoding: the likeliest token of each step, repeats merged and blanks dropped, or a "
            "beam search over prefixes"
        )

    def zeros(self, rows: int | tf.Tensor) -> Tensors:
        """The state at the start of `rows` streams."""
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
    """Set what follows each row's tokens to zero, and drop columns that no row needs.

    Args:
        tokens: by name, `(batch, any)`.
        counts: number of tokens in each row, `(batch,)` int32.

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
    """Join the tokens of two decoded pieces of the same rows.

    Args:
        first: settled tokens, as `Decoder.step` returns them.
        second: the tokens that follow, as `Decoder.finish` or `Decoder.step` returns them.

    Returns:
        `ids`, `steps`, `confidence`, `counts`, and `score` if the second piece has one.
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
