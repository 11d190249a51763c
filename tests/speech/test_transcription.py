"""What `transcription` does beyond the contract: it learns, searches, times and counts."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ctc_outputs import answered, application, built, heard, outputs_of, texts, truth

import apps
from apps import environment
from apps.components import Adaptation
from apps.data import Batch, Examples
from apps.data.recordings.clip import Clip
from apps.layers.ctc.posteriors import real_steps
from apps.run import Run
from apps.speech.transcription import Transcription
from apps.tasks.transcription import CtcTranscription


@pytest.fixture(scope="module")
def learnt(tiny: dict[str, Any], sentences: Examples) -> Transcription:
    return built(tiny, sentences)


@pytest.fixture(scope="module")
def both_ways(tiny: dict[str, Any], sentences: Examples) -> Transcription:
    """A bidirectional model whose tokens are pieces of words."""
    return built(tiny, sentences, bidirectional=True, tokens="pieces", pieces=24)


# Learning


def test_the_whole_path_learns_sentences_by_heart(
    transcription_run: Run, sentences: Examples
) -> None:
    metrics = transcription_run.metrics
    assert metrics["metrics"]["wer"] == 0.0
    assert metrics["metrics"]["cer"] == 0.0
    assert metrics["baselines"]["most_frequent_transcript"]["wer"] > 0.5
    answers = transcription_run.predict(list(sentences["audio"]))
    assert [answer["text"] for answer in answers] == sentences["transcript"]
    assert [answer["words"] for answer in answers] == [t.split() for t in sentences["transcript"]]


def test_every_decoder_is_measured(transcription_run: Run) -> None:
    measured = transcription_run.metrics["decoders"]
    assert set(measured) == {"greedy", "beam"}
    for metrics in measured.values():
        assert set(metrics) == {metric.name for metric in CtcTranscription.metrics}
        assert metrics["cer"] < 0.3


def test_rows_that_nothing_can_be_learnt_from_leave_the_loss_as_it_is(
    learnt: Transcription,
) -> None:
    tokens = len(learnt.task.tokens)
    logits = np.random.default_rng(0).normal(size=(3, 9, tokens)).astype(np.float32)
    outputs = tf.Variable(tf.nn.log_softmax(logits))
    labels = np.full((3, 12), 2, np.int32)
    labels[:, ::2] = 3

    def loss_and_gradient(*counts: int) -> tuple[float, np.ndarray]:
        rows = len(counts)
        batch = {
            "labels": tf.constant(labels[:rows]),
            "label_lengths": tf.constant(counts, tf.int32),
        }
        with tf.GradientTape() as tape:
            loss = learnt.loss(batch, outputs[:rows])
        return float(loss), tf.convert_to_tensor(tape.gradient(loss, outputs)).numpy()

    alone, _ = loss_and_gradient(4)
    with_one_too_long, gradient = loss_and_gradient(4, 12)
    assert 0 < alone < math.inf
    assert with_one_too_long == pytest.approx(alone)
    assert np.isfinite(gradient).all()
    assert np.abs(gradient[0]).max() > 0.01
    assert not gradient[1].any()
    all_too_long, gradient = loss_and_gradient(12, 11)
    assert all_too_long == 0.0
    assert not gradient.any()


def test_steps_that_count_are_those_that_the_model_gives(
    learnt: Transcription, both_ways: Transcription
) -> None:
    lengths = np.array([0, 1, 200, 201, 999, 3777, 8000])
    audio = np.random.default_rng(0).normal(0, 0.1, (len(lengths), 8000)).astype(np.float32)
    inputs = {"audio": tf.constant(audio), "lengths": tf.constant(lengths, tf.int32)}
    for model in (learnt, both_ways):
        steps = real_steps(model.model(inputs)).numpy()
        np.testing.assert_array_equal(steps, model._steps(lengths))
        assert steps[0] == 1
        assert steps[-1] == pytest.approx(1.0 / model.step_seconds, abs=1)


# Measuring


@pytest.mark.parametrize(
    ("pairs", "rates"),
    [
        ([("", "one two")], {"wer": 2.0, "insertions": 2.0, "deletions": 0.0}),
        ([("", "")], {"wer": 0.0, "cer": 0.0}),
        ([("", "one"), ("a b", "a b")], {"wer": 0.5, "cer": 1.0}),
        (
            [("a b c d", "a x c d e e"), ("a b c", "c")],
            {"wer": 5 / 7, "substitutions": 1 / 7, "deletions": 2 / 7, "insertions": 2 / 7},
        ),
        ([], {"wer": 0.0, "cer": 0.0}),
    ],
)
def test_rates_are_all_errors_over_all_that_was_said(
    pairs: list[tuple[str, str]], rates: dict[str, float]
) -> None:
    task = Transcription.task
    said, heard = ([pair[i] for pair in pairs] for i in (0, 1))
    statistics = task.statistics({"truth": truth(*said)}, np.array([t.encode() for t in heard]))
    if not pairs:
        statistics = {name: np.zeros((0, 4), np.int64) for name in statistics}
    assert all(len(values) == len(pairs) for values in statistics.values())
    measured = task.measure(statistics)
    assert {name: measured[name] for name in rates} == pytest.approx(rates)
    assert set(measured) == {metric.name for metric in task.metrics}


# Checking rows


def test_recordings_without_a_transcript_are_passed_over(
    learnt: Transcription, sentences: Examples
) -> None:
    said = ["go", "", "  ", "\t", "no", "up"]
    rows = Examples({**sentences.columns, "transcript": said}, sentences.places, "said.csv")
    assert learnt.check(rows, learning=True).places == [f"said.csv row {row}" for row in (1, 5, 6)]


def test_letters_that_were_never_seen_count_as_errors(
    transcription_run: Run, sentences: Examples
) -> None:
    clips = list(sentences["audio"][:2])
    rows = [
        {"audio": clips[0], "transcript": "gö left"},
        {"audio": clips[1], "transcript": "stöp"},
    ]
    measured = transcription_run.evaluate(rows)
    assert measured["examples"] == 2
    assert measured["wer"] == pytest.approx(2 / 3)
    assert measured["cer"] == pytest.approx(2 / 11)


def test_transcripts_longer_than_their_recordings_are_told_of(
    learnt: Transcription, sentences: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(environment, "say", said.append)
    training = Adaptation(learnt.adapted)
    learnt.view(sentences, training=training)
    assert said == []
    long = ["go left" * 40, *sentences["transcript"][1:]]
    rows = Examples({**sentences.columns, "transcript": long}, sentences.places, "said.csv")
    learnt.view(rows)
    assert said == [], "only what is learnt from is told of"
    learnt.view(rows, training=training)
    (line,) = said
    assert line.startswith(f"1 of {len(sentences)} transcripts")


# Words and their times


def test_times_of_words_rise_within_the_recording(
    transcription_run: Run, learnt: Transcription, sentences: Examples
) -> None:
    clips = list(sentences["audio"])
    step = learnt.step_seconds
    for clip, answer in zip(clips, transcription_run.predict(clips), strict=True):
        bounds = [*zip(answer["starts"], answer["ends"], strict=True)]
        assert len(bounds) == len(answer["words"]) == len(answer["confidences"])
        flat = [0.0, *(time for word in bounds for time in word)]
        assert flat == sorted(flat)
        assert all(end - start >= 0.99 * step for start, end in bounds)
        assert flat[-1] <= clip.seconds + step
        # Both words of a sentence are where they are said, not all at its end.
        if len(bounds) > 1:
            assert bounds[0][0] < clip.seconds / 2 < bounds[-1][1]
        assert answer["confidence"] == pytest.approx(min(answer["confidences"]))


def test_recordings_with_next_to_nothing_in_them_are_answered(transcription_run: Run) -> None:
    model = transcription_run.application
    served = model.served({"audio": tf.zeros((2, 0)), "lengths": tf.zeros(2, tf.int32)})
    assert served["text"].shape == (2,)
    assert served["words"].shape[0] == 2
    one, silence = transcription_run.predict(
        [Clip(np.ones(1, np.int16), 44_100), Clip(np.zeros(100, np.int16), 8000)]
    )
    for answer in (one, silence):
        assert answer["text"] == " ".join(answer["words"])
        assert 0 <= answer["confidence"] <= 1


def test_what_is_said_and_when_comes_from_the_steps_that_it_is_heard_in(
    learnt: Transcription,
) -> None:
    tokens, sure, unsure = learnt.task.tokens, {"": 1.0}, {"n": 0.75, "": 0.25}
    outputs = outputs_of(
        heard(tokens, sure, {"g": 1}, {"o": 1}, {"o": 1}, {" ": 1}, unsure, {"o": 1}, sure),
        heard(tokens, sure),
    )
    said, nothing = answered(learnt.task, outputs)
    step = learnt.step_seconds
    assert said["text"] == "go no"
    np.testing.assert_allclose(said["starts"], [step, 5 * step], rtol=1e-6)
    assert said["ends"][0] <= said["starts"][1]
    assert said["confidences"][0] == pytest.approx(1, abs=1e-3)
    assert said["confidences"][1] == pytest.approx((0.75 + 1) / 2, abs=1e-3)
    assert nothing["text"] == ""
    assert nothing["words"] == nothing["starts"] == nothing["ends"] == []
    assert nothing["confidence"] == 1.0
    json.dumps([said, nothing])


# Tokens


@pytest.mark.parametrize("kind", ["learnt", "both_ways"])
def test_transcripts_survive_their_way_through_tokens(
    kind: str, request: pytest.FixtureRequest, sentences: Examples
) -> None:
    model: Transcription = request.getfixturevalue(kind)
    tokens = model.task.tokens
    assert tokens.kind == ("pieces" if kind == "both_ways" else "characters")
    view = model.view(sentences)
    batch = view.fetch(Batch(np.arange(len(view)), int(view.lengths.max())))
    rows = []
    for labels, count in zip(batch["labels"], batch["label_lengths"], strict=True):
        spelt = [tokens.texts[token] for token in labels[:count]]
        rows.append(heard(tokens, *({text: 1.0} for token in spelt for text in (token, ""))))
    assert texts(model.task, outputs_of(*rows)) == list(sentences["transcript"])
    outputs = model.model({name: batch[name] for name in ("audio", "lengths")})
    loss = model.loss({name: tf.constant(v) for name, v in batch.items()}, outputs)
    assert 1 < float(loss) < 1000
    assert model.model.get_layer("logits").units == len(tokens)


def test_pieces_are_longer_than_letters(learnt: Transcription, both_ways: Transcription) -> None:
    pieces, letters = both_ways.task.tokens, learnt.task.tokens
    assert max(map(len, pieces.texts)) > 1
    assert len(pieces.encode("go left")) < len(letters.encode("go left"))


def test_too_few_pieces_for_the_letters_are_refused(
    tiny: dict[str, Any], sentences: Examples
) -> None:
    model = application(tiny, tokens="pieces", pieces=5)
    with pytest.raises(apps.UserError, match="pieces 5: too few"):
        model.task.decoding(sentences, 0.04)
