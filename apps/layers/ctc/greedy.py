"""Greedy decoding: the most likely token of every step."""

from __future__ import annotations

from collections.abc import Mapping

import keras
import tensorflow as tf

from apps.layers.ctc.decoder import PER_TOKEN, Decoder, Tensors, trimmed
from apps.layers.ctc.tokens import BLANK


@keras.saving.register_keras_serializable("apps")
class GreedyDecoder(Decoder):
    """Takes the most likely token of every step, merges runs and drops blanks.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks", section 3.2, best path decoding. `score` is the log probability
    of that path. In a stream a token settles when its run ends.
    """

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        return {
            "token": ((), "int32"),
            "began": ((), "int32"),
            "confidence": ((), "float32"),
            "steps": ((), "int32"),
            "score": ((), "float32"),
        }

    def step(
        self, log_probabilities: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Tensors, Tensors]:
        rows, steps = tf.shape(log_probabilities)[0], tf.shape(log_probabilities)[1]
        real = tf.sequence_mask(lengths, steps)
        best = tf.reduce_max(log_probabilities, 2)
        ids = tf.where(real, tf.argmax(log_probabilities, 2, tf.int32), BLANK)
        # The run that the chunk before left open counts as one more step in front.
        ids = tf.concat([state["token"][:, None], ids], 1)
        sure = tf.concat([state["confidence"][:, None], tf.exp(tf.minimum(best, 0.0))], 1)
        at = state["steps"][:, None] + tf.range(steps)
        at = tf.concat([state["began"][:, None], at], 1)

        before = tf.pad(ids, [[0, 0], [1, 0]])[:, :-1]
        number = tf.cumsum(tf.cast((ids != BLANK) & (ids != before), tf.int32), 1)
        counts, width = number[:, -1], steps + 2
        # Blanks go to a column of their own, after those of the tokens.
        column = tf.where(ids != BLANK, number - 1, width - 1)
        place = tf.reshape(tf.range(rows)[:, None] * width + column, [-1])

        def by_run(reduce: tf.types.experimental.PolymorphicFunction, values: tf.Tensor):
            return tf.reshape(reduce(tf.reshape(values, [-1]), place, rows * width), [rows, width])

        runs = {
            "ids": by_run(tf.math.unsorted_segment_max, ids),
            "steps": by_run(tf.math.unsorted_segment_min, at),
            "confidence": by_run(tf.math.unsorted_segment_max, sure),
        }
        token = tf.gather(ids, lengths, batch_dims=1)
        open_runs = tf.cast(token != BLANK, tf.int32)
        settled = counts - open_runs
        last = trimmed(
            {name: tf.gather(runs[name], settled[:, None], batch_dims=1) for name in runs},
            open_runs,
        )
        score = state["score"] + tf.reduce_sum(tf.where(real, best, 0.0), 1)
        return (
            {
                **trimmed(runs, settled),
                **{f"partial_{name}": last[name] for name in (*PER_TOKEN, "counts")},
            },
            {
                "token": token,
                "began": last["steps"][:, 0],
                "confidence": last["confidence"][:, 0],
                "steps": state["steps"] + lengths,
                "score": score,
            },
        )

    def finish(self, state: Mapping[str, tf.Tensor]) -> Tensors:
        last = {
            "ids": state["token"][:, None],
            "steps": state["began"][:, None],
            "confidence": state["confidence"][:, None],
        }
        counts = tf.cast(state["token"] != BLANK, tf.int32)
        return {**trimmed(last, counts), "score": state["score"]}
