"""Prefix beam search compared with a dictionary of prefixes and with all alignments."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.ctc import BeamDecoder, GreedyDecoder, join
from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.lexicon import Lexicon
from apps.layers.ctc.tokens import Tokens
from apps.layers.language.ngram import NgramModel

Prefix = tuple[int, ...]
Score = Callable[[Prefix], float]
NEVER = -math.inf

TRANSCRIPTS = ("ab ba", "ab ab ba", "ba c", "c", "abc ba", "ab c ba c")
ALPHA, BETA = 0.8, 0.4


def likely(rows: int, steps: int, tokens: int, seed: int = 0, scale: float = 2.0) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(size=(rows, steps, tokens)) * scale
    return tf.nn.log_softmax(logits.astype(np.float32)).numpy()


def one_by_one(
    scores: np.ndarray,
    beam: int,
    candidates: int | None = None,
    so_far: Score = lambda prefix: 0.0,
    at_end: Score = lambda prefix: 0.0,
) -> tuple[float, Prefix]:
    """Best score and prefix of one row `(steps, tokens)`: Hannun et al. 2014, algorithm 1."""
    beams: dict[Prefix, tuple[float, float]] = {(): (0.0, NEVER)}
    for now in scores.astype(np.float64):
        extending = set((1 + np.argsort(-now[1:], kind="stable")[:candidates]).tolist())
        after: dict[Prefix, tuple[float, float]] = defaultdict(lambda: (NEVER, NEVER))

        def add(prefix: Prefix, blank: float, token: float, after: dict = after) -> None:
            known = after[prefix]
            after[prefix] = np.logaddexp(known[0], blank), np.logaddexp(known[1], token)

        for prefix, (blank, token) in beams.items():
            total = np.logaddexp(blank, token)
            add(prefix, total + now[0], token + now[prefix[-1]] if prefix else NEVER)
            for new in range(1, len(now)):
                longer = (*prefix, new)
                if new in extending or longer in beams:
                    before = blank if prefix[-1:] == (new,) else total
                    add(longer, NEVER, before + now[new])
        ranks = {prefix: np.logaddexp(*both) + so_far(prefix) for prefix, both in after.items()}
        best = sorted(ranks, key=lambda prefix: -ranks[prefix])[:beam]
        beams = {prefix: after[prefix] for prefix in best if ranks[prefix] > NEVER}
    return max(
        (float(np.logaddexp(*both)) + so_far(prefix) + at_end(prefix), prefix)
        for prefix, both in beams.items()
    )


def with_pauses(scores: np.ndarray) -> np.ndarray:
    """About every third step is almost certain to be blank."""
    pauses = np.random.default_rng(1).random(scores.shape[:2]) < 0.3
    pause = np.log([1 - 2e-5] + [2e-5 / (scores.shape[2] - 1)] * (scores.shape[2] - 1))
    return np.where(pauses[..., None], pause, scores).astype(np.float32)


def decode(decoder: BeamDecoder, scores: np.ndarray, lengths: np.ndarray) -> dict[str, tf.Tensor]:
    """Answers of a graph, since eager operations take ten times as long."""
    return tf.function(decoder.call)(tf.constant(scores), tf.constant(lengths, tf.int32))


def answer_of(found: dict[str, tf.Tensor], row: int) -> Prefix:
    return tuple(found["ids"].numpy()[row, : int(found["counts"][row])].tolist())


@pytest.mark.parametrize(
    ("beam", "candidates", "tokens", "steps"),
    [(1, None, 4, 12), (8, 3, 6, 20), (16, None, 6, 24)],
)
def test_finds_what_a_dictionary_of_prefixes_finds(
    beam: int, candidates: int | None, tokens: int, steps: int
) -> None:
    scores = likely(6, steps, tokens)
    lengths = np.array([steps, 0, 1, steps - 1, steps // 2, steps], np.int32)
    decoder = BeamDecoder(beam, candidates=candidates)
    found = decode(decoder, scores, lengths)
    for row, length in enumerate(lengths):
        score, prefix = one_by_one(scores[row, :length], beam, candidates)
        assert answer_of(found, row) == prefix
        assert found["score"].numpy()[row] == pytest.approx(score, abs=1e-4)


def test_with_all_prefixes_kept_it_is_exact() -> None:
    """A wider beam never finds a worse answer, either."""
    steps, tokens, rows = 5, 3, 8
    scores = likely(rows, steps, tokens, seed=3, scale=0.7)
    lengths = np.full(rows, steps)
    exact = decode(BeamDecoder(64, candidates=None), scores, lengths)
    for row in range(rows):
        sums: dict[Prefix, float] = defaultdict(float)
        for path in itertools.product(range(tokens), repeat=steps):
            prefix = tuple(token for token, _ in itertools.groupby(path) if token)
            sums[prefix] += math.exp(sum(scores[row, step, path[step]] for step in range(steps)))
        best = max(sums, key=lambda prefix: sums[prefix])
        assert answer_of(exact, row) == best
        assert exact["score"].numpy()[row] == pytest.approx(math.log(sums[best]), abs=1e-5)
    found = [decode(BeamDecoder(beam, candidates=None), scores, lengths) for beam in (1, 4)]
    found.append(exact)
    for narrow, wide in itertools.pairwise(found):
        assert (wide["score"].numpy() >= narrow["score"].numpy() - 1e-5).all()
    # The cases distinguish them: the best alignment is not always that of the best transcript.
    assert any(answer_of(found[0], row) != answer_of(exact, row) for row in range(rows))


def test_steps_and_confidence_of_clear_speech() -> None:
    """Times are those at which a token is heard, not those at which it first entered the beam."""
    path = [0, 0, 1, 1, 0, 2, 0, 0, 2, 3, 3, 0]
    probabilities = np.full((1, len(path), 4), 0.02)
    probabilities[0, range(len(path)), path] = 0.94
    probabilities[0, 3] = [0.01, 0.97, 0.01, 0.01]
    probabilities[0, 4] = [0.55, 0.15, 0.15, 0.15]
    scores = np.log(probabilities).astype(np.float32)
    found = decode(BeamDecoder(8), scores, np.array([len(path)]))
    assert answer_of(found, 0) == (1, 2, 2, 3)
    assert found["steps"].numpy().tolist() == [[2, 5, 8, 9]]
    np.testing.assert_allclose(found["confidence"], [[0.97, 0.94, 0.94, 0.94]], rtol=1e-5)


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return Tokens.adapt(TRANSCRIPTS, kind="characters")


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return NgramModel.train(TRANSCRIPTS, 3)


def tables_of(model: NgramModel, tokens: Tokens, penalty: float | None) -> NgramTables:
    return NgramTables.of(model, Lexicon.of(model, tokens), penalty)


def word_scores(model: NgramModel, tokens: Tokens, penalty: float | None) -> tuple[Score, Score]:
    """What a language model adds to a prefix, and to one that ends, word by word."""
    known = {word for text in TRANSCRIPTS for word in text.split()}
    starts = {word[:end] for word in known for end in range(len(word) + 1)}
    unknown = NEVER if penalty is None else penalty

    def log(word: str, before: list[str]) -> float:
        return math.log(10) * model.log10(word, ["<s>", *before])

    def split(prefix: Prefix) -> tuple[float, list[str], str]:
        *ended, begun = "".join(tokens.texts[token] for token in prefix).split(" ")
        score = 0.0
        for place, word in enumerate(ended):
            if not word:
                return NEVER, ended, begun
            score += BETA + ALPHA * log(word, ended[:place])
            score += 0 if word in known else ALPHA * unknown
        return score, ended, begun

    def so_far(prefix: Prefix) -> float:
        score, _, begun = split(prefix)
        return score + (0 if begun in starts else ALPHA * unknown)

    def at_end(prefix: Prefix) -> float:
        _, words, begun = split(prefix)
        if not begun:
            return ALPHA * log("</s>", words)
        score = BETA + ALPHA * (log(begun, words) + log("</s>", [*words, begun]))
        left_early = begun not in starts
        return score + (0 if begun in known or left_early else ALPHA * unknown)

    return so_far, at_end


@pytest.mark.parametrize(("penalty", "candidates"), [(-2.0, None), (None, 2)])
def test_words_are_scored_as_they_end(
    penalty: float | None, candidates: int | None, model: NgramModel, tokens: Tokens
) -> None:
    scores = likely(5, 22, len(tokens), seed=4)
    lengths = np.array([22, 0, 3, 21, 12], np.int32)
    so_far, at_end = word_scores(model, tokens, penalty)
    language = tables_of(model, tokens, penalty)
    decoder = BeamDecoder(12, language, ALPHA, BETA, candidates)
    found = decode(decoder, scores, lengths)
    plain = decode(BeamDecoder(12, candidates=candidates), scores, lengths)
    for row, length in enumerate(lengths):
        score, prefix = one_by_one(scores[row, :length], 12, candidates, so_far, at_end)
        # If no prefix ends in a word, no answer is possible, and the best prefix is returned.
        if score > NEVER:
            assert answer_of(found, row) == prefix
            assert found["score"].numpy()[row] == pytest.approx(score, abs=1e-3)
    assert any(answer_of(found, row) != answer_of(plain, row) for row in range(5))
    if penalty is None:
        said = {word for row in range(5) for word in tokens.text(answer_of(found, row)).split()}
        assert said
        assert said <= {word for text in TRANSCRIPTS for word in text.split()}


@pytest.mark.parametrize("buffer", [128, 6], ids=["buffer has room", "buffer runs full"])
def test_a_stream_settles_on_the_same_tokens(
    buffer: int, model: NgramModel, tokens: Tokens
) -> None:
    """In chunks of one step, of three, and of any number, including none."""
    steps = 70
    scores = with_pauses(likely(4, steps, len(tokens), seed=5, scale=3))
    lengths = np.array([steps, 31, 0, steps - 1], np.int32)
    decoder = BeamDecoder(6, tables_of(model, tokens, -3.0), ALPHA, BETA, buffer=buffer)
    specs = decoder.state_specs()
    signature = [
        tf.TensorSpec((None, None, len(tokens))),
        tf.TensorSpec((None,), tf.int32),
        {name: tf.TensorSpec((None, *shape), kind) for name, (shape, kind) in specs.items()},
    ]
    step, finish = tf.function(decoder.step, signature), tf.function(decoder.finish)
    whole = decode(decoder, scores, lengths)
    generator = np.random.default_rng(0)
    for size in (1, 3, None):
        state, settled = decoder.zeros(4), None
        start, early = 0, 0
        while start < steps:
            taken = int(generator.integers(0, 9)) if size is None else size
            chunk = scores[:, start : start + taken]
            real = np.clip(lengths - start, 0, chunk.shape[1]).astype(np.int32)
            answer, state = step(tf.constant(chunk), tf.constant(real), state)
            settled = answer if settled is None else join(settled, answer)
            start += taken
            if start < steps // 2:
                early = int(settled["counts"][0])
                assert (answer["partial_counts"].numpy() <= buffer).all()
        assert settled is not None
        assert early > 0, "nothing settles before the end"
        again = join(settled, finish(state))
        for row in range(4):
            assert answer_of(again, row) == answer_of(whole, row)
        np.testing.assert_allclose(again["score"], whole["score"], rtol=1e-5)
    form = {name: (tuple(value.shape[1:]), value.dtype.name) for name, value in state.items()}
    assert form == specs


def test_a_full_buffer_that_nobody_agrees_on_drops_the_other_prefixes() -> None:
    """Two texts stay equally likely throughout, so no prefix of theirs ever settles by itself."""
    path = np.tile([1, 2], 10)
    probabilities = np.full((1, 20, 5), 1e-6)
    probabilities[0, range(20), path] = 1.0
    probabilities[0, 0] = [1e-6, 0.51, 1e-6, 0.49, 1e-6]
    scores = np.log(probabilities).astype(np.float32)
    roomy, tight = (BeamDecoder(2, buffer=buffer) for buffer in (64, 4))
    for decoder, settles in ((roomy, False), (tight, True)):
        step = tf.function(decoder.step)
        answer, state = step(tf.constant(scores), tf.constant([20]), decoder.zeros(1))
        assert (answer["counts"].numpy()[0] > 0) == settles
        assert answer_of(join(answer, decoder.finish(state)), 0) == tuple(path)


def test_steps_that_are_left_out_change_nothing() -> None:
    scores, lengths = with_pauses(likely(6, 40, 5, seed=6)), np.array([40, 39, 0, 1, 2, 20])
    every = decode(BeamDecoder(8, blank_threshold=None), scores, lengths)
    found = decode(BeamDecoder(8), scores, lengths)
    for name in ("ids", "steps", "counts"):
        np.testing.assert_array_equal(found[name], every[name])
    np.testing.assert_allclose(found["confidence"], every["confidence"], rtol=1e-5)
    np.testing.assert_allclose(found["score"], every["score"], atol=2e-3)
    assert (found["score"].numpy() != every["score"].numpy()).any(), "nothing was left out"


def test_certain_posteriors_and_none_at_all() -> None:
    """Probabilities of exactly one and of exactly zero."""
    certain = np.full((2, 6, 4), -np.inf, np.float32)
    certain[0, range(6), [0, 1, 1, 0, 1, 3]] = 0
    found = decode(BeamDecoder(5), certain, np.array([6, 6]))
    assert answer_of(found, 0) == (1, 1, 3)
    assert found["score"].numpy()[0] == pytest.approx(0, abs=1e-5)
    assert np.isfinite(found["score"]).all()
    assert answer_of(found, 1) == ()


@pytest.mark.parametrize(
    ("name", "value"), [("beam", 0), ("candidates", 0), ("buffer", 1), ("blank_threshold", 0.0)]
)
def test_numbers_out_of_range_are_refused(name: str, value: float) -> None:
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=f"{name} must be"):
        BeamDecoder(**arguments)


_CHILD = """
import sys
import numpy as np
import tensorflow as tf

folder, given, taken = sys.argv[1:]
feed = np.load(given)
with tf.compat.v1.Session(graph=tf.Graph()) as session:
    loaded = tf.compat.v1.saved_model.load(session, ["serve"], folder)
    signature = loaded.signature_def["serve"]
    feeds = {signature.inputs[name].name: feed[name] for name in signature.inputs}
    names = {name: output.name for name, output in signature.outputs.items()}
    np.savez(taken, **session.run(names, feeds))
"""


def test_both_decoders_are_served_by_a_process_without_this_package(
    tmp_path: Path, model: NgramModel, tokens: Tokens
) -> None:
    """By the loader that TensorFlow Serving uses, from a model that was saved and loaded."""
    scores = keras.Input((None, len(tokens)), name="scores")
    lengths = keras.Input((), dtype="int32", name="lengths")
    beam = BeamDecoder(8, tables_of(model, tokens, -3.0), ALPHA, BETA)
    found = {
        f"{name}_{part}": value
        for name, decoder in (("greedy", GreedyDecoder()), ("beam", beam))
        for part, value in decoder(scores, lengths).items()
    }
    keras.Model({"scores": scores, "lengths": lengths}, found).save(tmp_path / "model.keras")
    served = keras.models.load_model(tmp_path / "model.keras")
    given = {"scores": likely(3, 15, len(tokens)), "lengths": np.array([15, 0, 7], np.int32)}
    expected = {f"beam_{part}": value for part, value in decode(beam, *given.values()).items()}
    greedy = GreedyDecoder()(*given.values())
    expected |= {f"greedy_{part}": value for part, value in greedy.items()}
    archive = keras.export.ExportArchive()
    archive.track(served)
    specs = {
        "scores": tf.TensorSpec((None, None, len(tokens)), tf.float32, name="scores"),
        "lengths": tf.TensorSpec((None,), tf.int32, name="lengths"),
    }
    archive.add_endpoint("serve", served.call, input_signature=[specs])
    archive.write_out(tmp_path / "served", verbose=False)
    np.savez(tmp_path / "given.npz", scores=given["scores"], lengths=given["lengths"])
    files = tmp_path / "served", tmp_path / "given.npz", tmp_path / "taken.npz"
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, *map(str, files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    taken = np.load(tmp_path / "taken.npz")
    assert set(taken) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(taken[name], value, rtol=1e-5, atol=1e-6, err_msg=name)
