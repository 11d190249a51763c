"""What a recurrent layer sees of each frame: its picture, or how it differs from the one before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

MOTIONS = ("flow", "difference", "both", "picture")
# Of the mean difference below which noise of a still camera is not amplified, in [0, 1].
_FLOOR = 0.005
# Of the squared slope below which a picture says nothing of how it moves, and the largest shift.
_FLAT, _FASTEST = 0.002, 2.0


@keras.saving.register_keras_serializable("apps")
class FrameMotion(keras.layers.Layer):
    """Frames to what moves between neighbours, to pictures, or to both, as channels.

    `difference`: each frame minus the one before (Sudhakaran & Lanz 2017, "Learning to detect
    violent videos using convolutional long short-term memory", section 3), divided by its mean
    size, since a faint movement in fog is the same movement; its size is a channel of its own.

    `flow`: how far edges shift along their slope, in pixels right and down: minus the change over
    time times the slope, over its square (Horn & Schunck 1981, "Determining optical flow", section
    5, the component that brightness alone determines); with the size of the difference at each
    place, and its mean. It does not tell light from dark, so that a movement is the same whatever
    moves.

    Args:
        motion: `flow`, `difference`, `picture`, or `both`, which is difference and picture.

    Call arguments:
        frames: `(batch, time, side, side, 3)` floats in [0, 1].

    Returns:
        `(batch, time - 1, side, side, channels)`: the first frame has nothing before it.
    """

    def __init__(self, motion: str = "flow", **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        if motion not in MOTIONS:
            raise ValueError(f"motion must be one of {', '.join(MOTIONS)}, not {motion!r}")
        self.motion = motion

    @property
    def channels(self) -> int:
        """Channels of each step."""
        return {"flow": 4, "difference": 4, "both": 7, "picture": 3}[self.motion]

    def call(self, frames: tf.Tensor) -> tf.Tensor:
        return self._steps(frames[:, :-1], frames[:, 1:])

    def _steps(self, before: tf.Tensor, after: tf.Tensor) -> tf.Tensor:
        picture = 3 * (after - tf.reduce_mean(after, [2, 3, 4], keepdims=True))
        if self.motion == "picture":
            return picture
        change = after - before
        size = tf.reduce_mean(tf.abs(change), [2, 3, 4], keepdims=True) + _FLOOR
        level = tf.broadcast_to(tf.math.log(size / _FLOOR) / 3, tf.shape(change[..., :1]))
        if self.motion == "flow":
            shift = _normal_flow(before, after)
            return tf.concat([*shift, tf.abs(_grey(change)) / (4 * size), level], -1)
        parts = [change / (4 * size), level]
        return tf.concat([*parts, picture] if self.motion == "both" else parts, -1)

    def state_specs(self, side: int) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape and dtype of what a stream carries: the frame before, and whether there is one."""
        return {"frame": ((side, side, 3), "float32"), "begun": ((), "int32")}

    def step(
        self, frames: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Steps that the next frames of a stream make, their number, and the next state.

        Args:
            frames: `(batch, time, side, side, 3)`; time may be 0.
            lengths: real frames of each row, `(batch,)` int32.
            state: as `state_specs` has it, zeros at the beginning.
        """
        joined = tf.concat([tf.cast(state["frame"], frames.dtype)[:, None], frames], 1)
        begun = state["begun"]
        # Before the first frame of all stands none: the step that it would make is left out.
        start = 1 - begun
        count = tf.maximum(lengths - start, 0)
        taken = _from(joined, start, tf.shape(frames)[1] + 1)
        steps = self._steps(taken[:, :-1], taken[:, 1:])
        last = tf.gather(joined, lengths, batch_dims=1)
        begun = tf.maximum(begun, tf.cast(lengths > 0, tf.int32))
        return steps, count, {"frame": tf.cast(last, tf.float32), "begun": begun}

    def compute_output_spec(self, frames: Any) -> keras.KerasTensor:
        batch, time, height, width, _ = frames.shape
        time = None if time is None else time - 1
        return keras.KerasTensor((batch, time, height, width, self.channels), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "motion": self.motion}


def _normal_flow(before: tf.Tensor, after: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Shifts right and down of the edges between two frames, `(batch, time, side, side, 1)`."""
    change, mean = _grey(after - before), _grey(after + before) / 2
    # At the border the outermost pixels repeat.
    wide = tf.concat([mean[:, :, :, :1], mean, mean[:, :, :, -1:]], 3)
    right = (wide[:, :, :, 2:] - wide[:, :, :, :-2]) / 2
    high = tf.concat([mean[:, :, :1], mean, mean[:, :, -1:]], 2)
    down = (high[:, :, 2:] - high[:, :, :-2]) / 2
    scale = -change / (tf.square(right) + tf.square(down) + _FLAT)
    return tuple(tf.clip_by_value(scale * one, -_FASTEST, _FASTEST) for one in (right, down))


def _grey(frames: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(frames, -1, keepdims=True)


def _from(frames: tf.Tensor, start: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
    """`count` frames of each row from its own `start`; the last one repeats beyond the end."""
    places = tf.minimum(start[:, None] + tf.range(count)[None, :], tf.shape(frames)[1] - 1)
    return tf.gather(frames, places, batch_dims=1)
