"""Attention pooling of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import StreamWindows


@keras.saving.register_keras_serializable("apps")
class AttentionPooling(keras.layers.Layer):
    """Mean of a row's steps, weighted by `softmax(v · tanh(W x + b))` over them.

    Yang et al., "Hierarchical attention networks for document classification", NAACL 2016,
    section 2.2, equations 5 to 7. De Andrade et al., "A neural attention model for speech command
    recognition", 2018, use a projected step of the row in place of `v`.

    Args:
        units: width of the hidden layer that scores a step.
        window: attend to the last `window` steps of a row only; with it the layer streams.
        seed: seed of the weights.

    Call arguments:
        x: `(batch, steps, features)`.
        lengths: real steps of each row, `(batch,)` int32; all steps are real if left out.

    Returns:
        `(batch, features)`; zeros for a row without steps.

    Raises:
        ValueError: `units` or `window` is less than 1.
    """

    def __init__(
        self, units: int, window: int | None = None, *, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        # An LSTM leaves a mask on its outputs; it repeats `lengths` and is ignored here.
        self.supports_masking = True
        if units < 1 or (window is not None and window < 1):
            raise ValueError(f"units and window must be at least 1, not {units} and {window}")
        self.units = units
        self.window = window
        self.seed = seed
        self._hidden = keras.layers.Dense(
            units,
            "tanh",
            kernel_initializer=keras.initializers.GlorotUniform(seed),
            dtype=self.dtype_policy,
            name="hidden",
        )

    def build(self, x_shape: Sequence[int | None], lengths_shape: Any = None) -> None:
        features = x_shape[2]
        if features is None:
            raise ValueError("the number of features must be known: give x a last axis")
        self._features = features
        self._hidden.build(tuple(x_shape))
        another = None if self.seed is None else self.seed + 1
        self.direction = self.add_weight(
            shape=(self.units, 1),
            initializer=keras.initializers.GlorotUniform(another),
            name="direction",
        )

    def call(self, x: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        weights = tf.cast(self.weights_of(x, lengths), x.dtype)
        return tf.matmul(weights[:, None, :], x)[:, 0, :]

    def weights_of(self, x: tf.Tensor, lengths: tf.Tensor | None = None) -> tf.Tensor:
        """Weight of each step in the pooled vector.

        Args:
            x: `(batch, steps, features)`.
            lengths: real steps of each row, `(batch,)` int32; None if all are real.

        Returns:
            `(batch, steps)` float32; each row sums to 1, or to 0 if it has no steps.
        """
        steps = tf.range(tf.shape(x)[1])[None, :]
        if lengths is None:
            lengths = tf.fill([tf.shape(x)[0]], tf.shape(x)[1])
        lengths = tf.cast(lengths, tf.int32)[:, None]
        real = steps < lengths
        if self.window is not None:
            real &= steps >= lengths - self.window
        return _softmax(self._scores(x), real)

    def _scores(self, x: tf.Tensor) -> tf.Tensor:
        # Scores go into an exponential, for which half precision has too few digits.
        hidden = tf.cast(self._hidden(x), tf.float32)
        return tf.matmul(hidden, tf.cast(self.direction, tf.float32))[..., 0]

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries.

        Raises:
            ValueError: the layer has no window.
        """
        shapes = self._windows().state_shapes(self._features + 2)
        return {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}

    def step(
        self, x: tf.Tensor, lengths: tf.Tensor, state: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Pool the window that ends at each of a stream's next steps.

        Memory grows with the square of the chunk's steps: feed hundreds of steps at a time, not a
        whole file.

        Args:
            x: `(batch, steps, features)`; steps may be 0.
            lengths: real steps of each row, `(batch,)` int32.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            `(batch, steps', features)`, the lengths given, and the next state.

        Raises:
            ValueError: the layer has no window.
        """
        windows = self._windows()
        x = tf.cast(x, tf.float32)
        scores = self._scores(x)[..., None]
        # The column of ones tells real steps from the zeros in front of a stream.
        signal, lengths, buffer, count = windows.push(
            tf.concat([x, scores, tf.ones_like(scores)], -1),
            lengths,
            state["buffer"],
            state["count"],
        )
        vectors, scores, real = tf.split(signal, [self._features, 1, 1], -1)
        position = tf.range(tf.shape(signal)[1])
        distance = position[None, :] - tf.range(tf.shape(signal)[1] - windows.size + 1)[:, None]
        inside = (distance >= 0) & (distance < windows.size)
        weights = _softmax(scores[:, None, :, 0], inside[None] & (real[:, None, :, 0] > 0))
        pooled = tf.cast(tf.matmul(weights, vectors), self.compute_dtype)
        return pooled, lengths, {"buffer": buffer, "count": count}

    def _windows(self) -> StreamWindows:
        if self.window is None:
            raise ValueError("attention to all steps does not stream: set a window")
        return StreamWindows(self.window, 1, lead=self.window - 1)

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        return None

    def compute_output_spec(
        self, x: keras.KerasTensor, lengths: keras.KerasTensor | None = None
    ) -> keras.KerasTensor:
        return keras.KerasTensor((x.shape[0], x.shape[2]), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        names = ("units", "window", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _softmax(scores: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """Softmax over the `real` entries of the last axis; zeros elsewhere and where none is real."""
    scores = tf.where(real, scores, scores.dtype.min)
    exponentials = tf.exp(scores - tf.reduce_max(scores, -1, keepdims=True))
    exponentials = tf.where(real, exponentials, 0.0)
    total = tf.reduce_sum(exponentials, -1, keepdims=True)
    # The largest exponential is 1, so the total is less than 1 only where no entry is real.
    return exponentials / tf.maximum(total, 1.0)
