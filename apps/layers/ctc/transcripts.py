"""Decoded tokens to texts with words, their times and their confidences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.ctc.tokens import SPACE, Tokens
from apps.layers.outside import Outside


@keras.saving.register_keras_serializable("apps")
class Transcripts(keras.layers.Layer):
    """Turns a decoder's tokens into named answers.

    Args:
        tokens: the decoder's tokens.
        step_seconds: seconds from one step of the decoder to the next.
    """

    def __init__(self, tokens: Tokens, step_seconds: float, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.tokens = tokens
        self.step_seconds = step_seconds

    def call(self, decoded: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Join tokens into words and texts.

        Args:
            decoded: a decoder's output: `ids`, `steps` `(batch, most)` int32, `confidence`
                `(batch, most)` float32, `counts` `(batch,)` int32.

        Returns:
            `text` `(batch,)` string; `confidence` `(batch,)` float32, that of the least certain
            word; and for each word, `(batch, words)`, `words` string, `starts` and `ends` in
            seconds and `confidences`, padded after `counts` `(batch,)` int32 words.
        """
        ids, steps = decoded["ids"], decoded["steps"]
        most = tf.shape(ids)[1]
        real = tf.sequence_mask(decoded["counts"], most) & (ids != SPACE)
        before = tf.pad(real, [[0, 0], [1, 0]])[:, :most]
        number = tf.cumsum(tf.cast(real & ~before, tf.int32), 1)
        counts = tf.reduce_max(tf.pad(number, [[0, 0], [1, 0]]), 1)
        rows, words = tf.shape(ids)[0], tf.reduce_max(tf.pad(counts, [[1, 0]]))
        # Tokens outside words go to one more column, which is cut off.
        column = tf.where(real, number - 1, words)
        place = tf.range(rows)[:, None] * (words + 1) + column

        def by_word(reduce: Any, values: tf.Tensor) -> tf.Tensor:
            reduced = reduce(tf.reshape(values, [-1]), tf.reshape(place, [-1]), rows * (words + 1))
            return tf.reshape(reduced, [rows, words + 1])[:, :words]

        there = tf.sequence_mask(counts, words)
        first = by_word(tf.math.unsorted_segment_min, steps)
        last = by_word(tf.math.unsorted_segment_max, steps) + 1
        sure = by_word(tf.math.unsorted_segment_mean, decoded["confidence"])
        texts = self._words(ids, place, rows, words)
        return {
            "text": tf.strings.strip(tf.strings.reduce_join(texts, 1, separator=" ")),
            "confidence": tf.reduce_min(
                tf.pad(tf.where(there, sure, 1.0), [[0, 0], [0, 1]], constant_values=1.0), 1
            ),
            "words": texts,
            "starts": self._seconds(first, there),
            "ends": self._seconds(last, there),
            "confidences": tf.where(there, sure, 0.0),
            "counts": counts,
        }

    def settled(
        self, settled: Mapping[str, tf.Tensor], rest: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Answers for a chunk of a stream.

        Args:
            settled: tokens that no later chunk changes, as `Decoder.step` returns them.
            rest: the tokens that follow, as `Decoder.finish` returns them.

        Returns:
            `settled` and `partial`, the texts of both, `(batch,)` string; for each settled token
            `tokens` string, `times` in seconds and `confidences`, `(batch, tokens)`, padded after
            `counts` `(batch,)` int32 tokens; and the same for the others, after `partial_`.
        """
        texts = tf.constant(self.tokens.texts)
        answers = {}
        for name, prefix, decoded in (("settled", "", settled), ("partial", "partial_", rest)):
            spelt = tf.gather(texts, decoded["ids"])
            answers[name] = tf.strings.reduce_join(spelt, 1)
            answers[f"{prefix}tokens"] = spelt
            answers[f"{prefix}times"] = tf.cast(decoded["steps"], tf.float32) * self.step_seconds
            answers[f"{prefix}confidences"] = decoded["confidence"]
            answers[f"{prefix}counts"] = decoded["counts"]
        return answers

    def _words(self, ids: tf.Tensor, place: tf.Tensor, rows: Any, words: Any) -> tf.Tensor:
        """The texts of the words, `(rows, words)` string."""
        spelt = tf.gather(tf.constant(self.tokens.texts), tf.reshape(ids, [-1]))
        order = tf.argsort(tf.reshape(place, [-1]), stable=True)
        of_word = tf.RaggedTensor.from_value_rowids(
            tf.gather(spelt, order),
            tf.gather(tf.reshape(place, [-1]), order),
            nrows=rows * (words + 1),
        )
        joined = tf.strings.reduce_join(of_word, 1)
        return tf.reshape(joined, [rows, words + 1])[:, :words]

    def _seconds(self, steps: tf.Tensor, there: tf.Tensor) -> tf.Tensor:
        return tf.where(there, tf.cast(steps, tf.float32) * self.step_seconds, 0.0)

    def compute_output_spec(self, decoded: dict[str, Any]) -> dict[str, keras.KerasTensor]:
        batch = decoded["ids"].shape[0]
        rows = {"text": "string", "confidence": "float32", "counts": "int32"}
        lists = {"words": "string", "starts": "float32", "ends": "float32"}
        lists["confidences"] = "float32"
        return {
            **{name: keras.KerasTensor((batch,), dtype=kind) for name, kind in rows.items()},
            **{name: keras.KerasTensor((batch, None), dtype=kind) for name, kind in lists.items()},
        }

    def outside(self) -> Outside:
        """What the outputs stand for, and when."""
        return Outside(
            "text: 'outputs' are log-probabilities of the metadata's 'tokens', of which the first "
            "is the blank, at steps of 'step_seconds'",
            metadata={
                "tokens": json.dumps(self.tokens.texts, ensure_ascii=False),
                "step_seconds": repr(self.step_seconds),
            },
        )

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "tokens": self.tokens.to_config()}
        return {**config, "step_seconds": self.step_seconds}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Transcripts:
        return cls(**{**config, "tokens": Tokens.from_config(config["tokens"])})
