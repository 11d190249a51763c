"""Prefix beam search in the graph, with an optional language model of words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from apps.layers.ctc.decoder import PER_TOKEN, Decoder, Tensors
from apps.layers.ctc.history import NO_PARENT, NO_PREFIX, History, unpacked
from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.scoring import POSSIBLE, WordScoring, log_add
from apps.layers.ctc.tokens import BLANK, IMPOSSIBLE, SPACE
from apps.layers.loops import method_as_graph

# A prefix is identified by a polynomial hash of its tokens. The hash has 53 bits, so that JSON
# numbers can carry the state of a stream.
_HASH_BITS = 2**53 - 1
_HASH_FACTOR = 6364136223846793005
_TOKEN_FACTOR = 2862933555777941757


@keras.saving.register_keras_serializable("apps")
class BeamDecoder(Decoder):
    """Finds the token sequence that is most likely over all its alignments, within the beam.

    Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using
    bi-directional recurrent DNNs", algorithm 1: each prefix has one probability for alignments that
    end in a blank and one for those that end in a token, and a word adds `alpha · ln p(word | words
    before) + beta` when it ends. The last word and the end of the sentence are scored as a stream
    ends. `score` is the log probability of the answer plus what the language model adds.

    In a stream a token settles when all prefixes agree on it. When a prefix outgrows the buffer,
    the best prefix's oldest tokens settle, and prefixes without them are dropped.

    Args:
        beam: number of prefixes kept at each step.
        language: scores words, or None for no language model. Words outside its lexicon pay its
            penalty for unknown words, or are impossible if it has none.
        alpha: weight of the language model.
        beta: what each word adds, in nats.
        candidates: number of most likely tokens that may extend a prefix at a step; None for all.
        buffer: largest number of tokens of a prefix that have not settled.
        blank_threshold: steps whose blank is more probable than this extend no prefix, which skips
            most steps: Chen et al. 2016, "Phone synchronous decoding with CTC lattice"; None to
            skip none.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(
        self,
        beam: int = 32,
        language: NgramTables | None = None,
        alpha: float = 0.5,
        beta: float = 1.0,
        candidates: int | None = 16,
        buffer: int = 128,
        blank_threshold: float | None = 0.9999,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, least in (
            ("beam", beam, 1),
            ("candidates", candidates, 1),
            ("buffer", buffer, 2),
        ):
            if value is not None and value < least:
                raise ValueError(f"{name} must be at least {least}, not {value}")
        if blank_threshold is not None and not 0 < blank_threshold <= 1:
            raise ValueError(f"blank_threshold must be in (0, 1], not {blank_threshold}")
        self.beam = beam
        self.language = language
        self.alpha = alpha
        self.beta = beta
        self.candidates = candidates
        self.buffer = buffer
        self.blank_threshold = blank_threshold
        self._words: WordScoring | None = None
        if language is not None:
            self._weights = self.add_weight(
                shape=(2,), initializer="zeros", trainable=False, name="language_weights"
            )
            self._weights.assign([alpha, beta])
            self._words = WordScoring(language, self._weights)
        self._history = History(beam, buffer)

    def weigh(self, alpha: float, beta: float) -> None:
        """Change the language model's weight and what each word adds, in traced graphs too.

        Raises:
            ValueError: there is no language model.
        """
        if self.language is None:
            raise ValueError("a decoder without a language model has no weights to change")
        self.alpha, self.beta = alpha, beta
        self._weights.assign([alpha, beta])

    def state_specs(self) -> dict[str, tuple[tuple[int, ...], str]]:
        beams = {
            "hash": "int64",
            "parent": "int64",
            "blank": "float32",
            "nonblank": "float32",
            "last": "int32",
            "began": "int32",
            "peak": "float32",
            "count": "int32",
        }
        if self._words is not None:
            beams |= {"language": "float32", "words": "int32", "node": "int32"}
        return {
            **{name: ((self.beam,), kind) for name, kind in beams.items()},
            "history": (self._history.shape, "int32"),
            "steps": ((), "int32"),
            "score": ((), "float32"),
        }

    @method_as_graph(2, 1, 1)
    def step(
        self, log_probabilities: tf.Tensor, lengths: tf.Tensor, state: Mapping[str, tf.Tensor]
    ) -> tuple[Tensors, Tensors]:
        rows, steps = tf.shape(log_probabilities)[0], tf.shape(log_probabilities)[1]
        kept, at, pauses, pause, skipped = self._kept(log_probabilities, lengths)
        scores = tf.gather(log_probabilities, at, batch_dims=1)
        scores = tf.transpose(tf.maximum(scores, IMPOSSIBLE), [1, 0, 2])
        times = tf.transpose(state["steps"][:, None] + at)
        pauses = tf.transpose(pauses)
        settled = self._history.empty(rows, steps)

        def advance(now: tf.Tensor, beams: Tensors, settled: Any) -> Any:
            beams = _paused(beams, pauses[now])
            beams = self._advance(scores[now], times[now], now < kept, beams)
            full = self._history.full(beams)
            return now + 1, *tf.cond(
                tf.reduce_any(full),
                lambda: self._history.settle(beams, settled, full),
                lambda: (beams, settled),
            )

        last = tf.reduce_max(tf.pad(kept, [[1, 0]]))
        _, beams, settled = tf.while_loop(
            lambda now, *_: now < last, advance, (0, self._begin(state), settled)
        )
        beams, settled = self._history.settle(beams, settled, tf.ones([rows], tf.bool))
        beams = _paused(beams, pause)
        best = self._history.of(beams, tf.zeros([rows], tf.int32))
        return (
            {
                **unpacked(*settled),
                **{f"partial_{name}": best[name] for name in (*PER_TOKEN, "counts")},
            },
            {
                **beams,
                "steps": state["steps"] + lengths,
                "score": beams["score"] + skipped,
            },
        )

    def finish(self, state: Mapping[str, tf.Tensor]) -> Tensors:
        beams = self._begin(state)
        scores = _total(beams)
        if self._words is not None:
            scores += beams["language"] + self._words.end(beams)
        best = tf.argmax(scores, 1, tf.int32)
        score = beams["score"] + tf.gather(scores, best, batch_dims=1)
        return {**self._history.of(beams, best), "score": score}

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beam": self.beam,
            "language": keras.saving.serialize_keras_object(self.language),
            "alpha": self.alpha,
            "beta": self.beta,
            "candidates": self.candidates,
            "buffer": self.buffer,
            "blank_threshold": self.blank_threshold,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> BeamDecoder:
        language = keras.saving.deserialize_keras_object(config["language"])
        return cls(**{**config, "language": language})

    def _begin(self, state: Mapping[str, tf.Tensor]) -> Tensors:
        """The state, with the empty prefix in rows that have had no step."""
        rest = self.beam - 1
        first = {
            "hash": tf.constant([0, *[NO_PREFIX] * rest], tf.int64),
            "parent": tf.fill([self.beam], tf.constant(NO_PARENT, tf.int64)),
            "blank": tf.constant([0.0, *[IMPOSSIBLE] * rest]),
            "nonblank": tf.fill([self.beam], IMPOSSIBLE),
        }
        fresh = state["steps"][:, None] == 0
        return {
            **state,
            **{name: tf.where(fresh, value, state[name]) for name, value in first.items()},
        }

    def _kept(self, log_probabilities: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The steps at which prefixes may be extended.

        Args:
            log_probabilities: `(batch, steps, tokens)`.
            lengths: real steps of each row, `(batch,)`.

        Returns:
            Their number in each row, `(batch,)` int32; their indices, then those of all other
            steps, `(batch, steps)` int32; whether blanks were skipped before each, `(batch, steps)`
            bool, and after the last, `(batch,)` bool; and the score of these blanks, `(batch,)`.
        """
        steps = tf.shape(log_probabilities)[1]
        places, blank = tf.range(steps), log_probabilities[:, :, BLANK]
        real = kept = tf.sequence_mask(lengths, steps)
        if self.blank_threshold is not None:
            kept &= blank <= math.log(self.blank_threshold)
        counts = tf.reduce_sum(tf.cast(kept, tf.int32), 1)
        at = tf.argsort(tf.where(kept, places, places + steps), axis=1)
        ends = tf.pad(tf.where(tf.sequence_mask(counts, steps), at, -1) + 1, [[0, 0], [1, 0]])
        pauses = (at > ends[:, :-1]) & tf.sequence_mask(counts, steps)
        skipped = tf.reduce_sum(tf.where(real & ~kept, blank, 0.0), 1)
        return counts, at, pauses, lengths > tf.reduce_max(ends, 1), skipped

    def _advance(
        self, scores: tf.Tensor, time: tf.Tensor, real: tf.Tensor, beams: Tensors
    ) -> Tensors:
        """Advance the rows that have this step.

        Args:
            scores: log probabilities `(batch, tokens)`.
            time: number of the stream's steps before this one, `(batch,)` int32.
            real: rows that have this step, `(batch,)` bool.
            beams: the prefixes.
        """
        # In rows without this step only the blank is possible.
        nothing = tf.one_hot(BLANK, scores.shape[-1], 0.0, IMPOSSIBLE)
        scores = tf.where(real[:, None], scores, nothing)
        ids, extending = self._likely(scores)
        last = beams["last"]
        repeats = last[:, :, None] == ids[:, None]
        stays, renewed, source, taken = self._stay(scores, repeats, beams)

        grown = tf.where(repeats, beams["blank"][:, :, None], _total(beams)[:, :, None])
        grown = tf.where(taken, IMPOSSIBLE, grown + extending[:, None])
        ranks = tf.concat([_total(stays)[:, :, None], grown], 2)
        if self._words is not None:
            language, nodes, words = self._words.extend(beams, ids)
            ranks += language

        width = ranks.shape[2]
        chosen = tf.math.top_k(_flat(ranks), self.beam).indices
        # In those rows all prefixes stay, or impossible extensions would replace dead prefixes.
        chosen = tf.where(real[:, None], chosen, tf.range(self.beam) * width)
        origin, column = chosen // width, chosen % width

        def of(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(values, origin, batch_dims=1)

        def at(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(_flat(values), chosen, batch_dims=1)

        alive, new = at(ranks) > POSSIBLE, column > 0
        token = tf.gather(tf.pad(ids, [[0, 0], [1, 0]]), column, batch_dims=1)
        past, fresh = of(beams["hash"]), new | of(renewed)
        result = {
            "hash": tf.where(alive, tf.where(new, _hash(past, token), past), NO_PREFIX),
            "parent": tf.where(alive, tf.where(new, past, of(beams["parent"])), NO_PARENT),
            "blank": tf.where(new, IMPOSSIBLE, of(stays["blank"])),
            "nonblank": at(tf.concat([stays["nonblank"][:, :, None], grown], 2)),
            "last": tf.where(new, token, of(last)),
            "began": tf.where(fresh, time[:, None], of(beams["began"])),
            "count": of(beams["count"]) + tf.cast(new, tf.int32),
        }
        if self._words is not None:
            result["language"] = at(language)
            result["node"] = at(nodes)
            result["words"] = tf.where(token == SPACE, of(words), of(beams["words"]))
        heard = tf.gather(scores, result["last"], batch_dims=1)
        runs_on = of(stays["nonblank"] > stays["blank"])
        peak = of(beams["peak"])
        peak = tf.where(runs_on, tf.maximum(peak, heard), peak)
        result["peak"] = tf.where(fresh, heard, peak)
        # An extended prefix takes over the history of the prefix that it extends.
        source = tf.where(new, origin, of(source))
        result["history"] = self._history.write(beams["history"], source, result)
        for name in ("blank", "nonblank"):
            result[name] = tf.where(real[:, None], result[name], of(beams[name]))
        return _rescaled({**beams, **result}, real)

    def _likely(self, scores: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The tokens that may extend prefixes, `(batch, candidates)` int32, and their scores."""
        tokens = scores.shape[1] - 1
        if self.candidates is not None and self.candidates < tokens:
            values, places = tf.math.top_k(scores[:, 1:], self.candidates)
            return places + 1, values
        return tf.tile(tf.range(1, tokens + 1)[None], [tf.shape(scores)[0], 1]), scores[:, 1:]

    def _stay(
        self, scores: tf.Tensor, repeats: tf.Tensor, beams: Tensors
    ) -> tuple[Tensors, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score prefixes that are not extended, or that extending another one reaches again.

        Args:
            scores: log probabilities `(batch, tokens)`.
            repeats: which candidate is the last token of which prefix, `(batch, beam, candidates)`
                bool.
            beams: the prefixes.

        Returns:
            `blank` and `nonblank` of each prefix, `(batch, beam)`; whether most of its probability
            comes from another prefix; the index of the prefix whose history it takes over; and
            which extensions that accounts for, `(batch, beam, candidates)` bool.
        """
        last, total = beams["last"], _total(beams)
        heard = tf.gather(scores, last, batch_dims=1)
        blank, nonblank = total + scores[:, :1], beams["nonblank"] + heard
        parent = beams["parent"][:, :, None] == beams["hash"][:, None]
        places = tf.range(self.beam)[None]
        found = tf.reduce_max(tf.where(parent, places, -1), 2)
        source = tf.maximum(found, 0)

        def of(values: tf.Tensor) -> tf.Tensor:
            return tf.gather(values, source, batch_dims=1)

        reached = tf.where(of(last) == last, of(beams["blank"]), of(total)) + heard
        reached = tf.where(found >= 0, reached, IMPOSSIBLE)
        renewed = reached > log_add(blank, nonblank)
        parent, repeats = tf.cast(parent, tf.float32), tf.cast(repeats, tf.float32)
        taken = tf.matmul(parent, repeats, transpose_a=True)
        stays = {"blank": blank, "nonblank": log_add(nonblank, reached)}
        return stays, renewed, tf.where(renewed, source, places), taken > 0


def _total(beams: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Log probability of prefixes over all their alignments."""
    return log_add(beams["blank"], beams["nonblank"])


def _paused(beams: Tensors, rows: tf.Tensor) -> Tensors:
    """The prefixes after skipped blanks, in the rows `(batch,)` that have some."""
    rows = rows[:, None]
    return {
        **beams,
        "blank": tf.where(rows, _total(beams), beams["blank"]),
        "nonblank": tf.where(rows, IMPOSSIBLE, beams["nonblank"]),
    }


def _flat(values: tf.Tensor) -> tf.Tensor:
    """Join the axes of prefixes and of their extensions."""
    return tf.reshape(values, [-1, values.shape[1] * values.shape[2]])


def _hash(past: tf.Tensor, token: tf.Tensor) -> tf.Tensor:
    """Hashes of prefixes with one more token."""
    mixed = (tf.cast(token, tf.int64) + 1) * _TOKEN_FACTOR
    mixed = tf.bitwise.bitwise_xor(mixed, tf.bitwise.right_shift(mixed, 29))
    return tf.bitwise.bitwise_and(past * _HASH_FACTOR + mixed, _HASH_BITS)


def _rescaled(beams: Tensors, real: tf.Tensor) -> Tensors:
    """Move the best prefix's score into `score`, so that float32 stays exact over hours."""
    best = tf.reduce_max(_total(beams), 1, keepdims=True)
    best = tf.where(real[:, None] & (best > POSSIBLE), best, 0.0)
    result = dict(beams)
    for name in ("blank", "nonblank"):
        result[name] = tf.maximum(beams[name] - best, IMPOSSIBLE)
    result["score"] = beams["score"] + best[:, 0]
    if "language" in beams:
        first = beams["language"][:, :1]
        result["language"] = beams["language"] - first
        result["score"] += first[:, 0]
    return result
