"""One stream through one run, measured; the process that `speech_streaming` starts."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from apps.data import Examples

_SPEECH_LEVEL = 0.05
_PINK = -3.0
# Frames of 20 ms with at least this share of the loudest one's power count as speech.
_AUDIBLE = 0.01
_SETTLED_SECONDS = 20.0
_OTHER_SPEAKERS = 1000


@dataclass(frozen=True)
class Placed:
    """A recording in the stream: its text or label, its start and its end in seconds."""

    text: str
    start: float
    end: float


def stream(
    rate: int, examples: Examples, column: str, task: dict[str, Any]
) -> Iterator[tuple[np.ndarray, Placed]]:
    """Recordings drawn one by one, with noise before and under each.

    Yields:
        Samples `(n,)` float32 at the model's rate, and what is said in them.
    """
    from apps.speech.synthesis import coloured_noise

    draw = np.random.default_rng(task["seed"])
    noise_level = _SPEECH_LEVEL * 10 ** (-task["snr"] / 20)
    position = 0
    while position < task["seconds"] * rate:
        row = int(draw.integers(len(examples)))
        speech = examples["audio"][row].at(rate).astype(np.float64)
        first, last = _heard(speech, rate)
        level = np.sqrt(np.mean(speech[first:last] ** 2))
        gap = int(rate * draw.uniform(*task["gap"]))
        piece = noise_level * coloured_noise(gap + len(speech), _PINK, draw)
        piece[gap:] += speech * _SPEECH_LEVEL / max(level, 1e-9)
        start, end = (position + gap + first) / rate, (position + gap + last) / rate
        yield np.clip(piece, -1, 1).astype(np.float32), Placed(examples[column][row], start, end)
        position += len(piece)


def _heard(speech: np.ndarray, rate: int) -> tuple[int, int]:
    """First and last sample of the speech, without the silence around it."""
    size = max(1, rate // 50)
    frames = np.pad(speech, (0, -len(speech) % size)).reshape(-1, size)
    power = np.mean(frames**2, axis=1)
    loud = np.flatnonzero(power >= _AUDIBLE * power.max())
    return int(loud[0]) * size, min(len(speech), (int(loud[-1]) + 1) * size)


def measure(task: dict[str, Any]) -> dict[str, Any]:
    """Feed the stream and measure it."""
    import apps
    from apps.data import parse_rename, read
    from apps.data.recordings.sound import Sound
    from apps.inputs.sound_chunks import SoundOptions, sound_chunks
    from apps.streams.model import StreamModel
    from apps.streams.stream import Stream

    run = apps.load(task["run"])
    application: Any = run.application
    keywords = bool(application.labels)
    column = "label" if keywords else "transcript"
    columns = {name: application.columns()[name] for name in ("audio", column)}
    if task["data"] == "sample":
        examples = application.sample(run.seed + _OTHER_SPEAKERS)
    else:
        renamed = parse_rename(task["columns"], columns) if task["columns"] else None
        examples = read(task["data"], columns, rename=renamed)
    examples = application.check(examples, learning=False)
    if keywords:
        from apps.speech.word_classes import SILENCE

        labels = examples["label"]
        examples = examples.select([i for i, label in enumerate(labels) if label != SILENCE])
    model = StreamModel.load(task["run"])
    metadata, options = model.metadata, SoundOptions(chunk_ms=task["chunk_ms"])
    rate = metadata["sample_rate"]
    follower: _Keywords | _Transcript
    if keywords:
        follower = _Keywords(model.labels, metadata["step_seconds"], task["tolerance"])
    else:
        follower = _Transcript(metadata["step_seconds"])
    placed: list[Placed] = []

    def blocks() -> Iterator[np.ndarray]:
        for samples, one in stream(rate, examples, column, task):
            placed.append(one)
            yield samples

    following = Stream(model)
    # The graph is made for the first chunk, which takes seconds once.
    following.send(next(sound_chunks(Sound([np.zeros(1)], rate), metadata, options)).arrays)
    following.reset()
    times, seconds, memory_start = [], 0.0, 0.0
    for chunk in sound_chunks(Sound(blocks(), rate), metadata, options):
        began = time.perf_counter()
        follower.push(following.send(chunk.arrays))
        times.append(time.perf_counter() - began)
        seconds = chunk.end
        if not memory_start and seconds >= _SETTLED_SECONDS:
            memory_start = _resident_mib()
    return {
        "chunk_ms": task["chunk_ms"],
        "cores": task["cores"],
        "seconds": round(seconds, 1),
        "accuracy": follower.accuracy(placed, seconds),
        "real_time_factor": round(sum(times) / seconds, 5),
        "chunk_median_ms": round(1000 * float(np.median(times)), 3),
        "chunk_99_ms": round(1000 * float(np.quantile(times, 0.99)), 3),
        "memory_start_mib": round(memory_start, 1),
        "memory_end_mib": round(_resident_mib(), 1),
    }


class _Keywords:
    """Decides, and counts what was right."""

    def __init__(self, labels: Sequence[str], step_seconds: float, tolerance: float) -> None:
        from apps.speech.word_classes import SILENCE, UNKNOWN
        from apps.tasks.detection import Detector

        self._background = (SILENCE, UNKNOWN)
        self._detector = Detector(labels, step_seconds, background=self._background)
        self._found: list[Any] = []
        self._tolerance = tolerance

    def push(self, answer: dict[str, np.ndarray]) -> None:
        self._found += self._detector.push(answer["probabilities"][: int(answer["steps"])])

    def accuracy(self, placed: list[Placed], seconds: float) -> dict[str, Any]:
        from benchmarks.spotting import SpokenWord, spotting

        words = [SpokenWord(one.text, one.start, one.end) for one in placed]
        found = spotting(
            [one for one in self._found if one.label not in self._background],
            [word for word in words if word.label not in self._background],
            tolerance=self._tolerance,
            seconds=seconds,
        )
        return {
            "words": found.words,
            "missed": found.misses,
            "false alarms": found.false_alarms,
            "false alarms an hour": found.false_alarms_per_hour,
            "delay, s, median": found.median_delay,
        }


class _Transcript:
    """Puts the text together, and counts errors over the whole of it."""

    def __init__(self, step_seconds: float) -> None:
        from apps.tasks.transcription.live import LiveTranscript

        self._transcript = LiveTranscript(step_seconds)
        self._words: list[str] = []

    def push(self, answer: dict[str, np.ndarray]) -> None:
        self._words += [word.text for word in self._transcript.push(answer)]

    def accuracy(self, placed: list[Placed], seconds: float) -> dict[str, Any]:
        from apps.report.speech.error_rates import word_errors

        self._words += [word.text for word in self._transcript.finish()]
        reference = " ".join(one.text for one in placed)
        hits, *errors = word_errors(reference, " ".join(self._words))
        substitutions, deletions, _ = errors
        words = hits + substitutions + deletions
        return {"words": words, "WER": sum(errors) / max(words, 1)}


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given["cores"]])
    from apps import environment

    environment.import_tensorflow_quietly()
    print(json.dumps(measure(given)))
