"""Resampling inside the graph, from a rate that is known only when the graph runs."""

from __future__ import annotations

import math

import tensorflow as tf

# Where the pass band ends and the stop band begins, as shares of the lower Nyquist frequency.
_PASS, _STOP = 0.913, 1.0
_ATTENUATION_DB = 90.0
# Kaiser's formulas for the window's shape and its length: half of it, in zeros of the sinc.
_SHAPE = 0.1102 * (_ATTENUATION_DB - 8.7)
_HALF_WIDTH = (_ATTENUATION_DB - 7.95) / (2 * 2.285 * math.pi * (_STOP - _PASS))
_CUTOFF = (_PASS + _STOP) / 2
_BLOCK = 128
_MOST_PHASES = 1024
_NODES = 10


def resampled(signal: tf.Tensor, rate: tf.Tensor | int, to_rate: int) -> tf.Tensor:
    """Resample a signal by interpolation with a Kaiser-windowed sinc.

    Smith, "Digital audio resampling", section "Theory of ideal bandlimited interpolation"; the
    window's length and shape: Kaiser 1974, "Nonrecursive digital filter design using the
    I0-sinh window function". The pass band ends at 91 % of the lower of the two
    Nyquist frequencies; what lies above that Nyquist frequency is attenuated by 90 dB. The signal
    counts as zero before its beginning and beyond its end.

    Each block of the result is a stretch of the signal times a matrix, which depends only on the
    block's phase: where it begins between two samples. The block size is chosen so that all blocks
    have one phase. If the ratio of the rates has large terms, that is impossible, and the matrix is
    interpolated as a polynomial of the phase. Memory is about three times that of signal and
    result.

    Args:
        signal: `(samples,)` float32.
        rate: sampling rate of the signal in Hz, a scalar integer.
        to_rate: sampling rate of the result in Hz.

    Returns:
        `(m,)` float32 in [-1, 1], m = samples × `to_rate` / `rate` rounded to a whole number, and
        at least 1 if the signal has a sample. A signal that has the rate already is not changed.
    """
    source, target = tf.cast(rate, tf.int64), tf.constant(to_rate, tf.int64)
    return tf.cond(
        tf.equal(source, target), lambda: signal, lambda: _interpolated(signal, source, target)
    )


def _interpolated(signal: tf.Tensor, source: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    size = tf.size(signal, tf.int64)
    count = tf.maximum((size * target + source // 2) // source, tf.minimum(size, 1))
    period = target // _greatest_common_divisor(source, target)
    recurs = period <= _MOST_PHASES
    block = tf.where(recurs, period * -(-_BLOCK // period), tf.constant(_BLOCK, tf.int64))
    kernel = _Kernel(source, target)
    width = (block - 1) * source // target + 2 * kernel.reach + 2

    begin = tf.range(-(-count // block)) * block * source
    first = begin // target
    phase = tf.cast(begin % target, tf.float64) / tf.cast(target, tf.float64)
    behind = tf.reduce_max(tf.pad(first, [[0, 1]])) + width
    padded = tf.pad(signal, [[kernel.reach, behind]])
    stretches = tf.gather(padded, first[:, None] + tf.range(width))

    nodes = tf.cond(recurs, lambda: tf.zeros([1], tf.float64), _chebyshev_nodes)
    shares = tf.cast(_lagrange(phase, nodes), tf.float32)

    def add(node: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        part = tf.matmul(stretches, kernel.matrix(nodes[node], width, block))
        return node + 1, total + shares[:, node, None] * part

    total = tf.zeros([tf.size(first, tf.int64), block])
    shapes = [tf.TensorShape([]), tf.TensorShape([None, None])]
    _, blocks = tf.while_loop(
        lambda node, total: node < tf.size(nodes), add, [0, total], shape_invariants=shapes
    )
    return tf.clip_by_value(tf.reshape(blocks, [-1])[:count], -1.0, 1.0)


class _Kernel:
    """The filter: the weight of a sample by its distance from a value of the result.

    Attributes:
        reach: samples on either side that a value depends on.
    """

    def __init__(self, source: tf.Tensor, target: tf.Tensor) -> None:
        # In single precision the far end of a block would be off by a hundredth of a sample.
        self._step = tf.cast(source, tf.float64) / tf.cast(target, tf.float64)
        self._scale = tf.minimum(1.0 / self._step, 1.0)
        self.reach = tf.cast(tf.math.ceil(_HALF_WIDTH / self._scale), tf.int64)

    def matrix(self, phase: tf.Tensor, width: tf.Tensor, block: tf.Tensor) -> tf.Tensor:
        """The weight of each sample of a stretch in each value of a block.

        Args:
            phase: position of the block's first value, 0 to 1 samples after the stretch's sample
                `reach`.
            width: samples in the stretch.
            block: values in the block.

        Returns:
            `(width, block)` float32.
        """
        values = phase + tf.cast(tf.range(block), tf.float64) * self._step
        samples = tf.cast(tf.range(width) - self.reach, tf.float64)
        away = tf.cast((values[None, :] - samples[:, None]) * self._scale, tf.float32)
        gain = tf.cast(_CUTOFF * self._scale, tf.float32)
        return gain * _sinc(_CUTOFF * away) * _window(away)


def _sinc(x: tf.Tensor) -> tf.Tensor:
    turns = math.pi * x
    return tf.where(x == 0.0, tf.ones_like(x), tf.math.divide_no_nan(tf.sin(turns), turns))


def _window(away: tf.Tensor) -> tf.Tensor:
    root = tf.sqrt(tf.maximum(1.0 - tf.square(away / _HALF_WIDTH), 0.0))
    peak = tf.math.bessel_i0e(_SHAPE)
    height = tf.math.bessel_i0e(_SHAPE * root) / peak * tf.exp(_SHAPE * (root - 1.0))
    return tf.where(root > 0.0, height, tf.zeros_like(height))


def _chebyshev_nodes() -> tf.Tensor:
    angles = (2 * tf.range(_NODES, dtype=tf.float64) + 1) * (math.pi / (2 * _NODES))
    return (1 + tf.cos(angles)) / 2


def _lagrange(x: tf.Tensor, nodes: tf.Tensor) -> tf.Tensor:
    """Lagrange's basis polynomials, each 1 at one node and 0 at the others; `(values, nodes)`."""
    same = tf.eye(tf.size(nodes), dtype=tf.bool)
    one = tf.ones([], nodes.dtype)
    gaps = tf.where(same, one, nodes[:, None] - nodes[None, :])
    return tf.reduce_prod(tf.where(same, one, (x[:, None, None] - nodes) / gaps), -1)


def _greatest_common_divisor(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    return tf.while_loop(lambda a, b: b > 0, lambda a, b: (b, a % b), (one, other))[0]
