"""A recurrent language model: from each token and what came before it to the next one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.layers.alternatives.stack import sequence_stack
from apps.layers.token_layer import BEGIN


@keras.saving.register_keras_serializable("apps")
class LanguageNetwork(keras.layers.Layer):
    """Embedding, a stack of LSTMs, and a softmax whose weights are those of the embedding.

    Merity, Keskar & Socher 2018, "Regularizing and optimizing LSTM language models": one dropout
    mask for all steps, dropped recurrent weights, dropped words. Inan, Khosravi & Socher 2017,
    "Tying word vectors and word classifiers".

    The token that stands for the begin of a text has the vector of zeros.

    Args:
        size: number of distinct ids, the most frequent tokens first.
        embedding: width of a token's vector; the last layer's states are projected to it where
            they are wider or narrower.
        units: width of each LSTM.
        input_dropout: share of the vectors' features that is dropped, one mask for all steps.
        layer_dropout: the same between layers.
        weight_dropout: share of the recurrent kernels' entries that is dropped.
        output_dropout: share of the last states' features that is dropped.
        token_dropout: share of the tokens that are dropped wherever they occur in a batch.
        sampled: so many other tokens are compared with the right one in training; 0 for all.
        kind: what stands in the LSTMs' place, as `apps.layers.alternatives.stack` names it.
        chrono: longest range of dependencies in steps, for the gates' initial biases.
        seed: of weights and dropout.

    Call arguments:
        ids: `(batch, time)` int32, the token before each one that is predicted.
        target: `(batch, time)` int32, the tokens that are predicted.
        lengths: `(batch,)` int32, how many of them are real.
        states: of the stack, from the bottom up, `(batch, width)` each.

    Returns:
        The natural logarithm of each target's probability, `(batch, time)` float32, an estimate
        where it is trained with `sampled`; what the softmax saw, `(batch, time, embedding)`; and
        the states after the last real step.
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        units: Sequence[int],
        *,
        input_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        token_dropout: float = 0.0,
        sampled: int = 0,
        kind: str = "lstm",
        chrono: float | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.embedding, self.units = size, embedding, tuple(units)
        self.input_dropout, self.layer_dropout = input_dropout, layer_dropout
        self.weight_dropout, self.output_dropout = weight_dropout, output_dropout
        self.token_dropout, self.sampled, self.seed = token_dropout, sampled, seed
        self.kind, self.chrono = kind, chrono
        self.stack = sequence_stack(
            kind,
            self.units,
            dropout=layer_dropout,
            input_dropout=input_dropout,
            weight_dropout=weight_dropout,
            chrono=chrono,
            return_state=True,
            seed=seed,
            dtype=self.dtype_policy,
            name="stack",
        )
        self.projection = None
        if self.units[-1] != embedding:
            self.projection = keras.layers.Dense(
                embedding, use_bias=False, dtype=self.dtype_policy, name="projection"
            )
        self.dropout = keras.layers.Dropout(
            output_dropout, noise_shape=(None, 1, None), seed=seed, dtype=self.dtype_policy
        )
        self.generator = keras.random.SeedGenerator(seed)

    def build(self, *_: Any, **__: Any) -> None:
        start = keras.initializers.RandomUniform(-0.1, 0.1, seed=self.seed)
        self.embeddings = self.add_weight(
            shape=(self.size, self.embedding), initializer=start, name="embeddings"
        )
        self.bias = self.add_weight(shape=(self.size,), initializer="zeros", name="bias")
        self.stack.build((None, None, self.embedding))
        if self.projection is not None:
            self.projection.build((None, None, self.units[-1]))

    def call(
        self,
        ids: tf.Tensor,
        target: tf.Tensor,
        lengths: tf.Tensor,
        states: Sequence[tf.Tensor],
        training: bool = False,
    ) -> tuple[tf.Tensor, ...]:
        vectors = self._read(self._vectors(training), ids)
        mask = tf.sequence_mask(lengths, tf.shape(ids)[1])
        outputs, *after = self.stack(vectors, list(states), mask=mask, training=training)
        features = self.dropout(self.features(outputs), training=training)
        flat = tf.reshape(features, [-1, self.embedding])
        wanted = tf.reshape(target, [-1])
        if training and 0 < self.sampled < self.size:
            losses = self._sampled_losses(flat, wanted)
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(wanted, self.logits(flat))
        return -tf.reshape(losses, tf.shape(ids)), features, *after

    def features(self, outputs: tf.Tensor) -> tf.Tensor:
        """What the softmax sees of the last LSTM's outputs, `(…, embedding)`."""
        return outputs if self.projection is None else self.projection(outputs)

    def logits(self, features: tf.Tensor) -> tf.Tensor:
        """Logits `(n, size)` float32 of features `(n, embedding)`."""
        weights = tf.cast(tf.convert_to_tensor(self.embeddings), features.dtype)
        product = tf.matmul(features, weights, transpose_b=True)
        return tf.cast(product, tf.float32) + tf.cast(tf.convert_to_tensor(self.bias), tf.float32)

    def vectors(self, ids: tf.Tensor) -> tf.Tensor:
        """The vectors of some tokens, as inference reads them."""
        return self._read(self._vectors(False), ids)

    def _read(self, weights: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        # What is never a target is pushed far away from all states, and would be a strange input.
        begins = tf.cast(ids != BEGIN, weights.dtype)[..., None]
        return tf.gather(weights, ids) * begins

    def _vectors(self, training: bool) -> tf.Tensor:
        """The embedding, in training without the tokens that are dropped."""
        weights = tf.cast(tf.convert_to_tensor(self.embeddings), self.compute_dtype)
        if not training or not self.token_dropout:
            return weights
        kept = keras.random.dropout(
            tf.ones([self.size, 1], weights.dtype), self.token_dropout, seed=self.generator
        )
        return weights * kept

    def _sampled_losses(self, features: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        """Cross-entropy against the target and a sample of other tokens, the same for all rows.

        Each drawn token stands for those like it, so that the sum is right on average (Blanc &
        Rendle 2018, "Adaptive sampled softmax with kernel based sampling", section 2); they are
        drawn by Zipf's law over their ids.
        """
        span = np.log(self.size + 1.0)
        drawn = keras.random.uniform((self.sampled,), seed=self.generator)
        others = tf.cast(tf.exp(tf.cast(drawn, tf.float64) * span), tf.int32) - 1
        others = tf.clip_by_value(others, 0, self.size - 1)

        def likely(ids: tf.Tensor) -> tf.Tensor:
            """Logarithm of how often a token is expected in the sample."""
            rank = tf.cast(ids, tf.float64)
            share = tf.math.log((rank + 2.0) / (rank + 1.0)) / span
            return tf.cast(tf.math.log(share * self.sampled), tf.float32)

        weights, bias = tf.convert_to_tensor(self.embeddings), tf.convert_to_tensor(self.bias)
        right = tf.reduce_sum(features * tf.gather(weights, target), -1) + tf.gather(bias, target)
        wrong = tf.matmul(features, tf.gather(weights, others), transpose_b=True)
        wrong += tf.gather(bias, others) - likely(others)
        # A target that was drawn too is not compared with itself.
        wrong = tf.where(target[:, None] == others[None], tf.float32.min / 2, wrong)
        logits = tf.concat([right[:, None], wrong], 1)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros_like(target), logits)

    def compute_output_spec(
        self, ids: Any, target: Any, lengths: Any, states: Any, training: bool = False
    ) -> tuple[keras.KerasTensor, ...]:
        states = [
            keras.KerasTensor((ids.shape[0], width), dtype=self.compute_dtype)
            for width in self.stack.state_widths().values()
        ]
        seen = keras.KerasTensor((*ids.shape, self.embedding), dtype=self.compute_dtype)
        return keras.KerasTensor(ids.shape, dtype="float32"), seen, *states

    def get_config(self) -> dict[str, Any]:
        names = (
            *("size", "embedding", "input_dropout", "layer_dropout", "weight_dropout"),
            *("output_dropout", "token_dropout", "sampled", "kind", "chrono", "seed"),
        )
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "units": list(self.units)}
