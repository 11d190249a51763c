"""Which frames of a clip a model sees, and at what size."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("apps")
class FrameSampler(keras.layers.Layer):
    """Takes the middles of equal parts of each clip, and scales them to one size.

    Args:
        frames: how many frames of a clip are taken; a clip with fewer repeats some.
        size: height and width of what comes out, pixels.
        seconds: how long a clip lasts as a rule, from which a stream learns its rate.

    Call arguments:
        frames: `(batch, time, height, width, 3)` uint8, RGB.
        lengths: real frames of each row, `(batch,)` int32.

    Returns:
        `(batch, frames, size, size, 3)` uint8; black where a row has no frame.
    """

    def __init__(self, frames: int, size: int, seconds: float, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "uint8", **kwargs})
        self.frames, self.size, self.seconds = frames, size, seconds

    def call(self, frames: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        lengths = tf.cast(lengths, tf.int32)
        # A batch without any frame still needs one to take from.
        missing = tf.maximum(1 - tf.shape(frames)[1], 0)
        frames = tf.pad(frames, [[0, 0], [0, missing], [0, 0], [0, 0], [0, 0]])
        taken = tf.gather(frames, middles(lengths, self.frames), batch_dims=1)
        real = tf.cast(lengths > 0, taken.dtype)[:, None, None, None, None]
        return self.scaled(taken * real)

    def scaled(self, frames: tf.Tensor) -> tf.Tensor:
        """Frames `(batch, time, height, width, 3)` uint8 at the layer's size, none left out.

        Each pixel is the mean of those that it covers; what has the size already stays as it is.
        """
        shape, side = tf.shape(frames), self.size
        if tuple(frames.shape[2:4]) == (side, side):
            return frames

        def resized() -> tf.Tensor:
            flat = tf.reshape(frames, [-1, shape[2], shape[3], 3])
            made = tf.image.resize(flat, (side, side), antialias=True)
            rounded = tf.cast(tf.clip_by_value(tf.round(made), 0.0, 255.0), tf.uint8)
            return tf.reshape(rounded, [shape[0], shape[1], side, side, 3])

        same = tf.reduce_all(shape[2:4] == side)
        made = tf.cond(same, lambda: tf.identity(frames), resized)
        return tf.ensure_shape(made, [frames.shape[0], frames.shape[1], side, side, 3])

    def compute_output_spec(self, frames: Any, lengths: Any) -> keras.KerasTensor:
        shape = (frames.shape[0], self.frames, self.size, self.size, 3)
        return keras.KerasTensor(shape, dtype="uint8")

    def outside(self) -> None:
        """Nothing: how frames are chosen and scaled stands in the metadata."""

    def get_config(self) -> dict[str, Any]:
        names = ("frames", "size", "seconds")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("apps")
class RandomFrames(keras.layers.Layer):
    """One frame from each of so many equal parts of a clip: any in training, else the middle one.

    Temporal segment sampling (Wang et al. 2016, "Temporal segment networks", section 3.1).

    Args:
        frames: how many are taken.
        seed: of all draws.

    Call arguments:
        frames: `(batch, time, …)`.
    """

    def __init__(self, frames: int, seed: int | None = None, **kwargs: Any) -> None:
        # What is taken keeps its type.
        super().__init__(**{"trainable": False, "autocast": False, **kwargs})
        self.frames, self.seed = frames, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, frames: tf.Tensor, training: bool = False) -> tf.Tensor:
        rows, time = tf.shape(frames)[0], tf.shape(frames)[1]
        if not training:
            places = middles(time[None], self.frames)[0]
            return tf.gather(frames, places, axis=1)
        drawn = keras.random.uniform((rows, self.frames), dtype="float32", seed=self.seed_generator)
        parts = tf.range(self.frames, dtype=tf.float32) + drawn
        places = tf.cast(parts * tf.cast(time, tf.float32) / self.frames, tf.int32)
        return tf.gather(frames, tf.minimum(places, time - 1), batch_dims=1)

    def compute_output_spec(self, frames: Any, training: bool = False) -> keras.KerasTensor:
        shape = (frames.shape[0], self.frames, *frames.shape[2:])
        return keras.KerasTensor(shape, dtype=frames.dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "frames": self.frames, "seed": self.seed}


def middles(lengths: tf.Tensor, count: int) -> tf.Tensor:
    """The frame in the middle of each of `count` equal parts, `(batch, count)` int32.

    Args:
        lengths: frames of each row, `(batch,)` int32; 0 counts as 1.
    """
    odd = 2 * tf.range(count) + 1
    return odd[None, :] * tf.maximum(lengths, 1)[:, None] // (2 * count)
