"""Context in front of recordings in training, such as a stream holds before a word."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.audio.augmentation import WaveAugmentation, Waves, samples_at

# Root mean square of a pause, relative to full scale: from near silence to a noisy room.
_QUIETEST, _LOUDEST = 1e-5, 1e-2


@keras.saving.register_keras_serializable("apps")
class PrecedingContext(WaveAugmentation):
    """Puts the end of another recording and a noisy pause in front of a recording.

    A recurrent layer trained on single words only, each from a zero state, need not learn to forget
    one word before the next. The rows of a batch serve as context for one another. The length of a
    context, and how much of it is pause, are drawn for each row; the longest length is drawn for
    the batch.

    Args:
        seconds: longest context, in seconds.
        sample_rate: samples a second.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, seconds: float, sample_rate: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if seconds < 0 or sample_rate < 1:
            raise ValueError(
                f"seconds {seconds} must be 0 or more, sample_rate {sample_rate} above 0"
            )
        self.seconds = seconds
        self.sample_rate = sample_rate
        self.most = round(sample_rate * seconds)

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return super().active and self.most > 0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        rows, own = tf.shape(audio)[0], tf.shape(audio)[1]
        # The longest context is drawn for the batch, because all its rows are padded to it.
        length = self.uniform((rows,)) * self.uniform(()) * self.most
        length = tf.where(self.chosen(rows), length, 0.0)
        context = tf.cast(length, tf.int32)
        spoken = tf.cast(self.uniform((rows,)) * length, tf.int32)
        # Another row, unless there is only one.
        turn = 1 + tf.cast(self.uniform((rows,)) * tf.cast(rows - 1, tf.float32), tf.int32)
        lender = (tf.range(rows) + turn) % rows
        longest = tf.reduce_max(context)
        time = tf.range(longest)[None, :]
        end = time + (tf.gather(lengths, lender) - spoken)[:, None]
        before = tf.where(
            time < spoken[:, None],
            samples_at(tf.gather(audio, lender), end),
            self._pause(rows, longest),
        )
        before = tf.pad(before, [[0, 0], [0, own]])
        time = tf.range(longest + own)[None, :]
        after = samples_at(audio, time - context[:, None])
        joined = tf.where(time < context[:, None], before, after)
        return joined, lengths + context

    def _pause(self, rows: tf.Tensor, samples: tf.Tensor) -> tf.Tensor:
        """White noise at a level drawn for each row, `(rows, samples)`."""
        level = _QUIETEST * (_LOUDEST / _QUIETEST) ** self.uniform((rows, 1))
        return level * keras.random.normal((rows, samples), seed=self.seed_generator)

    def compute_output_spec(self, audio: Any, lengths: Any, training: bool = False) -> Any:
        _, lengths = super().compute_output_spec(audio, lengths)
        return keras.KerasTensor((audio.shape[0], None), dtype=self.compute_dtype), lengths

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "seconds": self.seconds,
            "sample_rate": self.sample_rate,
        }
