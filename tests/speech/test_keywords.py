"""What `keywords` does beyond the contract: its classes, its streams, its report."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import apps
from apps.answers import answers as as_python
from apps.data import Batch, Examples
from apps.data.recordings.clip import Clip
from apps.speech.keywords import Keywords, KeywordsConfig
from apps.speech.sample_words import sample_words
from apps.speech.word_classes import with_generated_silence

RATE = 8000
SMALL = {"units": 8, "depth": 2, "channels": 4, "bands": 16, "attention": 8}


def tone(hertz: float, seconds: float = 0.4, rate: int = RATE) -> Clip:
    time = np.arange(round(seconds * rate)) / rate
    return Clip.of(0.3 * np.sin(2 * np.pi * hertz * time) * np.hanning(len(time)), rate)


def noise(seconds: float, rate: int = RATE) -> Clip:
    return Clip.of(0.01 * np.random.default_rng(0).standard_normal(round(seconds * rate)), rate)


def examples_of(*rows: tuple[str, Clip]) -> Examples:
    labels, clips = zip(*rows, strict=True)
    places = [f"words.csv row {row}" for row in range(1, len(rows) + 1)]
    return Examples({"audio": list(clips), "label": list(labels)}, places, "words.csv")


def application(**settings: Any) -> Keywords:
    return Keywords(KeywordsConfig.from_values({**SMALL, **settings}), seed=3)


@pytest.fixture(scope="module")
def words() -> Examples:
    """Two words of differing lengths, three times each."""
    return examples_of(
        *(("low", tone(400 + 20 * i, 0.3 + 0.11 * i)) for i in range(3)),
        *(("high", tone(1500 + 50 * i, 0.35 + 0.13 * i)) for i in range(3)),
    )


@pytest.fixture(scope="module")
def learnt(words: Examples) -> Keywords:
    """Adapted to the words and built, its weights as they begin."""
    model = application()
    model.compose(model.check(words, learning=True))
    return model


# Classes


def test_layout_of_speech_commands_becomes_words_unknown_and_silence() -> None:
    given = examples_of(
        ("yes", tone(400)),
        ("no", tone(600)),
        ("bed", tone(800)),
        ("_unknown_", tone(900)),
        ("_silence_", noise(1.0)),
        ("_background_noise_", noise(1.5)),
    )
    every = application().check(given, learning=True)
    assert every["label"] == ["yes", "no", "bed", "unknown", "silence", "silence"]
    chosen = application(keywords="no, yes").check(given, learning=True)
    assert chosen["label"] == ["yes", "no", "unknown", "unknown", "silence", "silence"]


def test_keywords_may_be_any_labels_those_of_the_layout_too() -> None:
    given = examples_of(("unknown", tone(400)), ("silence", noise(1.0)), ("word", tone(500)))
    kept = application(keywords="silence,word").check(given, learning=True)
    assert kept["label"] == ["unknown", "silence", "word"]


def test_a_keyword_that_nobody_says_is_refused_with_the_nearest(words: Examples) -> None:
    with pytest.raises(apps.UserError, match=r"label 'hihg'.*did you mean 'high'"):
        application(keywords="low,hihg").check(words, learning=True)


def test_minutes_of_noise_become_seconds_of_silence_no_more_than_a_word_has() -> None:
    rows = [("yes", tone(400 + i)) for i in range(7)] + [("no", tone(500))]
    kept = application().check(
        examples_of(*rows, ("_background_noise_", noise(20.5)), ("silence", noise(1.2))),
        learning=True,
    )
    assert Counter(kept["label"]) == {"yes": 7, "no": 1, "silence": 8}
    pieces = [i for i, place in enumerate(kept.places) if "second" in place]
    assert kept.places[pieces[0]] == "words.csv row 9 second 1"
    assert kept.places[pieces[-1]] == "words.csv row 9 second 20"
    assert {len(kept["audio"][i].samples) for i in pieces} == {RATE}
    again = application().check(kept, learning=True)
    assert again["label"] == kept["label"]


def test_generated_silence_is_a_class_of_the_training_rows_alone(words: Examples) -> None:
    model = application(silence=0.5)
    rows = model.check(words, learning=True)
    adaptation = model.compose(rows)
    assert model.labels == ("high", "low", "silence")
    assert adaptation.training is not None
    trained = model.view(adaptation.training, training=adaptation)
    assert len(trained) == 9
    learnt_from = trained.fetch(Batch(np.arange(9), int(trained.lengths.max())))
    assert learnt_from["target"].tolist() == [1, 1, 1, 0, 0, 0, 2, 2, 2]
    assert len(model.view(words)) == 6
    # A batch of like length holds both.
    assert set(trained.lengths[6:]) <= set(trained.lengths[:6])
    again = with_generated_silence(rows, 0.5, seed=3)
    for clip, same in zip(adaptation.training["audio"], again["audio"], strict=True):
        np.testing.assert_array_equal(clip.samples, same.samples)


def test_silence_is_not_generated_where_there_is_some_or_none_is_wanted(words: Examples) -> None:
    closed = application(silence=0)
    rows = closed.check(words, learning=True)
    assert not closed.task.generates_silence(rows)
    assert closed.task.adapt(rows)["answers"].labels == ("high", "low")
    own = application()
    silent = ("_silence_", noise(1.0))
    kept = own.check(
        examples_of(*zip(words["label"], words["audio"], strict=True), silent), learning=True
    )
    assert not own.task.generates_silence(kept)
    assert own.task.adapt(kept)["answers"].labels == ("high", "low", "silence")


# Bad input


def test_words_without_any_sound_are_passed_over_and_silence_is_not() -> None:
    empty = Clip(np.full(4000, 7, np.int16), RATE)
    given = examples_of(("low", tone(400)), ("low", empty), ("high", tone(900)), ("silence", empty))
    assert application().check(given, learning=True).places == [
        "words.csv row 1",
        "words.csv row 3",
        "words.csv row 4",
    ]
    with pytest.raises(apps.UserError, match=r"words\.csv: every recording is digital silence"):
        application().check(examples_of(("low", empty), ("high", empty)), learning=True)


def test_a_recording_of_more_seconds_than_allowed_is_refused_with_its_row() -> None:
    given = examples_of(("low", tone(400)), ("high", tone(900, seconds=31)))
    with pytest.raises(apps.UserError, match=r"words\.csv row 2: 31\.0 s long.*cut it"):
        application().check(given, learning=True)


def test_labels_are_checked_as_those_of_any_classifier(learnt: Keywords) -> None:
    with pytest.raises(apps.UserError, match="at least two labels"):
        application().check(examples_of(("low", tone(400)), ("low", tone(500))), learning=True)
    with pytest.raises(apps.UserError, match="'middle' was not in the training data"):
        learnt.check(examples_of(("middle", tone(700))), learning=False)


def test_a_single_sample_and_any_rate_are_answered(learnt: Keywords) -> None:
    odd = examples_of(
        ("low", Clip(np.ones(1, np.int16), RATE)),
        ("low", tone(400, rate=44_100)),
        ("low", Clip(np.zeros(0, np.int16), RATE)),
    )
    view = learnt.view(odd, targets=False)
    assert view.lengths.tolist() == [1, 3200, 1]
    batch = view.fetch(Batch(np.arange(3), 3200))
    assert np.isfinite(learnt.model(batch).numpy()).all()


def test_sample_rate_is_the_most_frequent_one_up_to_16_khz(learnt: Keywords) -> None:
    assert learnt.metadata()["sample_rate"] == learnt.input.sample_rate == RATE
    assert learnt.metadata()["step_seconds"] == pytest.approx(0.04)
    clips = examples_of(("low", tone(400)), *[("high", tone(900, rate=44_100))] * 2)
    for settings, rate in (({}, 16_000), ({"sample_rate": 11_025}, 11_025)):
        waveforms = application(**settings).input.adapt(clips)["waveforms"]
        assert waveforms.sample_rate == rate


# Streams


@pytest.fixture(scope="module")
def step(learnt: Keywords) -> Any:
    """The stream's step as one graph, as it is exported."""
    specs = {**learnt.stream_inputs(), **learnt.stream_states()}
    traced = tf.function(lambda given: learnt.step(**given))
    return traced.get_concrete_function(
        {name: tf.TensorSpec(spec.shape, spec.dtype) for name, spec in specs.items()}
    )


def begun(model: Keywords, rows: int) -> dict[str, tf.Tensor]:
    """The states of streams of which nothing has come."""
    return {
        name: tf.zeros([rows, *spec.shape[1:]], spec.dtype)
        for name, spec in model.stream_states().items()
    }


def streamed(model: Keywords, step: Any, rows: list[np.ndarray], most: int) -> list[np.ndarray]:
    """Probabilities of all steps of rows with silence behind them, in chunks of random sizes."""
    silence = np.zeros(model.metadata()["trailing_silence"], np.float32)
    rows = [np.concatenate([row, silence]) for row in rows]
    draw, position = np.random.default_rng(most), np.zeros(len(rows), int)
    states = begun(model, len(rows))
    found: list[list[np.ndarray]] = [[] for _ in rows]
    while any(at < len(row) for at, row in zip(position, rows, strict=True)):
        counts = draw.integers(0, most + 1, len(rows))
        parts = [r[at : at + n] for r, at, n in zip(rows, position, counts, strict=True)]
        lengths = np.array([len(part) for part in parts], np.int32)
        audio = draw.standard_normal((len(rows), max(lengths))).astype(np.float32)
        for row, part in zip(audio, parts, strict=True):
            row[: len(part)] = part
        answers = step({"audio": tf.constant(audio), "lengths": tf.constant(lengths), **states})
        states = {name: answers[name] for name in states}
        probabilities = answers["probabilities"].numpy()
        for row, count in enumerate(answers["steps"].numpy()):
            found[row].extend(probabilities[row, :count])
            assert not probabilities[row, count:].any()
        position += lengths
    return [np.array(one) for one in found]


def answered(model: Keywords, rows: list[np.ndarray]) -> np.ndarray:
    """Probabilities of whole recordings."""
    clips = [("low", Clip.of(row, RATE)) for row in rows]
    batch = model.raw(examples_of(*clips))
    return tf.nn.softmax(model.model(batch)).numpy()


@pytest.mark.parametrize("most", [70, 3000])
def test_chunks_of_any_size_give_what_the_whole_gives(
    learnt: Keywords, step: Any, words: Examples, most: int
) -> None:
    rows = [clip.at(RATE) for clip in words["audio"]][1:4]
    whole = answered(learnt, rows)
    found = streamed(learnt, step, rows, most)
    for row, samples in enumerate(rows):
        frames = 1 + (len(samples) + learnt.metadata()["trailing_silence"] - 200) // 80
        assert len(found[row]) == (frames + 3) // 4
        np.testing.assert_allclose(found[row][-1], whole[row], atol=1e-5)
    assert np.abs(whole[0] - whole[2]).max() > 1e-3


def test_a_long_stream_is_answered_about_its_last_window_and_its_memory(
    learnt: Keywords, step: Any
) -> None:
    long = np.tile(tone(700).at(RATE), 8)
    (found,) = streamed(learnt, step, [long], 1600)
    assert len(found) > 3 * learnt.model.get_layer("attention").window
    np.testing.assert_allclose(found[-1], answered(learnt, [long])[0], atol=1e-5)


def test_a_chunk_too_short_for_a_step_is_answered_with_none(learnt: Keywords, step: Any) -> None:
    states = begun(learnt, 2)
    chunk = {"audio": tf.ones((2, 1)), "lengths": tf.constant([1, 0])}
    answers = step({**chunk, **states})
    assert answers["steps"].numpy().tolist() == [0, 0]
    assert not answers["probabilities"].numpy().any()
    assert set(answers) == {"steps", "probabilities", *states}


def test_a_served_step_names_its_classes(learnt: Keywords) -> None:
    given = {"audio": tf.ones((2, 1)), "lengths": tf.constant([1, 0]), **begun(learnt, 2)}
    signature = learnt.signatures()["step"]
    answers = signature.call(*(given[name] for name in signature.inputs))
    labels = [[label.decode() for label in row] for row in answers["labels"].numpy()]
    assert labels == [list(learnt.labels)] * 2


def test_a_model_of_both_directions_reads_no_streams(words: Examples) -> None:
    model = application(bidirectional=True, depth=1)
    model.compose(model.check(words, learning=True))
    assert model.stream_states() == {}
    assert "bidirectional=false" in model.no_stream()
    signatures = set(model.signatures())
    assert {"serving_default", "tensors"} <= signatures
    # A recording and its length are no features of a `tf.Example`.
    assert not {"step", "classify"} & signatures


# The report


def test_rows_of_the_report_hold_what_its_sections_show(learnt: Keywords, words: Examples) -> None:
    spoken = Examples({**words.columns, "speaker": ["ann", "bob"] * 3}, words.places, "words.csv")
    logits = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
    answers = as_python({k: v.numpy() for k, v in learnt.task.answers(logits, {}).items()}, 6)
    rows = json.loads(json.dumps(learnt.predictions(spoken, answers)))
    for row, given in zip(rows, logits, strict=True):
        assert row["label"] == learnt.labels[given.argmax()]
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    assert [row["speaker"] for row in rows] == ["ann", "bob"] * 3
    assert rows[0]["seconds"] == pytest.approx(0.3)
    tracks = [row["track"] for row in rows if "track" in row]
    assert tracks
    for track in tracks:
        assert sum(track["weights"]) == pytest.approx(1, abs=0.01)
        assert track["step_seconds"] == pytest.approx(0.04)
    titles = [section.title for section in learnt.sections(rows)]
    assert titles[:2] == ["Confusions", "Calibration"]
    assert len(titles) == 6


def test_default_model_is_small() -> None:
    model = Keywords(KeywordsConfig())
    rows = sample_words(0, rows=24)
    model.compose(model.check(rows, learning=True))
    assert model.model.count_params() < 250_000
