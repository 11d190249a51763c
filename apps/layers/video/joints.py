"""Layers that take the joints of a body over time."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers.video.sampling import middles

_LEAST = 1e-6


@keras.saving.register_keras_serializable("apps")
class JointSampler(keras.layers.Layer):
    """Takes the middles of equal parts of each sequence of joints.

    Args:
        frames: how many moments are taken; a sequence with fewer repeats some.
        joints: points of a body.
        dims: coordinates of a point.
        seconds: how long a sequence lasts as a rule.

    Call arguments:
        joints: `(batch, time, joints, dims)` float32.
        lengths: real moments of each row, `(batch,)` int32.

    Returns:
        `(batch, frames, joints, dims)` float32; zeros where a row has none.
    """

    def __init__(self, frames: int, joints: int, dims: int, seconds: float, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.frames, self.joints, self.dims, self.seconds = frames, joints, dims, seconds

    def call(self, joints: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        lengths = tf.cast(lengths, tf.int32)
        missing = tf.maximum(1 - tf.shape(joints)[1], 0)
        joints = tf.pad(joints, [[0, 0], [0, missing], [0, 0], [0, 0]])
        taken = tf.gather(joints, middles(lengths, self.frames), batch_dims=1)
        return taken * tf.cast(lengths > 0, taken.dtype)[:, None, None, None]

    def compute_output_spec(self, joints: Any, lengths: Any) -> keras.KerasTensor:
        shape = (joints.shape[0], self.frames, self.joints, self.dims)
        return keras.KerasTensor(shape, dtype="float32")

    def outside(self) -> None:
        """Nothing: how moments are chosen stands in the metadata."""

    def get_config(self) -> dict[str, Any]:
        names = ("frames", "joints", "dims", "seconds")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@keras.saving.register_keras_serializable("apps")
class JointMotion(keras.layers.Layer):
    """Joints relative to the body's middle and size, and how they move.

    Where the body stands, and how large it appears, is left out. In training, sequences are turned
    by up to 10 degrees, stretched by up to a tenth and, if asked for, mirrored.

    Args:
        mirror: whether left and right are exchanged in every second sequence.
        seed: of all draws.

    Call arguments:
        joints: `(batch, time, joints, dims)` float32.

    Returns:
        `(batch, time - 1, 2 · joints · dims)`.
    """

    def __init__(self, mirror: bool, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.mirror, self.seed = mirror, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, joints: tf.Tensor, training: bool = False) -> tf.Tensor:
        centred = joints - tf.reduce_mean(joints, [1, 2], keepdims=True)
        spread = tf.sqrt(tf.reduce_mean(tf.square(centred), [1, 2, 3], keepdims=True))
        x = centred / tf.maximum(spread, _LEAST)
        if training:
            x = self._changed(x)
        # A tenth of the body's size a step is fast.
        steps = tf.concat([x[:, 1:], 10 * (x[:, 1:] - x[:, :-1])], -1)
        shape = tf.shape(steps)
        return tf.reshape(steps, [shape[0], shape[1], steps.shape[2] * steps.shape[3]])

    def _changed(self, x: tf.Tensor) -> tf.Tensor:
        rows = tf.shape(x)[0]
        angle = self._uniform(rows, -0.17, 0.17)
        across, down = x[..., 0], x[..., 1]
        turned = [
            tf.cos(angle) * across - tf.sin(angle) * down,
            tf.sin(angle) * across + tf.cos(angle) * down,
        ]
        if self.mirror:
            turned[0] *= tf.where(self._uniform(rows, 0.0, 1.0) < 0.5, -1.0, 1.0)
        stretched = [part * self._uniform(rows, 0.9, 1.1) for part in turned]
        return tf.concat([tf.stack(stretched, -1), x[..., 2:]], -1)

    def _uniform(self, rows: tf.Tensor, low: float, high: float) -> tf.Tensor:
        drawn = keras.random.uniform((rows,), low, high, dtype="float32", seed=self.seed_generator)
        return tf.cast(drawn, self.compute_dtype)[:, None, None]

    def compute_output_spec(self, joints: Any, training: bool = False) -> keras.KerasTensor:
        batch, time, points, dims = joints.shape
        shape = (batch, None if time is None else time - 1, 2 * points * dims)
        return keras.KerasTensor(shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mirror": self.mirror, "seed": self.seed}
