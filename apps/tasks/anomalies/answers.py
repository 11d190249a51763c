"""From scores to alarms and events, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.calendar import time_text
from apps.layers.outside import Outside
from apps.layers.untrained import Untrained


@keras.saving.register_keras_serializable("apps")
class SensorAnswers(Untrained):
    """Scores of rows to flags, and flagged rows that lie close together to events.

    Answers are, each a number a row, `score`, the surprise of the most surprising channel (minus
    the decimal logarithm of how seldom such an error is), `flag`, whether it reaches the threshold,
    and `channel`, the number of that channel; `expected`, `low` and `high` `(batch, rows,
    channels)`, what the row before said of each row, 90 % of it lying in between; and by event the
    rows `start`, `end` (the last one) and `peak`, its `score`, its `channel` by name and, where
    rows are dated, `from` and `to`.

    Args:
        channels: names.
        merge: flagged rows with at most so many rows between them are one event.
        dated: whether rows have a time.
    """

    def __init__(self, channels: Sequence[str], merge: int, dated: bool, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.channels, self.merge, self.dated = list(channels), merge, dated

    def build(self, *shapes: Any) -> None:
        self.threshold = self.add_weight(
            shape=(),
            initializer="ones",
            trainable=False,
            name="threshold",
        )

    def flags(self, scores: Any) -> Any:
        """Whether scores of any shape reach the threshold."""
        return scores >= self.threshold

    def call(
        self, outputs: dict[str, tf.Tensor], lengths: tf.Tensor, time: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        found = self.of_rows(outputs)
        score, rows = found["score"], tf.shape(found["score"])[1]
        real = tf.sequence_mask(lengths, rows)
        flags = tf.cast(real & self.flags(score), tf.int32)
        # How many of the `merge + 1` rows before, and behind, are flagged.
        size = self.merge + 1
        total = tf.cumsum(tf.pad(flags, [[0, 0], [size + 1, size]]), 1)
        before = total[:, size : -size - 1] - total[:, : -2 * size - 1]
        behind = total[:, 2 * size + 1 :] - total[:, size + 1 : -size]
        begins = (flags > 0) & (before == 0)
        number = tf.cumsum(tf.cast(begins, tf.int32), 1)
        ends = (flags > 0) & (behind == 0)
        count = number[:, -1]
        most = tf.reduce_max(count)
        start, end = (_places(which)[:, :most] for which in (begins, ends))
        # Numbers of events over the whole batch; what belongs to none is dropped.
        batch = tf.shape(score)[0]
        own = tf.where(flags > 0, number - 1 + most * tf.range(batch)[:, None], -1)
        heights = tf.math.unsorted_segment_max(score, own, batch * most)
        highest = (flags > 0) & (score == tf.gather(tf.pad(heights, [[0, 1]]), tf.maximum(own, 0)))
        peak = tf.math.unsorted_segment_min(
            tf.broadcast_to(tf.range(rows)[None], tf.shape(own)),
            tf.where(highest, own, -1),
            batch * most,
        )
        heights, peak = (tf.reshape(one, [batch, most]) for one in (heights, peak))
        there = tf.range(most)[None] < count[:, None]
        peak = tf.where(there, peak, 0)
        channel = tf.gather(found["channel"], peak, batch_dims=1)
        found |= {
            "counts": lengths,
            "events_start": start,
            "events_end": end,
            "events_peak": peak,
            "events_score": tf.where(there, heights, 0.0),
            "events_channel": tf.gather(tf.constant(self.channels), channel),
            "events_counts": count,
            "channels": tf.tile(tf.constant(self.channels)[None], [tf.shape(score)[0], 1]),
            "channels_counts": tf.fill([tf.shape(score)[0]], len(self.channels)),
            "threshold": tf.fill([tf.shape(score)[0]], tf.convert_to_tensor(self.threshold)),
        }
        if time is not None:
            last = tf.maximum(tf.shape(time)[1] - 1, 0)
            for name, place in (("from", start), ("to", end)):
                moment = tf.gather(time, tf.minimum(place, last), batch_dims=1)
                found[f"events_{name}"] = time_text(moment)
        return found

    def of_rows(self, outputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The answers of rows, each by itself."""
        score = tf.reduce_max(outputs["surprise"], -1)
        found = {name: outputs[name] for name in ("expected", "low", "high")}
        return {
            "score": score,
            "flag": self.flags(score),
            "channel": tf.argmax(outputs["surprise"], -1, output_type=tf.int32),
            **found,
        }

    def compute_output_spec(
        self, outputs: dict[str, Any], lengths: Any, time: Any = None
    ) -> dict[str, Any]:
        batch, rows, channels = outputs["surprise"].shape
        shapes = {
            "score": ((batch, rows), "float32"),
            "flag": ((batch, rows), "bool"),
            "channel": ((batch, rows), "int32"),
            **dict.fromkeys(("expected", "low", "high"), ((batch, rows, channels), "float64")),
            **dict.fromkeys(("counts", "events_counts", "channels_counts"), ((batch,), "int32")),
            **{f"events_{n}": ((batch, None), "int32") for n in ("start", "end", "peak")},
            "events_score": ((batch, None), "float32"),
            "events_channel": ((batch, None), "string"),
            "channels": ((batch, len(self.channels)), "string"),
            "threshold": ((batch,), "float32"),
        }
        if time is not None:
            shapes |= {f"events_{n}": ((batch, None), "string") for n in ("from", "to")}
        return {n: keras.KerasTensor(shape, dtype=dtype) for n, (shape, dtype) in shapes.items()}

    def outside(self) -> Outside:
        """How flags and events follow."""
        return Outside(
            "a row's score is its largest 'surprise' over channels; it is flagged if that reaches "
            f"the metadata's 'threshold'; flagged rows with at most {self.merge} rows between them "
            "are one event",
            metadata={"threshold": str(float(self.threshold.numpy()))},
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "merge": self.merge,
            "dated": self.dated,
        }


def _places(which: tf.Tensor) -> tf.Tensor:
    """Rows at which something is so, in their order, then numbers behind the last row."""
    rows = tf.shape(which)[1]
    return tf.sort(tf.where(which, tf.range(rows)[None], rows), 1)
