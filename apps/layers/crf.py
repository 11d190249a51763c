"""A linear-chain conditional random field: the score of a whole sequence of tags.

Lafferty, McCallum & Pereira 2001, "Conditional random fields"; on top of an LSTM: Huang, Xu & Yu
2015, "Bidirectional LSTM-CRF models for sequence tagging", section 2.5, and Lample et al. 2016,
"Neural architectures for named entity recognition", section 2.2. A sequence of tags scores the sum
of its emissions and of its transitions, the one into the first tag and the one out of the last
among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps.layers.loops import as_graph

# What a transition scores that never happens: lower than any sum of others, and still finite, so
# that differences of such scores are numbers.
ILLEGAL = -1e9


@keras.saving.register_keras_serializable("apps")
class CRF(keras.layers.Layer):
    """Learnt scores of transitions beside the emissions that it is given.

    Attributes:
        shift: `(tags,)`, is added to the emissions; training leaves it alone.

    Args:
        legal: `(tags + 1, tags + 1)` bool, whether the second index may follow the first; the last
            one stands for the start where it comes first and for the end where it comes second.
    """

    def __init__(self, legal: np.typing.ArrayLike, **kwargs: Any) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        self.legal = np.asarray(legal, bool)
        if self.legal.ndim != 2 or self.legal.shape[0] != self.legal.shape[1]:
            raise ValueError(f"legal must be square, not {self.legal.shape}")
        self.supports_masking = True

    def build(self, shape: Sequence[int | None]) -> None:
        if shape[-1] != len(self.legal) - 1:
            raise ValueError(f"{shape[-1]} emissions a step for {len(self.legal) - 1} tags")
        self.transitions = self.add_weight(
            shape=self.legal.shape, initializer="zeros", name="transitions"
        )
        self.shift = self.add_weight(
            shape=(len(self.legal) - 1,), initializer="zeros", trainable=False, name="shift"
        )

    def call(self, emissions: tf.Tensor) -> dict[str, tf.Tensor]:
        """All that the score of any sequence of tags is made of.

        Args:
            emissions: `(batch, time, tags)`.

        Returns:
            `emissions` with the shift, and `transitions` `(batch, tags + 1, tags + 1)`, equal in
            all rows, so that a row of the outputs stands on its own.
        """
        scores = tf.where(self.legal, self.transitions, ILLEGAL)
        rows = tf.concat([tf.shape(emissions)[:1], scores.shape], 0)
        return {
            "emissions": emissions + self.shift,
            "transitions": tf.broadcast_to(scores, rows),
        }

    def compute_mask(self, emissions: Any, mask: Any = None) -> None:
        return None

    def compute_output_spec(self, emissions: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        size = len(self.legal)
        return {
            "emissions": keras.KerasTensor(emissions.shape, dtype="float32"),
            "transitions": keras.KerasTensor((emissions.shape[0], size, size), dtype="float32"),
        }

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "legal": self.legal.tolist()}


class Decoded(NamedTuple):
    """The best sequence of tags, and what the probability of any part of it is made of.

    Attributes:
        tags: `(batch, time)` int32, 0 in padding.
        before: `(batch, time)`, log of the sum over all ways to reach that tag at that step.
        after: `(batch, time)`, the same over all ways to go on from it to the end.
        along: `(batch, time)`, score of the best sequence up to and including that step.
        total: `(batch,)`, log of the sum over all sequences.
    """

    tags: tf.Tensor
    before: tf.Tensor
    after: tf.Tensor
    along: tf.Tensor
    total: tf.Tensor

    def log_probability(self, row: tf.Tensor, first: tf.Tensor, last: tf.Tensor) -> tf.Tensor:
        """Log-probability that the steps `first` to `last` of a row have these very tags.

        Args:
            row, first, last: `(parts,)` int, row and steps of each part, both inclusive.
        """
        begin, end = tf.stack([row, first], 1), tf.stack([row, last], 1)
        inside = tf.gather_nd(self.along, end) - tf.gather_nd(self.along, begin)
        reached = tf.gather_nd(self.before, begin) + inside + tf.gather_nd(self.after, end)
        return tf.minimum(reached - tf.gather(self.total, row), 0)


@as_graph(2, 1, 2, 1)
def log_likelihood(
    emissions: tf.Tensor, transitions: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Log-probability of a sequence of tags, `(batch,)`, in nats.

    Args:
        emissions: `(batch, time, tags)`.
        transitions: `(batch, tags + 1, tags + 1)` as `CRF` gives them.
        tags: `(batch, time)` int32; what stands in padding does not count.
        lengths: real steps, `(batch,)` int32, at least 1.
    """
    states, real = _by_time(emissions, lengths)
    state = _scan_forward(states, real, transitions, lambda x: tf.reduce_logsumexp(x, 1))
    total = tf.reduce_logsumexp(state[-1] + transitions[:, :, -1], 1)
    return path_scores(emissions, transitions, tags, lengths) - total


def path_scores(
    emissions: tf.Tensor, transitions: tf.Tensor, tags: tf.Tensor, lengths: tf.Tensor
) -> tf.Tensor:
    """Scores of sequences of tags, `(batch,)`; arguments as of `log_likelihood`."""
    gained = _gained(emissions, transitions, tags)
    real = tf.sequence_mask(lengths, tf.shape(emissions)[1])
    last = tf.gather(tags, lengths - 1, batch_dims=1)
    out = tf.gather(transitions[:, :, -1], last, batch_dims=1)
    return tf.reduce_sum(tf.where(real, gained, 0), 1) + out


@as_graph(2, 1, 1)
def viterbi(emissions: tf.Tensor, transitions: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """The tags of the sequence that scores most, `(batch, time)` int32, 0 in padding.

    Arguments are those of `log_likelihood`. Of sequences that score the same, the one with the
    lower tag counts.
    """
    states, real = _by_time(emissions, lengths)

    def forward(before: tuple[tf.Tensor, tf.Tensor], now: tuple[tf.Tensor, tf.Tensor]) -> Any:
        return _best_step(before[0], *now, transitions)

    best, came_from = tf.scan(forward, (states, real), _first_best(transitions))
    last = tf.argmax(best[-1] + transitions[:, :, -1], 1, output_type=tf.int32)

    def backward(tag: tf.Tensor, later: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        origin, goes_on = later
        return tf.where(goes_on, tf.gather(origin, tag, batch_dims=1), tag)

    tags = tf.scan(backward, (_later(came_from), _later(real)), last, reverse=True)
    return tf.transpose(tags) * tf.cast(tf.transpose(real), tf.int32)


@as_graph(2, 1, 1)
def decode(emissions: tf.Tensor, transitions: tf.Tensor, lengths: tf.Tensor) -> Decoded:
    """The best sequence of tags with the means to tell the probability of its parts.

    In double precision, since probabilities of parts are small differences of sums that grow with
    the sequence. Arguments are those of `log_likelihood`.
    """
    emissions, transitions = tf.cast(emissions, tf.float64), tf.cast(transitions, tf.float64)
    states, real = _by_time(emissions, lengths)

    def forward(before: Any, now: tuple[tf.Tensor, tf.Tensor]) -> Any:
        sums, best, _ = before
        reached = tf.reduce_logsumexp(sums[:, :, None] + transitions, 1) + now[0]
        reached = tf.where(now[1][:, None], reached, sums)
        return (reached, *_best_step(best, *now, transitions))

    first, nowhere = _first_best(transitions)
    sums, best, came_from = tf.scan(forward, (states, real), (first, first, nowhere))
    out = transitions[:, :, -1]
    last = tf.argmax(best[-1] + out, 1, output_type=tf.int32)

    def backward(after: tuple[tf.Tensor, tf.Tensor], later: Any) -> tuple[tf.Tensor, tf.Tensor]:
        rest, tag = after
        score, origin, goes_on = later
        ways = tf.reduce_logsumexp(transitions + (score + rest)[:, None, :], 2)
        return (
            tf.where(goes_on[:, None], ways, rest),
            tf.where(goes_on, tf.gather(origin, tag, batch_dims=1), tag),
        )

    later = (_later(states), _later(came_from), _later(real))
    rest, tags = tf.scan(backward, later, (out, last), reverse=True)
    tags = tf.transpose(tags)
    gained = _gained(emissions, transitions, tags)
    return Decoded(
        tags=tags * tf.cast(tf.transpose(real), tf.int32),
        before=tf.gather(tf.transpose(sums, [1, 0, 2]), tags, batch_dims=2),
        after=tf.gather(tf.transpose(rest, [1, 0, 2]), tags, batch_dims=2),
        along=tf.cumsum(gained, 1),
        total=tf.reduce_logsumexp(sums[-1] + out, 1),
    )


def _by_time(emissions: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Scores `(time, batch, tags + 1)` in which no step is the start, and which steps are real."""
    states = tf.pad(emissions, [[0, 0], [0, 0], [0, 1]], constant_values=ILLEGAL)
    real = tf.sequence_mask(lengths, tf.shape(emissions)[1])
    return tf.transpose(states, [1, 0, 2]), tf.transpose(real)


def _start(transitions: tf.Tensor) -> tf.Tensor:
    """State before the first step, `(batch, tags + 1)`: nothing but the start."""
    size = transitions.shape[-1]
    start = tf.constant([ILLEGAL] * (size - 1) + [0.0], transitions.dtype)
    return tf.broadcast_to(start, tf.shape(transitions)[:2])


def _first_best(transitions: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    start = _start(transitions)
    return start, tf.zeros_like(start, tf.int32)


def _scan_forward(
    states: tf.Tensor, real: tf.Tensor, transitions: tf.Tensor, reduce: Any
) -> tf.Tensor:
    def forward(before: tf.Tensor, now: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        reached = reduce(before[:, :, None] + transitions) + now[0]
        return tf.where(now[1][:, None], reached, before)

    return tf.scan(forward, (states, real), _start(transitions))


def _best_step(
    best: tf.Tensor, score: tf.Tensor, real: tf.Tensor, transitions: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Best score of each tag after one more step, and the tag that it came from."""
    ways = best[:, :, None] + transitions
    reached = tf.where(real[:, None], tf.reduce_max(ways, 1) + score, best)
    return reached, tf.argmax(ways, 1, output_type=tf.int32)


def _later(by_time: tf.Tensor) -> tf.Tensor:
    """What stands one step later, zeros behind the last."""
    return tf.concat([by_time[1:], tf.zeros_like(by_time[:1])], 0)


def _gained(emissions: tf.Tensor, transitions: tf.Tensor, tags: tf.Tensor) -> tf.Tensor:
    """What each step adds to the score of a sequence of tags, `(batch, time)`."""
    start = tf.fill([tf.shape(tags)[0], 1], tf.shape(transitions)[1] - 1)
    pairs = tf.stack([tf.concat([start, tags[:, :-1]], 1), tags], -1)
    moved = tf.gather_nd(transitions, pairs, batch_dims=1)
    return moved + tf.gather(emissions, tags, batch_dims=2)
