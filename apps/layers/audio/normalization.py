"""Normalisation of features by training data, by row, or along a stream."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.streaming import zero_beyond

KINDS = ("global", "utterance", "running")

State = dict[str, tf.Tensor]


@keras.saving.register_keras_serializable("apps")
class FeatureNormalization(keras.layers.Layer):
    """`(features - mean) / scale`, band by band; frames beyond a row's length are zeros.

    The scale always comes from the training data: the deviation within one short row, such as a
    word between silences or a second of noise, says more about what was spoken than about how it
    was recorded.

    Args:
        kind: where the mean comes from. `global`: the training data. `utterance`: the row's own
            frames, which removes a microphone's colour and level but needs the whole row.
            `running`: the row's frames so far, with the training data's mean counted as
            `prior_frames` more of them; it does the same without waiting for the end.
        prior_frames: weight of the training data's mean in `running`, in frames.
        **kwargs: arguments of `keras.layers.Layer`; `dtype` is float32 by default.

    Call arguments:
        features: `(batch, frames, bands)`.
        lengths: real frames of each row, `(batch,)`.

    Raises:
        ValueError: the kind is unknown, or `prior_frames` is less than 1.
    """

    def __init__(self, kind: str = "global", *, prior_frames: int = 100, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", "trainable": False, **kwargs})
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
        if prior_frames < 1:
            raise ValueError(f"prior_frames must be at least 1, not {prior_frames}")
        self.kind = kind
        self.prior_frames = prior_frames

    def build(self, features_shape: Any, lengths_shape: Any = None) -> None:
        bands = (features_shape[-1],)
        self.mean = self.add_weight(shape=bands, initializer="zeros", trainable=False, name="mean")
        self.scale = self.add_weight(shape=bands, initializer="ones", trainable=False, name="scale")

    def assign(self, mean: np.ndarray, scale: np.ndarray) -> None:
        """Set the mean that is subtracted and the scale that divides.

        Args:
            mean: `(bands,)`.
            scale: standard deviations, `(bands,)`, more than 0.

        Raises:
            ValueError: a mean or scale is not finite, or a scale is not positive.
        """
        mean, scale = np.asarray(mean, np.float32), np.asarray(scale, np.float32)
        if not (np.isfinite(mean).all() and np.isfinite(scale).all() and (scale > 0).all()):
            raise ValueError("mean and scale must be finite, and scale more than 0")
        if not self.built:
            self.build((None, None, len(mean)))
        self.mean.assign(mean)
        self.scale.assign(scale)

    def adapt(self, batches: Iterable[tuple[Any, Any]]) -> None:
        """Set mean and scale from training data: the mean of all frames, and their deviation.

        For `global` the deviation is from the mean of all frames, otherwise from the mean of the
        row. No scale is less than a twentieth of the mean scale, so that a band that hardly varies,
        such as one above 4 kHz in telephone speech resampled to 16 kHz, is not blown up.

        Args:
            batches: pairs of features `(batch, frames, bands)` and lengths `(batch,)`.

        Raises:
            ValueError: there are no frames.
        """
        frames, total, squares = 0, np.zeros(()), np.zeros(())
        for features, lengths in batches:
            for row, length in zip(np.asarray(features), np.asarray(lengths), strict=True):
                real = np.asarray(row[: int(length)], np.float64)
                if not len(real):
                    continue
                frames += len(real)
                total = total + real.sum(0)
                centred = real if self.kind == "global" else real - real.mean(0)
                squares = squares + np.square(centred).sum(0)
        if not frames:
            raise ValueError("there is not one frame to learn from")
        mean = total / frames
        variance = squares / frames - (np.square(mean) if self.kind == "global" else 0.0)
        scale = np.sqrt(np.maximum(variance, 0.0))
        least = 0.05 * scale.mean()
        self.assign(mean, np.maximum(scale, least) if least > 0 else np.ones_like(scale))

    def call(self, features: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
        centred = zero_beyond(features - tf.cast(self.mean, features.dtype), lengths)
        if self.kind == "utterance":
            frames = tf.cast(tf.maximum(lengths, 1), features.dtype)[:, None, None]
            centred -= tf.reduce_sum(centred, 1, keepdims=True) / frames
        elif self.kind == "running":
            seen = tf.range(1, tf.shape(features)[1] + 1)[None, :, None]
            seen = tf.cast(seen + self.prior_frames, features.dtype)
            centred -= tf.cumsum(centred, 1) / seen
        return zero_beyond(centred / tf.cast(self.scale, features.dtype), lengths)

    def compute_output_spec(self, features: Any, lengths: Any) -> keras.KerasTensor:
        return keras.KerasTensor(features.shape, dtype=self.compute_dtype)

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        """Shape (without the batch axis) and dtype of each state that a stream carries.

        Raises:
            ValueError: the kind needs whole rows.
        """
        if self.kind == "utterance":
            raise ValueError(
                "the mean of a whole utterance cannot stream; use kind='running' or 'global'"
            )
        if self.kind == "global":
            return {}
        return {"shift": ((self.mean.shape[0],), "float32"), "count": ((), "int32")}

    def step(
        self, features: tf.Tensor, lengths: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, tf.Tensor, State]:
        """Normalise the next frames of a stream.

        Args:
            features: `(batch, frames, bands)`; frames may be 0.
            lengths: real frames of each row, `(batch,)`.
            state: tensors as `state_specs` lists them, zeros at the start of a stream.

        Returns:
            Features, lengths, and the state for the next frames.
        """
        if self.kind != "running":
            self.state_specs()
            return self.call(features, lengths), lengths, {}
        lengths = tf.cast(lengths, tf.int32)
        # The mean so far less the training data's, and how many frames it is of, prior included.
        shift = tf.cast(state["shift"], features.dtype)
        before = state["count"] + self.prior_frames
        centred = features - tf.cast(self.mean, features.dtype) - shift[:, None, :]
        centred = zero_beyond(centred, lengths)
        seen = before[:, None] + tf.range(1, tf.shape(features)[1] + 1)[None, :]
        moved = tf.cumsum(centred, 1) / tf.cast(seen, features.dtype)[..., None]
        after = tf.cast(before + lengths, features.dtype)[:, None]
        shift += tf.reduce_sum(centred, 1) / after
        normal = zero_beyond((centred - moved) / tf.cast(self.scale, features.dtype), lengths)
        state = {
            "shift": tf.cast(shift, state["shift"].dtype),
            "count": state["count"] + lengths,
        }
        return normal, lengths, state

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "kind": self.kind, "prior_frames": self.prior_frames}
