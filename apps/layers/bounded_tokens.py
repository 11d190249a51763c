"""Tokens of texts that are never empty and never too long."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.token_layer import PAD, UNKNOWN, TokenLayer


@keras.saving.register_keras_serializable("apps")
class BoundedTokens(TokenLayer):
    """Texts `(batch,)` string to `{"ids": (batch, time) int32, "lengths": (batch,) int32}`.

    A text without tokens becomes one unknown token, because recurrent kernels need a step.

    Args:
        tokens: a layer without weights that turns texts into tokens.
        max_tokens: a longer text keeps its first and last `max_tokens / 2` tokens.
    """

    def __init__(self, tokens: Any, max_tokens: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tokens, self.max_tokens = tokens, max_tokens

    @property
    def size(self) -> int:
        """Number of distinct ids."""
        return self.tokens.size

    @property
    def first_id(self) -> int:
        """Lower ids stand for no token."""
        return self.tokens.first_id

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        found = self.tokens(texts)
        lengths = tf.cast(found["lengths"], tf.int32)
        # A column more, so that there is one where every text is empty.
        ids = tf.pad(found["ids"], [[0, 0], [0, 1]], constant_values=UNKNOWN)
        kept = tf.clip_by_value(lengths, 1, self.max_tokens)
        head = -(-self.max_tokens // 2)
        place = tf.range(tf.reduce_max(kept))[None]
        # The second half stands at the end of a text that is cut.
        skipped = tf.where(place < head, 0, (lengths - kept)[:, None])
        skipped = tf.maximum(skipped, 0)
        real = tf.sequence_mask(kept, tf.shape(place)[1])
        taken = tf.gather(ids, tf.where(real, place + skipped, 0), batch_dims=1)
        taken = tf.where((lengths == 0)[:, None], UNKNOWN, taken)
        return {"ids": tf.where(real, taken, PAD), "lengths": kept}

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in one array, and the offset at which each text begins, then the total."""
        ids, offsets = self.tokens.flat(texts)
        head, tail = -(-self.max_tokens // 2), self.max_tokens // 2
        found = [np.zeros(0, np.int32)]
        for begin, end in itertools.pairwise(offsets):
            own = ids[begin:end]
            if len(own) > self.max_tokens:
                own = np.concatenate([own[:head], own[len(own) - tail :]])
            found.append(own if len(own) else np.array([UNKNOWN], np.int32))
        return np.concatenate(found), np.cumsum([len(own) for own in found])

    def outside(self) -> Outside:
        """What the tokens need, and the bound."""
        inner = self.tokens.outside()
        bound = f"; of more than {self.max_tokens} tokens the first and last halves are kept"
        return Outside(inner.words + bound, inner.files, inner.metadata)

    def get_config(self) -> dict[str, Any]:
        tokens = keras.saving.serialize_keras_object(self.tokens)
        return {**super().get_config(), "tokens": tokens, "max_tokens": self.max_tokens}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build it, its tokens first."""
        return cls(keras.saving.deserialize_keras_object(config.pop("tokens")), **config)
