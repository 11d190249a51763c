"""A decoder that attends to an encoder's states: taught all at once, or searching step by step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from apps.layers.beam_search import IMPOSSIBLE, BeamSearch, Hypotheses
from apps.layers.loops import method_as_graph
from apps.layers.lstm import LSTM
from apps.layers.piece_vectors import read
from apps.layers.token_layer import BEGIN, END, PAD, UNKNOWN

_BY_STEP = ("pieces", "places", "weights", "copied")
_ARGUMENTS = (
    *("size", "embedding", "memory", "units", "input_dropout", "word_dropout", "layer_dropout"),
    *("weight_dropout", "output_dropout", "beam", "n_best", "length_penalty", "coverage_penalty"),
    *("longest", "seed"),
)


@keras.saving.register_keras_serializable("apps")
class AttentionDecoder(keras.layers.Layer):
    """Two LSTMs with attention between them, and one table for all pieces, read and written.

    The first LSTM runs over the whole target, its states attend to the source (Luong et al. 2015,
    "Effective approaches to attention-based neural machine translation", section 3.1, "general"),
    and the second one runs over what attention has made of them, so that each step knows what the
    steps before it have attended to, as input feeding would have it, while no loop leaves the fused
    kernels. Pieces are read and written with one table (Press & Wolf 2017, "Using the output
    embedding to improve language models").

    Args:
        size: number of ids.
        embedding: width of a piece's vector.
        memory: width of the encoder's states.
        units: width of both LSTMs.
        input_dropout: share of a vector's features dropped, one mask for all steps.
        word_dropout: share of the vectors dropped whole.
        layer_dropout: share of the first LSTM's outputs dropped, and of what attention makes.
        weight_dropout: share of the recurrent kernels' entries dropped.
        output_dropout: share of the features dropped before the logits.
        beam: width of the search when training is over; until then it is 1.
        n_best: how many hypotheses are found.
        length_penalty: of the search, until `search_for_good` gives another.
        coverage_penalty: of the search.
        longest: most pieces of an answer; also no more than twice as many as the source, and ten.
        seed: of weights and dropout.

    Call arguments:
        ids: of the source, `(batch, source)` int32.
        lengths: real ones, `(batch,)` int32; the last of them is the end.
        memory: the encoder's states, `(batch, source, memory)`.
        table: vectors of the pieces, `(size, embedding)`.
        said: the target's ids, each row with the begin in front, `(batch, target)` int32.
        training: whether dropout applies.

    Returns:
        With `said`, logits `(batch, target, size)`. Without, what a search has found: `pieces`
        `(batch, steps, n_best)` int32, 0 behind the last; of each the source's step that is
        attended to most, `places`, with its weight, `weights`, and that among unknown pieces,
        `copied`; `scores` and `cut`, `(batch, n_best)`; and `memory`.
    """

    def __init__(
        self,
        size: int,
        embedding: int,
        memory: int,
        units: int,
        *,
        input_dropout: float = 0.0,
        word_dropout: float = 0.0,
        layer_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        output_dropout: float = 0.0,
        beam: int = 5,
        n_best: int = 1,
        length_penalty: float = 0.6,
        coverage_penalty: float = 0.0,
        longest: int = 200,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.size, self.embedding, self.memory, self.units = size, embedding, memory, units
        self.input_dropout, self.word_dropout = input_dropout, word_dropout
        self.layer_dropout, self.weight_dropout = layer_dropout, weight_dropout
        self.output_dropout, self.seed = output_dropout, seed
        self.beam, self.n_best, self.longest = beam, n_best, longest
        self.length_penalty, self.coverage_penalty = length_penalty, coverage_penalty
        seeds = itertools.count(seed)

        def dense(width: int, name: str, activation: str | None, bias: bool) -> Any:
            start = keras.initializers.GlorotUniform(next(seeds))
            return keras.layers.Dense(
                width, activation, use_bias=bias, kernel_initializer=start, name=name
            )

        def lstm(name: str) -> LSTM:
            return LSTM(
                units,
                return_sequences=True,
                weight_dropout=weight_dropout,
                kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
                recurrent_initializer=keras.initializers.Orthogonal(seed=next(seeds)),
                seed=next(seeds),
                name=name,
            )

        def dropout(share: float, shape: tuple[int | None, ...], name: str) -> Any:
            return keras.layers.Dropout(share, noise_shape=shape, seed=next(seeds), name=name)

        self.begins = [dense(units, f"begin_{number}", "tanh", True) for number in range(2)]
        self.first, self.second = lstm("first"), lstm("second")
        self.keys = dense(units, "keys", None, False)
        self.attended = dense(units, "attended", "tanh", True)
        self.written = dense(embedding, "written", "tanh", True)
        same = (None, 1, None)
        self.read_drop = dropout(input_dropout, same, "read_drop")
        self.word_drop = dropout(word_dropout, (None, None, 1), "word_drop")
        self.first_drop = dropout(layer_dropout, same, "first_drop")
        self.attended_drop = dropout(layer_dropout, same, "attended_drop")
        self.written_drop = dropout(output_dropout, same, "written_drop")

    def build(self, *shapes: Any, **named: Any) -> None:
        self.bias = self.add_weight(shape=(self.size,), initializer="zeros", name="bias")
        self.width = self.add_weight(
            shape=(), initializer="ones", dtype="int32", trainable=False, name="width"
        )
        self.penalty = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.length_penalty),
            trainable=False,
            name="penalty",
        )
        for begin in self.begins:
            begin.build((None, self.memory))
        self.first.build((None, None, self.embedding))
        self.keys.build((None, None, self.memory))
        self.attended.build((None, None, self.units + self.memory))
        self.second.build((None, None, self.units))
        self.written.build((None, None, self.units + self.memory))

    def call(
        self,
        ids: tf.Tensor,
        lengths: tf.Tensor,
        memory: tf.Tensor,
        table: tf.Tensor,
        said: tf.Tensor | None = None,
        training: bool = False,
    ) -> Any:
        if said is not None:
            return self.teach(said, lengths, memory, table, training)[0]
        return self._searched(ids, lengths, memory, table)

    def search_for_good(self, length_penalty: float | None = None) -> None:
        """Search as wide as the beam from here on, with this penalty if one is given."""
        self.width.assign(self.beam)
        if length_penalty is not None:
            self.penalty.assign(length_penalty)

    def teach(
        self,
        said: tf.Tensor,
        lengths: tf.Tensor,
        memory: tf.Tensor,
        table: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits `(batch, target, size)`, and attention to the source `(batch, target, source)`."""
        # Keras casts the arguments of `call` only.
        memory, table = (tf.cast(one, self.compute_dtype) for one in (memory, table))
        x, context, attention, begin = self._aligned(said, lengths, memory, table, training)
        x = self.attended_drop(x, training=training)
        x += self.second(x, initial_state=begin, training=training)
        return self._logits(x, context, table, training), attention

    def _aligned(
        self,
        said: tf.Tensor,
        lengths: tf.Tensor,
        memory: tf.Tensor,
        table: tf.Tensor,
        training: bool = False,
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, list[tf.Tensor]]:
        """What attention makes of a target, its context and weights; the second LSTM's states."""
        states, keys, real = self._begun(lengths, memory)
        x = self.word_drop(read(table, said), training=training)
        x = self.read_drop(x, training=training)
        x = self.first(x, initial_state=states[:2], training=training)
        x = self.first_drop(x, training=training)
        return *self._attend(x, keys, memory, real), states[2:]

    def _begun(self, lengths: tf.Tensor, memory: tf.Tensor) -> tuple[list, tf.Tensor, tf.Tensor]:
        """States before the first step, what attention compares with, and which steps are real."""
        real = tf.sequence_mask(lengths, tf.shape(memory)[1])
        weights = tf.cast(real, memory.dtype)[:, None, :]
        mean = tf.matmul(weights, memory)[:, 0] / tf.reduce_sum(weights, 2)
        states = [state for begin in self.begins for state in (begin(mean), begin(mean) * 0.0)]
        return states, self.keys(memory), real

    def _attend(
        self, x: tf.Tensor, keys: tf.Tensor, memory: tf.Tensor, real: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        scores = tf.matmul(x, keys, transpose_b=True)
        attention = tf.nn.softmax(tf.where(real[:, None], scores, IMPOSSIBLE))
        context = tf.matmul(attention, memory)
        return self.attended(tf.concat([x, context], 2)), context, attention

    def _logits(
        self, x: tf.Tensor, context: tf.Tensor, table: tf.Tensor, training: bool = False
    ) -> tf.Tensor:
        x = self.written_drop(self.written(tf.concat([x, context], 2)), training=training)
        flat = tf.reshape(x, [-1, self.embedding])
        logits = tf.matmul(flat, table, transpose_b=True) + self.bias
        return tf.reshape(logits, [tf.shape(x)[0], -1, self.size])

    def _searched(
        self, ids: tf.Tensor, lengths: tf.Tensor, memory: tf.Tensor, table: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        states, keys, real = self._begun(lengths, memory)
        strange = real & (ids == UNKNOWN)
        # The end alone has nothing to be said of it.
        limits = tf.where(lengths > 1, tf.minimum(self.longest, 2 * lengths + 10), 0)
        found = self._hypotheses(states, keys, memory, real, strange, limits, table)
        pieces = tf.pad(
            found.ids, [[0, 0], [0, 0], [0, tf.cast(tf.shape(found.ids)[2] < 1, tf.int32)]]
        )
        attention = self.attention(pieces, lengths, memory, table)
        by_step = {
            "pieces": pieces,
            "places": tf.argmax(attention, 3, tf.int32),
            "weights": tf.reduce_max(attention, 3),
            "copied": tf.argmax(tf.where(strange[:, None, None], attention, -1.0), 3, tf.int32),
        }
        there = pieces != PAD
        masked = {n: tf.where(there, value, tf.zeros_like(value)) for n, value in by_step.items()}
        return {
            **{name: tf.transpose(value, [0, 2, 1]) for name, value in masked.items()},
            "scores": found.scores,
            "cut": tf.cast(found.cut & (limits > 0)[:, None], tf.int32),
            "memory": memory,
        }

    @method_as_graph(1, 2, 2, 2, 2, 1, 0)
    def _hypotheses(
        self,
        states: Sequence[tf.Tensor],
        keys: tf.Tensor,
        memory: tf.Tensor,
        real: tf.Tensor,
        strange: tf.Tensor,
        limits: tf.Tensor,
        table: tf.Tensor,
    ) -> Hypotheses:
        # What is unknown can be copied only.
        never = tf.one_hot(PAD, self.size) + tf.one_hot(BEGIN, self.size)
        copies = tf.cast(~tf.reduce_any(strange, 1), tf.float32)[:, None]
        never = IMPOSSIBLE * (never + copies * tf.one_hot(UNKNOWN, self.size))[:, None]

        def step(tokens: tf.Tensor, before: Sequence[tf.Tensor]) -> tuple[Any, Any, Any]:
            hidden, cell, other_hidden, other_cell = before
            hidden, cell = self.first.advance(read(table, tokens), hidden, cell)
            x, context, attention = self._attend(hidden, keys, memory, real)
            other_hidden, other_cell = self.second.advance(x, other_hidden, other_cell)
            logits = tf.cast(self._logits(x + other_hidden, context, table), tf.float32) + never
            after = [hidden, cell, other_hidden, other_cell]
            return tf.nn.log_softmax(logits), after, tf.cast(attention, tf.float32)

        # Keras gives half of a number of a layer that computes in half precision.
        penalty = tf.cast(tf.convert_to_tensor(self.penalty), tf.float32)
        search = BeamSearch(BEGIN, END, penalty, self.coverage_penalty, self.n_best)
        return search(step, states, real, limits, tf.convert_to_tensor(self.width))

    def attention(
        self, pieces: tf.Tensor, lengths: tf.Tensor, memory: tf.Tensor, table: tf.Tensor
    ) -> tf.Tensor:
        """What hypotheses `(batch, found, steps)` attend to, `(batch, found, steps, source)`."""
        found, steps = tf.shape(pieces)[1], tf.shape(pieces)[2]
        said = tf.reshape(pieces, [-1, steps])
        said = tf.pad(said, [[0, 0], [1, 0]], constant_values=BEGIN)[:, :-1]
        lengths, memory = tf.repeat(lengths, found), tf.repeat(memory, found, 0)
        _, _, attention, _ = self._aligned(said, lengths, memory, table)
        return tf.reshape(attention, [-1, found, steps, tf.shape(memory)[1]])

    def compute_output_spec(
        self,
        ids: Any,
        lengths: Any,
        memory: Any,
        table: Any,
        said: Any = None,
        training: bool = False,
    ) -> Any:
        batch = ids.shape[0]
        if said is not None:
            return keras.KerasTensor((batch, said.shape[1], self.size))
        found = min(self.n_best, self.beam)
        kinds = dict.fromkeys(_BY_STEP, "int32") | {"weights": "float32"}
        return {
            **{n: keras.KerasTensor((batch, None, found), dtype=k) for n, k in kinds.items()},
            "scores": keras.KerasTensor((batch, found)),
            "cut": keras.KerasTensor((batch, found), dtype="int32"),
            "memory": keras.KerasTensor(memory.shape),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in _ARGUMENTS}}
