"""A unidirectional `transcription` that is fed a recording in chunks says what it says of all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.answers import answers as as_python
from apps.data import Examples
from apps.run import Run
from apps.speech.transcription import Transcription, TranscriptionConfig
from apps.tasks.transcription.decoders import plain_decoder

Step = Callable[..., Mapping[str, tf.Tensor]]


def traced(model: Transcription) -> Step:
    """A model's step as one graph, as it is exported."""
    taken = {**model.stream_inputs(), **model.stream_states()}
    specs = [tf.TensorSpec(spec.shape, spec.dtype, name) for name, spec in taken.items()]
    names = [spec.name for spec in specs]
    graph = tf.function(
        lambda *given: model.step(**dict(zip(names, given, strict=True))), input_signature=specs
    )
    return lambda **given: graph(*(given[name] for name in names))


@pytest.fixture(scope="module")
def model(transcription_run: Run) -> Transcription:
    application = transcription_run.application
    assert isinstance(application, Transcription)
    return application


@pytest.fixture(scope="module")
def step(model: Transcription) -> Step:
    return traced(model)


@pytest.fixture(scope="module")
def signals(model: Transcription, sentences: Examples) -> list[np.ndarray]:
    """Each sentence as the model takes it, and three of them in one go."""
    rows = [clip.at(model.input.sample_rate) for clip in sentences["audio"]]
    return [*rows, np.concatenate([rows[5], rows[4], rows[0]])]


@pytest.fixture(scope="module")
def whole(model: Transcription, signals: list[np.ndarray]) -> list[dict[str, Any]]:
    """What is answered of the whole signals."""
    return answers_to_all(model, signals)


def answers_to_all(model: Transcription, signals: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    lengths = np.array([len(signal) for signal in signals])
    audio = np.zeros((len(signals), max(lengths)), np.float32)
    for row, signal in zip(audio, signals, strict=True):
        row[: len(signal)] = signal
    posteriors = model.model({"audio": audio, "lengths": lengths.astype(np.int32)})
    found = {name: value.numpy() for name, value in model.task.answers(posteriors, {}).items()}
    return as_python(found, len(signals))


class Stream:
    """Streams of a batch, and what they have said.

    Args:
        step: the step of the model.
        model: gives the states.
        rows: how many streams.
    """

    def __init__(self, step: Step, model: Transcription, rows: int) -> None:
        self._step = step
        self._states = {
            name: tf.zeros([rows, *spec.shape[1:]], spec.dtype)
            for name, spec in model.stream_states().items()
        }
        self.settled = [""] * rows
        self.partial = [""] * rows
        self.times: list[list[float]] = [[] for _ in range(rows)]

    def feed(self, *chunks: np.ndarray) -> None:
        """Take a chunk of each stream; in the padding of shorter ones there is noise."""
        lengths = np.array([len(chunk) for chunk in chunks], np.int32)
        audio = np.random.default_rng(0).normal(size=(len(chunks), max(lengths)))
        for row, chunk in zip(audio, chunks, strict=True):
            row[: len(chunk)] = chunk
        answer = self._step(
            audio=tf.constant(audio, tf.float32), lengths=tf.constant(lengths), **self._states
        )
        after = {name: answer[name] for name in self._states}
        for name, state in self._states.items():
            assert after[name].dtype == state.dtype, name
            assert after[name].shape == state.shape, name
        self._states = after
        counts = answer["counts"].numpy()
        for row, count in enumerate(counts):
            new = answer["settled"].numpy()[row].decode()
            tokens = [text.decode() for text in answer["tokens"].numpy()[row, :count]]
            assert "".join(tokens) == new
            self.settled[row] += new
            self.partial[row] = answer["partial"].numpy()[row].decode()
            self.times[row].extend(answer["times"].numpy()[row, :count])

    def texts(self) -> list[str]:
        """What was said if the streams end here."""
        return [
            " ".join((settled + partial).split())
            for settled, partial in zip(self.settled, self.partial, strict=True)
        ]


def ahead(model: Transcription) -> np.ndarray:
    """The silence that a client sends when its stream ends."""
    return np.zeros(model.model.get_layer("trailing_silence").samples, np.float32)


def in_chunks(signal: np.ndarray, size: int) -> list[np.ndarray]:
    return [signal[start : start + size] for start in range(0, len(signal), size)]


def test_chunks_of_20_ms_say_what_the_whole_says(
    model: Transcription, step: Step, signals: list[np.ndarray], whole: list[dict[str, Any]]
) -> None:
    stream = Stream(step, model, 1)
    signal = np.concatenate([signals[-1], ahead(model)])
    so_far = []
    for chunk in in_chunks(signal, model.input.sample_rate // 50):
        stream.feed(chunk)
        so_far.append(stream.settled[0])
    said = whole[-1]["text"]
    assert stream.texts() == [said]
    assert said.startswith("yes go up")
    # Text settles long before the end, and nothing is taken back.
    assert so_far[3 * len(so_far) // 4]
    assert all(said.startswith(" ".join(text.split())) for text in so_far)
    times = stream.times[0]
    assert times == sorted(times)
    assert times[0] == pytest.approx(whole[-1]["starts"][0], abs=1e-4)
    assert 0 <= times[-1] <= len(signals[-1]) / model.input.sample_rate


def test_streams_of_a_batch_with_chunks_of_any_size_do_not_mix(
    model: Transcription, step: Step, signals: list[np.ndarray], whole: list[dict[str, Any]]
) -> None:
    rows = [6, 0, 3, 5]
    rest = [np.concatenate([signals[row], ahead(model)]) for row in rows]
    stream, draw = Stream(step, model, len(rows)), np.random.default_rng(5)
    while any(map(len, rest)):
        sizes = draw.integers(0, 2500, len(rows)) * draw.integers(0, 2, len(rows))
        stream.feed(*(row[:size] for row, size in zip(rest, sizes, strict=True)))
        rest = [row[size:] for row, size in zip(rest, sizes, strict=True)]
    assert stream.texts() == [whole[row]["text"] for row in rows]


def test_single_samples_say_what_the_whole_says(
    model: Transcription, step: Step, signals: list[np.ndarray], whole: list[dict[str, Any]]
) -> None:
    """From the middle of a word on they come one by one, over more than a step of the outputs."""
    signal = np.concatenate([signals[3], ahead(model)])
    middle = len(signals[3]) // 2
    steps = round(1.5 * model.step_seconds * model.input.sample_rate)
    stream = Stream(step, model, 1)
    stream.feed(signal[:middle])
    for sample in in_chunks(signal[middle : middle + steps], 1):
        stream.feed(sample)
    stream.feed(signal[middle + steps :])
    assert stream.texts() == [whole[3]["text"]] != [""]


def test_a_greedy_stream_says_what_the_whole_says(
    model: Transcription, signals: list[np.ndarray]
) -> None:
    greedy = copy.copy(model)
    greedy.adapted = {**model.adapted, "decoder": plain_decoder("greedy", 1)}
    greedy.task = model.task.bound(model.config, model.seed, greedy.adapted)
    said = [one["text"] for one in answers_to_all(greedy, signals[-2:])]
    stream = Stream(traced(greedy), greedy, 2)
    rest = [np.concatenate([signal, ahead(model)]) for signal in signals[-2:]]
    while any(map(len, rest)):
        stream.feed(*(row[:700] for row in rest))
        rest = [row[700:] for row in rest]
    assert stream.texts() == said
    assert all(said)


def test_a_chunk_too_short_for_a_step_settles_nothing(model: Transcription, step: Step) -> None:
    stream = Stream(step, model, 2)
    stream.feed(np.ones(1), np.ones(0))
    assert stream.settled == stream.partial == ["", ""]
    assert stream.times == [[], []]


def test_a_saved_model_streams(
    model: Transcription,
    signals: list[np.ndarray],
    whole: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    archive = keras.export.ExportArchive()
    archive.track(model.served)
    for name in ("serving_default", "step"):
        signature = model.signatures()[name]
        archive.add_endpoint(name, signature.call, list(signature.inputs.values()))
    archive.write_out(str(tmp_path / "model"), verbose=False)
    signatures = tf.saved_model.load(str(tmp_path / "model")).signatures
    stream = Stream(signatures["step"], model, 1)
    for chunk in in_chunks(np.concatenate([signals[5], ahead(model)]), 1000):
        stream.feed(chunk)
    signal = tf.constant(signals[5][None])
    lengths = tf.constant([len(signals[5])], tf.int32)
    served = signatures["serving_default"](audio=signal, lengths=lengths)
    assert stream.texts() == [served["text"].numpy()[0].decode()] == [whole[5]["text"]]


def test_a_model_of_both_directions_reads_no_streams(sentences: Examples) -> None:
    settings = {"units": 4, "depth": 1, "channels": 2, "bands": 16, "decoder": "greedy"}
    both = Transcription(TranscriptionConfig.from_values(settings))
    both.compose(both.check(sentences, learning=True))
    assert both.stream_states() == {}
    assert "step" not in both.signatures()
    assert "--set bidirectional=false" in both.no_stream()
