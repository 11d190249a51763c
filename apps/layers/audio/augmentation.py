"""Augmentation of waveforms in training, drawn for each row independently."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import zero_beyond

Waves = tuple[tf.Tensor, tf.Tensor]

# Coloured noise has a flat spectrum below this share of the sampling rate, 40 Hz at 16 kHz;
# otherwise most of its power would lie where nobody hears it.
_LOWEST = 1 / 400


class WaveAugmentation(keras.layers.Layer):
    """Base of waveform augmentations: identity outside training, seeded draws, zero padding.

    Args:
        probability: share of rows that are changed.
        seed: seed of all draws.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        audio: samples in [-1, 1], `(batch, samples)` float32.
        lengths: real samples of each row, `(batch,)` int32.
        training: change rows; otherwise the inputs are returned unchanged.

    Returns:
        Audio, zeros beyond each row's length, and the new lengths.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, *, probability: float = 1.0, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability must be from 0 to 1, not {probability}")
        self.probability = probability
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return self.probability > 0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        """Change the rows; `call` zeroes samples beyond a row's length before and after."""
        raise NotImplementedError

    def call(self, audio: tf.Tensor, lengths: tf.Tensor, training: bool = False) -> Waves:
        if not training or not self.active:
            return audio, lengths
        audio, lengths = self.augment(zero_beyond(audio, lengths), tf.cast(lengths, tf.int32))
        return zero_beyond(audio, lengths), lengths

    def compute_output_spec(self, audio: Any, lengths: Any, training: bool = False) -> Any:
        return (
            keras.KerasTensor(audio.shape, dtype=self.compute_dtype),
            keras.KerasTensor(lengths.shape, dtype="int32"),
        )

    def uniform(self, shape: Any, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """Draw from the uniform distribution from `low` to `high`, float32."""
        return keras.random.uniform(shape, low, high, dtype="float32", seed=self.seed_generator)

    def chosen(self, rows: tf.Tensor) -> tf.Tensor:
        """Draw which of `rows` rows are changed, `(rows,)` bool."""
        return self.uniform((rows,)) < self.probability

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "probability": self.probability, "seed": self.seed}


@keras.saving.register_keras_serializable("apps")
class SpeedChange(WaveAugmentation):
    """Plays rows faster or slower, with their pitch and formants, by cubic interpolation.

    Ko et al., "Audio augmentation for speech recognition", Interspeech 2015, section 2.1.

    Args:
        low: slowest speed, more than 0; 0.9 makes a row a ninth longer.
        high: fastest speed.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, low: float = 0.9, high: float = 1.1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0.0 < low <= high:
            raise ValueError(f"speeds from {low} to {high}: take 0 < low <= high")
        self.low = low
        self.high = high

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return super().active and not self.low == self.high == 1.0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        rows = tf.shape(audio)[0]
        speed = self.uniform((rows,), self.low, self.high)
        # In single precision, positions in a minute of sound have no bits left for a fraction.
        speed = tf.cast(tf.where(self.chosen(rows), speed, 1.0), tf.float64)
        after = tf.cast(tf.round(tf.cast(lengths, tf.float64) / speed), tf.int32)
        after = tf.maximum(after, tf.minimum(lengths, 1))
        position = tf.cast(tf.range(tf.reduce_max(after)), tf.float64)[None, :] * speed[:, None]
        whole = tf.floor(position)
        return _cubic(
            audio, tf.cast(whole, tf.int32), tf.cast(position - whole, audio.dtype)
        ), after

    def compute_output_spec(self, audio: Any, lengths: Any, training: bool = False) -> Any:
        _, lengths = super().compute_output_spec(audio, lengths)
        return keras.KerasTensor((audio.shape[0], None), dtype=self.compute_dtype), lengths

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "low": self.low, "high": self.high}


@keras.saving.register_keras_serializable("apps")
class TimeShift(WaveAugmentation):
    """Moves rows earlier or later: zeros fill the gap, what passes an end is lost, lengths stay.

    Warden, "Speech Commands: a dataset for limited-vocabulary speech recognition", 2018, and its
    example code.

    Args:
        max_ms: largest shift, in milliseconds.
        sample_rate: samples a second.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, max_ms: float, sample_rate: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_ms < 0 or sample_rate < 1:
            raise ValueError(
                f"max_ms {max_ms} must be 0 or more, sample_rate {sample_rate} above 0"
            )
        self.max_ms = max_ms
        self.sample_rate = sample_rate
        self.most = round(sample_rate * max_ms / 1000)

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return super().active and self.most > 0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        rows, samples = tf.shape(audio)[0], tf.shape(audio)[1]
        later = tf.round(self.uniform((rows,), -float(self.most), float(self.most)))
        later = tf.where(self.chosen(rows), tf.cast(later, tf.int32), 0)
        source = tf.range(samples)[None, :] - later[:, None]
        return samples_at(audio, source), lengths

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_ms": self.max_ms, "sample_rate": self.sample_rate}


@keras.saving.register_keras_serializable("apps")
class Gain(WaveAugmentation):
    """Makes rows louder or quieter; nothing is clipped.

    Args:
        max_db: largest change in decibels, up or down.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, max_db: float = 6.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_db < 0:
            raise ValueError(f"max_db must be 0 or more, not {max_db}")
        self.max_db = max_db

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return super().active and self.max_db > 0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        rows = tf.shape(audio)[0]
        decibels = self.uniform((rows,), -self.max_db, self.max_db)
        decibels = tf.where(self.chosen(rows), decibels, 0.0)
        return audio * tf.cast(10.0 ** (decibels / 20.0), audio.dtype)[:, None], lengths

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "max_db": self.max_db}


@keras.saving.register_keras_serializable("apps")
class Dither(WaveAugmentation):
    """Adds a little white Gaussian noise, so that digital silence is not always the same input.

    Args:
        level: standard deviation, relative to full scale; the default is one step of 16 bits.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(self, level: float = 1 / 32768, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if level < 0:
            raise ValueError(f"level must be 0 or more, not {level}")
        self.level = level

    @property
    def active(self) -> bool:
        """Whether training changes anything under these settings."""
        return super().active and self.level > 0

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        noise = keras.random.normal(tf.shape(audio), dtype="float32", seed=self.seed_generator)
        level = tf.where(self.chosen(tf.shape(audio)[0]), self.level, 0.0)
        return audio + tf.cast(noise * level[:, None], audio.dtype), lengths

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "level": self.level}


@keras.saving.register_keras_serializable("apps")
class NoiseMixing(WaveAugmentation):
    """Mixes rows with coloured noise, or with babble made of other rows of the batch.

    Coloured noise has the power spectrum `1 / f^a`, with `a` drawn from 0 to 2: white, pink, brown
    and everything between. Babble is the sum of `voices` other rows, each repeated as needed from
    a random point on; a batch of one row gets coloured noise instead. The signal-to-noise ratio
    compares powers over the row's real samples, so a row of zeros is not changed.

    Args:
        low_db: lowest signal-to-noise ratio in decibels.
        high_db: highest signal-to-noise ratio in decibels.
        babble: share of the noisy rows that are mixed with babble.
        voices: number of other rows in the babble.
        **kwargs: the arguments of `WaveAugmentation`.

    Raises:
        ValueError: a setting is out of its range.
    """

    def __init__(
        self,
        low_db: float = 5.0,
        high_db: float = 30.0,
        *,
        babble: float = 0.3,
        voices: int = 3,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if low_db > high_db:
            raise ValueError(f"low_db {low_db} must be at most high_db {high_db}")
        if not 0.0 <= babble <= 1.0 or voices < 1:
            raise ValueError(f"babble {babble} must be from 0 to 1, voices {voices} at least 1")
        self.low_db = low_db
        self.high_db = high_db
        self.babble = babble
        self.voices = voices

    def augment(self, audio: tf.Tensor, lengths: tf.Tensor) -> Waves:
        rows = tf.shape(audio)[0]
        noise = self._coloured(audio)
        if self.babble:
            talking = (self.uniform((rows,)) < self.babble) & (rows > 1)
            row = tf.range(rows)
            talk = self._talk(audio, lengths, tf.boolean_mask(row, talking))
            behind = rows - 1 + tf.cumsum(tf.cast(talking, tf.int32))
            noise = tf.gather(tf.concat([noise, talk], 0), tf.where(talking, behind, row))
        noise = zero_beyond(noise, lengths)
        ratio = 10.0 ** (self.uniform((rows,), self.low_db, self.high_db) / 10.0)
        powers = tf.reduce_sum(tf.square(audio), 1), tf.reduce_sum(tf.square(noise), 1)
        level = tf.sqrt(tf.math.divide_no_nan(powers[0], powers[1] * ratio))
        level = tf.where(self.chosen(rows), level, 0.0)
        return audio + noise * level[:, None], lengths

    def _coloured(self, audio: tf.Tensor) -> tf.Tensor:
        rows, samples = tf.shape(audio)[0], tf.shape(audio)[1]
        size = 2 * (samples // 2 + 1)
        white = keras.random.normal(
            (2, rows, size // 2 + 1), dtype="float32", seed=self.seed_generator
        )
        frequency = tf.range(size // 2 + 1, dtype=tf.float32) / tf.cast(size, tf.float32)
        fall = self.uniform((rows, 1), 0.0, 2.0)
        shape = tf.maximum(frequency, _LOWEST)[None, :] ** (-fall / 2)
        shape *= tf.cast(frequency > 0, tf.float32)
        return tf.signal.irfft(tf.complex(white[0] * shape, white[1] * shape), [size])[:, :samples]

    def _talk(self, audio: tf.Tensor, lengths: tf.Tensor, row: tf.Tensor) -> tf.Tensor:
        """Babble for the rows whose numbers are in `row`, `(numbered, samples)`."""
        rows, samples, numbered = tf.shape(audio)[0], tf.shape(audio)[1], tf.shape(row)[0]
        talk = tf.zeros((numbered, samples), audio.dtype)
        for _ in range(self.voices):
            away = self.uniform((numbered,)) * tf.cast(rows - 1, tf.float32)
            # From 1 to rows - 1: never the row itself.
            other = (row + 1 + tf.minimum(tf.cast(away, tf.int32), rows - 2)) % rows
            length = tf.maximum(tf.gather(lengths, other), 1)
            begin = tf.cast(self.uniform((numbered,)) * tf.cast(length, tf.float32), tf.int32)
            sample = (begin[:, None] + tf.range(samples)[None, :]) % length[:, None]
            talk += tf.gather(tf.gather(audio, other), sample, batch_dims=1)
        return talk

    def get_config(self) -> dict[str, Any]:
        names = ("low_db", "high_db", "babble", "voices")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def samples_at(audio: tf.Tensor, sample: tf.Tensor) -> tf.Tensor:
    """Each row's samples at the positions `(batch, time)` int32; zeros outside the row."""
    last = tf.shape(audio)[1] - 1
    found = tf.gather(audio, tf.clip_by_value(sample, 0, last), batch_dims=1)
    return tf.where((sample >= 0) & (sample <= last), found, tf.zeros([], audio.dtype))


def _cubic(audio: tf.Tensor, sample: tf.Tensor, fraction: tf.Tensor) -> tf.Tensor:
    """Values between samples, on the Catmull-Rom cubic through the four nearest samples."""
    samples = tf.shape(audio)[1]
    padded = tf.pad(audio, [[0, 0], [1, 3]])
    # One gather for all four neighbours, because gathering is most of the cost.
    around = tf.stack([padded[:, first : first + samples + 1] for first in range(4)], -1)
    points = tf.gather(around, tf.minimum(sample, samples), batch_dims=1)
    before, here, after, later = tf.unstack(points, axis=-1)
    slope, next_slope, step = (after - before) / 2, (later - here) / 2, here - after
    square = -3 * step - 2 * slope - next_slope
    cube = 2 * step + slope + next_slope
    return here + fraction * (slope + fraction * (square + fraction * cube))
