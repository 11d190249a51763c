"""Frames from image files inside the graph."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.video.sampling import FrameSampler, middles


def decode_images(files: tf.Tensor, sampler: FrameSampler) -> tuple[tf.Tensor, tf.Tensor]:
    """The frames of clips whose frames are image files; only those that a model sees are decoded.

    Args:
        files: `(batch, time)` string, JPEG or PNG of any size; empty strings fill up shorter clips.
        sampler: says how many frames of a clip are taken, and their size.

    Returns:
        `(batch, frames, size, size, 3)` uint8, and how many of them are real, `(batch,)` int32: all
        or, where a clip has no file, none.
    """
    lengths = tf.reduce_sum(tf.cast(tf.strings.length(files) > 0, tf.int32), 1)
    # A batch of empty lists still needs one file to take from.
    padded = tf.pad(files, [[0, 0], [0, tf.maximum(1 - tf.shape(files)[1], 0)]])
    taken = tf.gather(padded, middles(lengths, sampler.frames), batch_dims=1)
    side = sampler.size

    def frame(file: tf.Tensor) -> tf.Tensor:
        # The operation for JPEG reads PNG too.
        pixels = tf.io.decode_jpeg(file, channels=3)
        return sampler.scaled(pixels[None, None])[0, 0]

    def frame_or_black(file: tf.Tensor) -> tf.Tensor:
        black = tf.zeros([side, side, 3], tf.uint8)
        return tf.cond(tf.strings.length(file) > 0, lambda: frame(file), lambda: black)

    spec = tf.TensorSpec([side, side, 3], tf.uint8)
    frames = tf.map_fn(frame_or_black, tf.reshape(taken, [-1]), fn_output_signature=spec)
    frames = tf.reshape(frames, [-1, sampler.frames, side, side, 3])
    return frames, tf.where(lengths > 0, sampler.frames, 0)
