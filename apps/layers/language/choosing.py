"""Which token comes next: the likeliest one, or one drawn from the likelier ones."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_GOLDEN = 0x9E3779B1
_MASK = 0xFFFFFFFF


def choose(
    logits: tf.Tensor,
    temperature: tf.Tensor,
    top_k: tf.Tensor,
    top_p: tf.Tensor,
    drawn: tf.Tensor,
) -> tf.Tensor:
    """Choose a token for each row, whatever the other rows are.

    Holtzman et al. 2020, "The curious case of neural text degeneration", section 3.1, for `top_p`.

    Args:
        logits: `(batch, size)` float32.
        temperature: `(batch,)` float32, divides the logits; 0 or less takes the likeliest token.
        top_k: `(batch,)` int32, only so many of the likeliest tokens; 0 or less for all.
        top_p: `(batch,)` float32, only the likeliest tokens whose probabilities add up to this; 1
            or more for all.
        drawn: `(batch,)` float32 from 0 to 1, decides which.

    Returns:
        `(batch,)` int32.
    """
    size = tf.shape(logits)[1]
    scaled = logits / tf.maximum(temperature, 1e-6)[:, None]
    scaled -= tf.reduce_max(scaled, 1, keepdims=True)
    narrowed = ((top_k > 0) & (top_k < size)) | (top_p < 1)
    kept = tf.cond(
        tf.reduce_any(narrowed & (temperature > 0)),
        lambda: scaled >= _lowest(scaled, top_k, top_p)[:, None],
        lambda: tf.ones_like(scaled, tf.bool),
    )
    cumulated = tf.cumsum(tf.where(kept, tf.exp(scaled), 0.0), 1)
    place = drawn[:, None] * cumulated[:, -1:]
    # The last one has no token behind it, however the sum was rounded.
    passed = tf.reduce_sum(tf.cast(cumulated[:, :-1] <= place, tf.int32), 1)
    greedy = tf.argmax(logits, 1, output_type=tf.int32)
    return tf.where(temperature > 0, passed, greedy)


def _lowest(scaled: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """The lowest logit that may be drawn, `(batch,)`."""
    size = tf.shape(scaled)[1]
    falling = tf.math.top_k(scaled, size).values
    count = tf.where(top_k > 0, tf.minimum(top_k, size), size)
    shares = tf.nn.softmax(falling)
    # Of the tokens before the last one needed, the probabilities do not yet add up.
    enough = tf.reduce_sum(
        tf.cast(tf.cumsum(shares, 1, exclusive=True) < top_p[:, None], tf.int32), 1
    )
    count = tf.minimum(count, tf.where(top_p < 1, enough, size))
    return tf.gather(falling, tf.maximum(count, 1) - 1, batch_dims=1)


def uniform(seed: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """A number from 0 to 1 for each row, which hangs on nothing but its seed and position.

    TensorFlow's own generators draw for a whole batch, so that an answer would hang on the rows
    beside it. The bits are mixed as in MurmurHash3 (Appleby 2011, `fmix32`), twice.

    Args:
        seed: `(batch,)` int32.
        position: `(batch,)` int32.

    Returns:
        `(batch,)` float32, at least 0 and below 1.
    """
    bits = _mixed(tf.bitwise.bitwise_and(tf.cast(seed, tf.int64), tf.constant(_MASK, tf.int64)))
    bits = _mixed(
        tf.bitwise.bitwise_and(
            bits + tf.cast(position, tf.int64) * _GOLDEN, tf.constant(_MASK, tf.int64)
        )
    )
    # A float32 holds 24 bits.
    return tf.cast(tf.bitwise.right_shift(bits, tf.constant(8, tf.int64)), tf.float32) / 2.0**24


def _mixed(bits: tf.Tensor) -> tf.Tensor:
    """32 bits as int64, mixed."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35), (16, 1)):
        shifted = tf.bitwise.right_shift(bits, tf.constant(shift, tf.int64))
        bits = tf.bitwise.bitwise_xor(bits, shifted)
        bits = tf.bitwise.bitwise_and(bits * np.int64(factor), tf.constant(_MASK, tf.int64))
    return bits
