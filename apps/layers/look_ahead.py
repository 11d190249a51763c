"""Look-ahead convolution for unidirectional recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.streaming import StreamWindows


@keras.saving.register_keras_serializable("apps")
class LookAhead(keras.layers.Layer):
    """Row convolution: each feature's weighted sum over a step and the `context` steps after it.

    Amodei et al., "Deep Speech 2", arXiv:1512.02595, section 3.7. The initial kernel passes each
    step through unchanged. The last `context` steps of a row contribute to the outputs before them
    and have no output of their own, so a stream needs no flush at its end.

    Args:
        context: number of steps that each output sees after its own, 0 or more.

    Call arguments:
        x: `(batch, steps, features)`.
        lengths: real steps of each row, `(batch,)` int32.

    Returns:
        Outputs `(batch, steps', features)`, and the number of real ones in each row, `(batch,)`
        int32: `context` fewer than the row's steps but at least 1, which then sees zeros beyond the
        row's end.

    Raises:
        ValueError: `context` is negative.
    """

    def __init__(self, context: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # An LSTM leaves a mask on its outputs; it repeats `lengths` and is ignored here.
        self.supports_masking = True
        if context < 0:
            raise ValueError(f"context must be 0 steps or more, not {context}")
        self.context = context
        self._windows = StreamWindows(context + 1, 1)

    def build(self, x_shape: Sequence[int | None], lengths_shape: Any = None) -> None:
        self.kernel = self.add_weight(
            shape=(self.context + 1, x_shape[2]), initializer=_first_step, name="kernel"
        )

    def call(self, x: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        signal, lengths = self._windows.whole(x, lengths)
        return self._sums(signal), tf.maximum(lengths, 1)

    def _sums(self, signal: tf.Tensor) -> tf.Tensor:
        kernel = tf.cast(self.kernel, signal.dtype)[:, None, :, None]
        image = signal[:, :, None, :]
        return tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], "VALID")[:, :, 0, :]

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries."""
        shapes = self._windows.state_shapes(self.kernel.shape[1])
        return {"buffer": (shapes["buffer"], "float32"), "count": (shapes["count"], "int32")}

    def step(
        self, x: tf.Tensor, lengths: tf.Tensor, state: dict[str, tf.Tensor]
    ) -> tuple[tf.Tensor, tf.Tensor, dict[str, tf.Tensor]]:
        """Convolve the next steps of a stream.

        Args:
            x: `(batch, steps, features)`; steps may be 0.
            lengths: real steps of each row, `(batch,)` int32.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            The outputs whose context the chunk completes, `(batch, steps', features)`; their number
            in each row, `(batch,)` int32; and the next state.
        """
        x = tf.cast(x, self.compute_dtype)
        signal, lengths, buffer, count = self._windows.push(
            x, lengths, state["buffer"], state["count"]
        )
        return self._sums(signal), lengths, {"buffer": buffer, "count": count}

    def compute_mask(self, *args: Any, **kwargs: Any) -> None:
        return None

    def compute_output_spec(
        self, x: keras.KerasTensor, lengths: keras.KerasTensor
    ) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        batch, steps, features = x.shape
        steps = None if steps is None else max(steps - self.context, 1)
        return (
            keras.KerasTensor((batch, steps, features), dtype=self.compute_dtype),
            keras.KerasTensor((batch,), dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "context": self.context}


def _first_step(shape: tuple[int, int], dtype: Any = None) -> tf.Tensor:
    """Initial kernel that passes each step through unchanged."""
    return tf.one_hot([0] * shape[1], shape[0], axis=0, dtype=dtype)
