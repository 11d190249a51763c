"""Text of a stream: words put together as they settle, how they are printed, memory."""

from __future__ import annotations

import io
import json
import resource
from typing import Any

import numpy as np
import pytest

from apps.answers import answers as as_python
from apps.data.recordings.sound import Sound
from apps.inputs.sound_chunks import SoundOptions, sound_chunks
from apps.speech.sample_words import sample_sentences
from apps.speech.transcription import Transcription, TranscriptionConfig
from apps.streams.model import StreamModel
from apps.streams.printing import new_printer
from apps.streams.stream import Stream, follow
from apps.tasks.transcription.live import LiveTranscript, TranscriptFollower, Word

STEP = 0.04
SMALL = {
    "units": 8,
    "depth": 1,
    "channels": 4,
    "bands": 16,
    "bidirectional": False,
    "look_ahead": 2,
    "decoder": "greedy",
}

Timed = list[tuple[str, float]]


def answer(settled: Timed, rest: Timed) -> dict[str, Any]:
    """One stream's answer: tokens with their times, all of confidence 0.5, and padding."""
    found: dict[str, Any] = {}
    for prefix, tokens in (("", settled), ("partial_", rest)):
        found[f"{prefix}counts"] = np.int32(len(tokens))
        found[f"{prefix}tokens"] = np.array([text.encode() for text, _ in tokens] + [b"x"], object)
        found[f"{prefix}times"] = np.array([time for _, time in tokens] + [9.0])
        found[f"{prefix}confidences"] = np.array([0.5] * len(tokens) + [0.0])
    return found


ANSWERS = [
    answer([], [("g", 0.2)]),
    answer([("g", 0.2)], [("ó", 0.4)]),
    answer([("ó", 0.4), (" ", 0.6), ("o", 0.8)], [("n", 1.0)]),
    answer([], [("n", 1.0), (" ", 1.2), ("u", 1.4), ("p", 1.6)]),
]


def test_a_word_settles_with_the_space_behind_it() -> None:
    transcript = LiveTranscript(STEP)
    assert [transcript.push(one) for one in ANSWERS] == [
        [],
        [],
        [Word(0.2, 0.44, "gó", 0.5)],
        [],
    ]
    assert transcript.partial == "on up"
    assert transcript.settled_until == 0.44
    assert transcript.finish() == [Word(0.8, 1.04, "on", 0.5), Word(1.4, 1.64, "up", 0.5)]
    assert transcript.partial == ""


def printed(**settings: bool) -> str:
    out = io.StringIO()
    printer = new_printer(TranscriptFollower(STEP), out, io.StringIO(), **settings)
    for place, one in enumerate(ANSWERS):
        printer.push(one, 0.5 * (place + 1))
    printer.finish()
    return out.getvalue()


def test_text_is_one_line_of_what_settled() -> None:
    assert printed(as_json=False, live=False) == "gó on up\n"


def test_on_a_terminal_the_partial_text_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = printed(as_json=False, live=True).split("\r")[1:]
    assert shown == ["g\x1b[K", "gó\x1b[K", "gó on\x1b[K", "gó on up\x1b[K", "gó on up\x1b[K\n"]


def test_settled_text_goes_on_in_the_next_line_of_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "7")
    assert printed(as_json=False, live=True).endswith("\rgó on\x1b[K\n\rup\x1b[K\n")


def test_objects_tell_settled_words_from_the_rest() -> None:
    objects = [json.loads(line) for line in printed(as_json=True, live=False).splitlines()]
    words = [one for one in objects if one["settled"]]
    assert words == [
        {"start": 0.2, "end": 0.44, "text": "gó", "confidence": 0.5, "settled": True},
        {"start": 0.8, "end": 1.04, "text": "on", "confidence": 0.5, "settled": True},
        {"start": 1.4, "end": 1.64, "text": "up", "confidence": 0.5, "settled": True},
    ]
    rest = [(one["start"], one["end"], one["text"]) for one in objects if not one["settled"]]
    assert rest == [(0.0, 0.5, "g"), (0.0, 1.0, "gó"), (0.44, 1.5, "on"), (0.44, 2.0, "on up")]


# With a model


@pytest.fixture(scope="module")
def application() -> Transcription:
    """Adapted and built, its weights as they begin."""
    found = Transcription(TranscriptionConfig.from_values(SMALL), seed=1)
    found.compose(found.check(sample_sentences(1, rows=8, speakers=2), learning=True))
    return found


@pytest.fixture(scope="module")
def model(application: Transcription) -> StreamModel:
    return StreamModel(
        application.name,
        application.input,
        application.task,
        application.metadata(),
        application.labels,
        application.step,
        application.stream_states(),
    )


@pytest.fixture(scope="module")
def stream(model: StreamModel) -> Stream:
    return Stream(model)


def follow_sound(stream: Stream, model: StreamModel, sound: Sound, *, as_json: bool) -> str:
    """What is printed of a sound from the beginning of a stream on."""
    stream.reset()
    out = io.StringIO()
    follower = model.task.follower(model.metadata, model.labels, None)
    printer = new_printer(follower, out, io.StringIO(), as_json=as_json, live=False)
    follow(stream, sound_chunks(sound, model.metadata, SoundOptions(chunk_ms=100)), printer)
    return out.getvalue()


def test_a_stream_says_what_the_whole_recording_says(
    application: Transcription, model: StreamModel, stream: Stream
) -> None:
    clip = sample_sentences(2, rows=1, speakers=1)["audio"][0]
    rate = application.input.sample_rate
    samples = clip.at(rate)
    raw = {"audio": samples[None], "lengths": np.array([len(samples)], np.int32)}
    served = {name: value.numpy() for name, value in application.served(raw).items()}
    (whole,) = as_python(served, 1)
    lines = follow_sound(stream, model, Sound([samples], rate), as_json=True).splitlines()
    words = [one for one in map(json.loads, lines) if one["settled"]]
    assert words
    assert " ".join(one["text"] for one in words) == whole["text"]
    np.testing.assert_allclose([one["start"] for one in words], whole["starts"], atol=2e-3)
    np.testing.assert_allclose([one["end"] for one in words], whole["ends"], atol=2e-3)


def test_memory_does_not_grow_with_the_stream(
    application: Transcription, model: StreamModel, stream: Stream
) -> None:
    rate = application.input.sample_rate
    noise = np.random.default_rng(0).normal(0, 0.1, rate).astype(np.float32)

    def memory_after(seconds: int) -> int:
        follow_sound(stream, model, Sound([noise] * seconds, rate), as_json=False)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    before = memory_after(20)
    assert memory_after(60) - before < 4096
