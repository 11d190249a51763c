"""Beam search with TensorFlow's own operations, for a batch at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import tensorflow as tf

# Log probability of what cannot happen: finite, so that sums of it stay numbers.
IMPOSSIBLE = -1e9
# What a hypothesis loses that has not ended, so that those that have come first.
_CUT = 1e6

States = Sequence[tf.Tensor]
# Takes the tokens before, `(batch, width)`, and states `(batch, width, …)`; gives log probabilities
# `(batch, width, tokens)`, the next states and attention to the source `(batch, width, source)`.
Step = Callable[[tf.Tensor, States], tuple[tf.Tensor, States, tf.Tensor]]


class Hypotheses(NamedTuple):
    """What was found, the best first.

    Attributes:
        ids: `(batch, found, steps)` int32, 0 behind the last token; the end is not among them.
        scores: `(batch, found)` float32, log probability over length penalty, less what is missing
            in coverage; `IMPOSSIBLE` or less where there are not so many.
        cut: `(batch, found)` bool, whether the limit came before the end.
    """

    ids: tf.Tensor
    scores: tf.Tensor
    cut: tf.Tensor


class _Search(NamedTuple):
    """Where the search stands: hypotheses that go on, and the best of those that have ended."""

    step: tf.Tensor
    done: tf.Tensor
    ids: tf.Tensor
    total: tf.Tensor
    tokens: tf.Tensor
    covered: tf.Tensor
    ended: tf.Tensor
    scores: tf.Tensor


@dataclass(frozen=True)
class BeamSearch:
    """Search for the sequence of the highest score.

    Sutskever et al. 2014, "Sequence to sequence learning with neural networks", section 3.2; length
    and coverage penalty of Wu et al. 2016, "Google's neural machine translation system", section 7.
    With a width of 1 it is greedy search. A row ends when as many hypotheses as the beam is wide
    have ended, or when none that goes on can be among the best any more.

    Attributes:
        begin: the token before the first one.
        end: the token that ends a hypothesis.
        length_penalty: exponent of `(5 + length) / 6`, by which log probabilities are divided; a
            number, or a variable that may change between searches.
        coverage_penalty: weight of `Σ log(min(attention, 1))` over the source.
        found: how many hypotheses are asked for; no more than the beam is wide are given.
    """

    begin: int
    end: int
    length_penalty: Any = 0.0
    coverage_penalty: float = 0.0
    found: int = 1

    def __call__(
        self,
        step: Step,
        states: States,
        source: tf.Tensor,
        limits: tf.Tensor,
        width: tf.Tensor | int,
    ) -> Hypotheses:
        """Search.

        Args:
            step: one step of the decoder.
            states: `(batch, …)`, those before the first step.
            source: which steps of the source are real, `(batch, source)` bool.
            limits: most tokens of an answer of each row, `(batch,)` int32.
            width: hypotheses that are kept, at least 1.
        """
        width = tf.convert_to_tensor(width, tf.int32)
        batch = tf.shape(source)[0]
        rows = tf.stack([batch, width])
        wide = [tf.repeat(state[:, None], width, 1) for state in states]
        nothing = tf.fill(rows, IMPOSSIBLE)
        start = _Search(
            step=tf.constant(0),
            done=limits <= 0,
            ids=tf.zeros([batch, width, 0], tf.int32),
            # All start alike, so the others must not count.
            total=tf.concat([tf.zeros([batch, 1]), nothing[:, 1:]], 1),
            tokens=tf.fill(rows, self.begin),
            covered=tf.repeat(tf.where(source, 0.0, 1.0)[:, None], width, 1),
            ended=tf.zeros([batch, width, 0], tf.int32),
            scores=nothing,
        )
        count = len(start)

        def go_on(*given: tf.Tensor) -> tuple[tf.Tensor, ...]:
            search, *own = self._next(_Search(*given[:count]), given[count:], step, limits, width)
            return (*search, *own[0])

        shapes = [*(_open(tensor) for tensor in start), *(_open(state) for state in wide)]
        found = tf.while_loop(
            lambda *given: ~tf.reduce_all(given[1]),
            go_on,
            (*start, *wide),
            shape_invariants=tuple(shapes),
        )
        return self._best(_Search(*found[:count]), width)

    def _next(
        self, search: _Search, states: States, step: Step, limits: tf.Tensor, width: tf.Tensor
    ) -> tuple[_Search, list[tf.Tensor]]:
        logs, states, attention = step(search.tokens, states)
        tokens = tf.shape(logs)[2]
        flat = tf.reshape(search.total[:, :, None] + logs, [-1, width * tokens])
        # Twice as many, since half of them may be ends.
        totals, places = tf.math.top_k(flat, 2 * width)
        parents, chosen = places // tokens, places % tokens
        over = chosen == self.end
        done = search.done[:, None]

        scores = self._score(totals, search.step + 1)
        covered = search.covered + attention
        if self.coverage_penalty:
            missing = tf.reduce_sum(tf.math.log(tf.clip_by_value(covered, 1e-6, 1.0)), 2)
            scores += self.coverage_penalty * tf.gather(missing, parents, batch_dims=1)
        likely = (tf.range(2 * width) < width)[None] & (totals > IMPOSSIBLE / 2)
        scores = tf.where(over & likely & ~done, scores, IMPOSSIBLE)
        scores, kept = tf.math.top_k(tf.concat([search.scores, scores], 1), width)
        before = tf.gather(search.ids, parents, batch_dims=1)
        ended = tf.gather(tf.concat([search.ended, before], 1), kept, batch_dims=1)

        totals, kept = tf.math.top_k(tf.where(over, IMPOSSIBLE, totals), width)
        parents = tf.gather(parents, kept, batch_dims=1)
        chosen = tf.gather(chosen, kept, batch_dims=1)
        ids = tf.where(done[:, :, None], search.ids, tf.gather(search.ids, parents, batch_dims=1))
        chosen = tf.where(done, 0, chosen)
        totals = tf.where(done, search.total, totals)
        reached = search.step + 1
        most = self._score(tf.reduce_max(totals, 1), limits)
        enough = (most <= scores[:, tf.minimum(self.found, width) - 1]) | (
            tf.reduce_min(scores, 1) > IMPOSSIBLE / 2
        )
        following = _Search(
            step=reached,
            done=search.done | enough | (reached >= limits),
            ids=tf.concat([ids, chosen[:, :, None]], 2),
            total=totals,
            tokens=chosen,
            covered=tf.gather(covered, parents, batch_dims=1),
            ended=tf.pad(ended, [[0, 0], [0, 0], [0, 1]]),
            scores=scores,
        )
        return following, [tf.gather(state, parents, batch_dims=1) for state in states]

    def _score(self, totals: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        penalty = tf.convert_to_tensor(self.length_penalty, tf.float32)
        return totals / ((5.0 + tf.cast(length, tf.float32)) / 6.0) ** penalty

    def _best(self, search: _Search, width: tf.Tensor) -> Hypotheses:
        lengths = tf.reduce_sum(tf.cast(search.ids > 0, tf.int32), 2)
        alive = self._score(search.total, tf.maximum(lengths, 1))
        scores = tf.concat([search.scores, alive], 1)
        cut = tf.concat([tf.zeros_like(search.scores, tf.bool), tf.ones_like(alive, tf.bool)], 1)
        ranks = tf.where(cut, scores - _CUT, tf.maximum(scores, 2 * IMPOSSIBLE))
        # What never ended stands behind what was cut.
        ranks = tf.where(~cut & (scores <= IMPOSSIBLE / 2), 2 * IMPOSSIBLE, ranks)
        _, kept = tf.math.top_k(ranks, tf.minimum(self.found, width))
        ids = tf.concat([search.ended, search.ids], 1)
        picked = (tf.gather(values, kept, batch_dims=1) for values in (ids, scores, cut))
        return Hypotheses(*picked)


def _open(tensor: tf.Tensor) -> tf.TensorShape:
    """A shape of which only the number of axes is known, and the last one of a state."""
    axes = len(tensor.shape)
    return tf.TensorShape([None] * axes)
