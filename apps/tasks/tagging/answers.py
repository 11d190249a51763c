"""Spans with their types and probabilities, from what a CRF gives."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.crf import decode
from apps.layers.outside import Outside
from apps.tasks.tagging.tag_set import TagSet


@keras.saving.register_keras_serializable("apps")
class SpanAnswers(keras.layers.Layer):
    """The spans of the best sequence of tags.

    Args:
        types: names of the types of spans.
        scheme: of the tags that the CRF knows.
    """

    def __init__(self, types: Sequence[str], scheme: str, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.tag_set = TagSet(types, scheme)

    def call(self, given: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Name the spans of each row.

        Args:
            given: `emissions` `(batch, time, tags)` and `transitions` as `CRF` gives them;
                `lengths` `(batch,)`; `starts` and `ends` of the tokens in code points
                `(batch, time)`.

        Returns:
            Of each span, `(batch, spans)`: `spans_start` and `spans_end` int32 in code points, the
            end exclusive, `spans_type` string and `spans_score` float32, the probability that just
            this span has this type; padded behind `spans_counts` `(batch,)` int32 spans.
        """
        lengths = given["lengths"]
        found = decode(given["emissions"], given["transitions"], lengths)
        # A token without characters stands for a text without tokens.
        real = given["ends"] > given["starts"]
        types = tf.gather(self.tag_set.type_of, found.tags)
        opens = tf.gather(self.tag_set.opens, found.tags) & real
        inside = types >= 0
        rest = tf.concat([inside & ~opens, tf.zeros_like(inside[:, :1])], 1)[:, 1:]
        closes = inside & ~rest & real
        place, last = tf.where(opens), tf.where(closes)[:, 1]
        row, first = place[:, 0], place[:, 1]
        counts = tf.reduce_sum(tf.cast(opens, tf.int32), 1)
        score = tf.exp(found.log_probability(row, first, last))
        columns = {
            "start": tf.gather_nd(given["starts"], place),
            "end": tf.gather_nd(given["ends"], tf.stack([row, last], 1)),
            "type": tf.gather(tf.constant([*self.tag_set.types, ""]), tf.gather_nd(types, place)),
            "score": tf.cast(score, tf.float32),
        }
        padded = {
            f"spans_{name}": tf.RaggedTensor.from_row_lengths(
                values, tf.cast(counts, tf.int64)
            ).to_tensor()
            for name, values in columns.items()
        }
        return {**padded, "spans_counts": counts}

    def compute_output_spec(self, given: Mapping[str, Any]) -> dict[str, keras.KerasTensor]:
        batch = given["emissions"].shape[0]
        kinds = {"start": "int32", "end": "int32", "type": "string", "score": "float32"}
        return {
            **{f"spans_{n}": keras.KerasTensor((batch, None), dtype=k) for n, k in kinds.items()},
            "spans_counts": keras.KerasTensor((batch,), dtype="int32"),
        }

    def outside(self) -> Outside:
        """The names of the tags, and the search for the best sequence of them."""
        return Outside(
            "spans: the sequence of tags with the highest sum of 'emissions' and 'transitions', by "
            "the Viterbi algorithm; the last row of 'transitions' leads from the start to the "
            "first tag, the last column from the last tag to the end; the metadata's 'tags' name "
            "them in order",
            metadata={"tags": json.dumps(self.tag_set.names, ensure_ascii=False)},
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("dtype", None)
        return {**config, "types": list(self.tag_set.types), "scheme": self.tag_set.scheme}
