"""A linear recurrence over the steps of a sequence, in few passes over all of them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


@tf.custom_gradient
def linear_scan(kept: tf.Tensor, added: tf.Tensor, first: tf.Tensor) -> tuple[tf.Tensor, Any]:
    """`y[t] = kept[t] * y[t - 1] + added[t]`, from `y[-1] = first` on.

    Args:
        kept: `(batch, time, features)`.
        added: likewise.
        first: `(batch, features)`.

    Returns:
        `(batch, time, features)`.
    """
    begun = tf.concat([added[:, :1] + kept[:, :1] * first[:, None], added[:, 1:]], 1)
    found = _scanned(kept, begun)

    def gradient(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        # The gradient runs through the same recurrence from the end.
        behind = tf.concat([kept[:, 1:], tf.zeros_like(kept[:, :1])], 1)
        back = tf.reverse(_scanned(tf.reverse(behind, [1]), tf.reverse(upstream, [1])), [1])
        before = tf.concat([first[:, None], found[:, :-1]], 1)
        return back * before, back, back[:, 0] * kept[:, 0]

    return found, gradient


def _scanned(kept: tf.Tensor, added: tf.Tensor) -> tf.Tensor:
    """The recurrence from zero, by doubling the steps that are summed up (Hillis & Steele 1986)."""
    steps, shape = tf.shape(kept)[1], kept.shape

    def go_on(reach: tf.Tensor, kept: tf.Tensor, added: tf.Tensor) -> tuple[tf.Tensor, ...]:
        front = [[0, 0], [reach, 0], [0, 0]]
        earlier = tf.pad(added[:, :-reach], front)
        product = tf.pad(kept[:, :-reach], front)
        after = (kept * product, added + kept * earlier)
        return 2 * reach, *(tf.ensure_shape(one, shape) for one in after)

    begun = (tf.constant(1), kept, tf.ensure_shape(added, shape))
    return tf.while_loop(lambda reach, *_: reach < steps, go_on, begun)[2]
