"""A cache of what a text has said so far, beside the softmax of a language model."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.layers.token_layer import PAD

# How sharply the cache looks for states like the present one, of which `choose` takes one.
SHARPNESS = (2.0, 5.0, 10.0, 20.0, 40.0)
_SHARES = (0.0, 0.03, 0.06, 0.1, 0.15, 0.2, 0.3)


class _Found(NamedTuple):
    """Of each target the share of the cache that it has, and whether anything is remembered."""

    probability: tf.Tensor
    known: tf.Tensor


@keras.saving.register_keras_serializable("apps")
class ContinuousCache(keras.layers.Layer):
    """Mixes the softmax with the tokens that followed states like the present one.

    Grave, Joulin & Usunier 2017, "Improving neural language models with a continuous cache",
    section 3, linear interpolation, with states of length 1. Training passes it by.

    Args:
        size: so many of the last tokens are remembered.

    Call arguments:
        log_probs: `(batch, time)` float32, of the softmax.
        features: `(batch, time, width)`, what the softmax saw.
        target: `(batch, time)` int32.
        lengths: `(batch,)` int32.
        memory: `(batch, size, width)` float32, earlier features.
        followed: `(batch, size)` int32, the token after each; padding where there is none yet.

    Returns:
        Log-probabilities, and the next memory and followers.
    """

    def __init__(self, size: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.size = size
        self.supports_masking = True

    def build(self, *_: Any, **__: Any) -> None:
        still: dict[str, Any] = {"shape": (), "trainable": False, "initializer": "zeros"}
        self.share = self.add_weight(name="share", **still)
        self.sharpness = self.add_weight(name="sharpness", **still)

    def call(
        self,
        log_probs: tf.Tensor,
        features: tf.Tensor,
        target: tf.Tensor,
        lengths: tf.Tensor,
        memory: tf.Tensor,
        followed: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if training:
            return tf.identity(log_probs), tf.identity(memory), tf.identity(followed)
        keys, values = self._joined(features, target, memory, followed)
        share = tf.convert_to_tensor(self.share)
        found = self._found(features, target, lengths, keys, values, self.sharpness)
        # Where nothing is remembered yet, the softmax has all of it.
        share = tf.where(found.known, share, 0.0)
        mixed = tf.math.log((1 - share) * tf.exp(log_probs) + share * found.probability + 1e-30)
        # A probability too small for float32 keeps the logarithm that it had.
        mixed = tf.where(share > 0, tf.maximum(mixed, log_probs + tf.math.log1p(-share)), log_probs)
        last = lengths[:, None] + tf.range(self.size)
        return (
            mixed,
            tf.gather(keys, last, batch_dims=1),
            tf.gather(values, last, batch_dims=1),
        )

    def candidates(self, *given: tf.Tensor) -> tf.Tensor:
        """What the cache alone says for each of `SHARPNESS`, `(batch, time, choices)`; 0 for no
        answer. Arguments are those of the call without `log_probs`."""
        features, target, lengths, memory, followed = given
        keys, values = self._joined(features, target, memory, followed)
        every = [
            self._found(features, target, lengths, keys, values, sharpness)
            for sharpness in SHARPNESS
        ]
        return tf.stack([tf.where(one.known, one.probability, -1.0) for one in every], -1)

    def choose(self, log_probs: np.ndarray, candidates: np.ndarray) -> tuple[float, float]:
        """Take the share and the sharpness that make some tokens likeliest.

        Args:
            log_probs: `(tokens,)` of the softmax.
            candidates: `(tokens, choices)` as `candidates` gives them.

        Returns:
            Both; a share of 0 where the cache does not help.
        """
        plain = np.exp(log_probs.astype(np.float64))[:, None]
        known = candidates >= 0
        best = (-np.inf, 0.0, SHARPNESS[0])
        for share in _SHARES:
            mixed = np.where(known, (1 - share) * plain + share * candidates, plain)
            means = np.log(mixed + 1e-30).mean(0)
            place = int(means.argmax())
            if means[place] > best[0]:
                best = (float(means[place]), share, SHARPNESS[place])
        self.share.assign(best[1])
        self.sharpness.assign(best[2])
        return best[1], best[2]

    def _joined(
        self, features: tf.Tensor, target: tf.Tensor, memory: tf.Tensor, followed: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What is remembered, then the window's own, `(batch, size + time, …)`."""
        own = tf.math.l2_normalize(tf.cast(features, tf.float32), -1)
        return tf.concat([memory, own], 1), tf.concat([followed, target], 1)

    def _found(
        self,
        features: tf.Tensor,
        target: tf.Tensor,
        lengths: tf.Tensor,
        keys: tf.Tensor,
        values: tf.Tensor,
        sharpness: Any,
    ) -> _Found:
        """What the cache says of each target from what stands before it."""
        steps = tf.shape(target)[1]
        asked = keys[:, self.size :]
        place = tf.range(tf.shape(keys)[1])
        # A token's successor is known only after it; the last `size` ones are looked at.
        before = place[None] < self.size + tf.range(steps)[:, None]
        before &= place[None] >= tf.range(steps)[:, None]
        seen = before[None] & (values != PAD)[:, None]
        scores = tf.convert_to_tensor(sharpness) * tf.matmul(asked, keys, transpose_b=True)
        scores = tf.where(seen, scores, -1e9)
        weights = tf.nn.softmax(scores)
        same = values[:, None] == target[..., None]
        probability = tf.reduce_sum(tf.where(same & seen, weights, 0.0), -1)
        return _Found(probability, tf.reduce_any(seen, -1))

    def compute_output_spec(
        self,
        log_probs: Any,
        features: Any,
        target: Any,
        lengths: Any,
        memory: Any,
        followed: Any,
        training: bool = False,
    ) -> Any:
        return tuple(
            keras.KerasTensor(one.shape, dtype=one.dtype) for one in (log_probs, memory, followed)
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size}


class Candidates(keras.layers.Layer):
    """What a cache alone says for each of `SHARPNESS`; arguments as `candidates` takes them."""

    def __init__(self, cache: ContinuousCache, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.cache = cache
        self.supports_masking = True

    def call(self, *given: tf.Tensor) -> tf.Tensor:
        return self.cache.candidates(*given)

    def compute_output_spec(self, features: Any, target: Any, *_: Any) -> keras.KerasTensor:
        return keras.KerasTensor((*target.shape, len(SHARPNESS)), dtype="float32")
