"""Recordings: mono sound of any rate and length, resampled to one rate before the graph."""

from __future__ import annotations

import functools
import io
import wave
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.components import Input
from apps.configuration import ApplicationConfig, fixed
from apps.data import Examples, LazyRows, Rows, Sequences, dataset
from apps.data.kinds.audio import audio as audio_column
from apps.data.kinds.group import group
from apps.data.recordings.clip import Clip
from apps.errors import UserError
from apps.following import Chunk
from apps.inputs.recording_field import RecordingField
from apps.inputs.sound_chunks import SoundOptions, opened_sound, sound_chunks
from apps.layers.audio.wav import decode_wav
from apps.report.speech.players import add_evidence
from apps.signatures import Signature

# Speech has little above 8 kHz, and every octave more doubles the work.
_HIGHEST_RATE = 16_000
_ROWS_FOR_SCALE = 1000
# An hour at 16 kHz in 230 MB; of more, each batch is made from the clips anew.
_MOST_SAMPLES_IN_MEMORY = 60_000_000
_SHELL = (
    """echo '{"signature_name": "wav", "instances": [{"b64": "'$(base64 -w0 recording.wav)'"}]}'"""
)


@dataclass(frozen=True)
class RecordingsConfig(ApplicationConfig):
    """Hyperparameters of every application that takes recordings.

    `sample_rate` 0 is that of the data, at most 16 kHz. A recording of more than `max_seconds` is
    refused.
    """

    sample_rate: int = fixed(0, low=0, high=48_000)
    max_seconds: float = fixed(40.0, low=0.1, high=600.0)


@keras.saving.register_keras_serializable("apps")
class Waveforms(keras.layers.Layer):
    """Samples as they are; the layer carries the rate that they have.

    Args:
        sample_rate: in Hz.
    """

    def __init__(self, sample_rate: int, **kwargs: Any) -> None:
        super().__init__(**{"trainable": False, "dtype": "float32", **kwargs})
        self.sample_rate = sample_rate

    def call(self, audio: tf.Tensor) -> tf.Tensor:
        return tf.identity(audio)

    def compute_output_spec(self, audio: keras.KerasTensor) -> keras.KerasTensor:
        return keras.KerasTensor(audio.shape, dtype="float32")

    def outside(self) -> None:
        """Nothing."""

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sample_rate": self.sample_rate}


class Recordings(Input):
    """Samples at the model's rate, float32 in [-1, 1], as `audio` `(batch, samples)`.

    Args:
        column: holds the recordings.
    """

    config: RecordingsConfig
    page_field = RecordingField()
    stream_options = SoundOptions

    def __init__(self, column: str = "audio") -> None:
        self.column = column
        self.columns = {column: audio_column()}
        self.attributes = {"speaker": group(aliases=("speaker_id", "client_id"))}

    @property
    def sample_rate(self) -> int:
        """Of what the model takes, in Hz."""
        return self.adapted["waveforms"].sample_rate

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        """Take the configured rate, or the most frequent one of the units, at most 16 kHz."""
        rates = Counter(clip.rate for clip in examples[self.column])
        common = max(rates, key=lambda rate: (rates[rate], rate))
        rate = self.config.sample_rate or min(common, _HIGHEST_RATE)
        return {"waveforms": Waveforms(rate, name="waveforms")}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Refuse recordings that are longer than the model takes at once."""
        most = self.config.max_seconds
        for place, clip in zip(examples.places, examples[self.column], strict=True):
            if clip.seconds > most:
                raise UserError(
                    f"{place}: {clip.seconds:,.1f} s long, more than max_seconds={most:g}; cut it "
                    "into pieces, train with --set max_seconds=N, or follow it with `apps stream`"
                )
        return examples

    def tensors(self, examples: Examples) -> dict[str, Any]:
        self.check(examples, learning=False)
        clips, rate = examples[self.column], self.sample_rate
        lengths = np.array([max(1, round(clip.count * rate / clip.rate)) for clip in clips])
        if lengths.sum() > _MOST_SAMPLES_IN_MEMORY:
            get = functools.partial(_samples_of, clips, rate)
            return {"audio": LazyRows(get, len(clips), np.dtype(np.float32), (), lengths)}
        return {"audio": Sequences.from_rows(_samples(clips, rate), dtype=np.float32)}

    def some(self, examples: Examples) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Samples `(batch, samples)` and lengths of a thousand units at most, for `adapt`."""
        draw = np.random.default_rng(self.seed)
        chosen = np.sort(draw.permutation(len(examples))[:_ROWS_FOR_SCALE])
        rows = Rows(self.tensors(examples.select(chosen)))
        for batch in dataset(rows, rows.sweep(16)):
            yield batch["audio"], batch["lengths"]

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {
            "audio": keras.Input((None,), dtype="float32", name="audio"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {"audio": self.adapted["waveforms"](raw["audio"]), "lengths": raw["lengths"]}

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        samples = _samples(examples[self.column], metadata["sample_rate"])
        return Rows({"audio": Sequences.from_rows(samples, np.float32)}).select(
            np.arange(len(examples))
        )

    def step_names(self, units: Examples, prepared: Mapping[str, Any], steps: int) -> list[str]:
        rate = self.metadata()["sample_rate"]
        seconds = float(np.asarray(prepared["lengths"])[0]) / rate / max(steps, 1)
        return [f"{step * seconds:.2f} s" for step in range(steps)]

    def edge_cases(self) -> dict[str, np.ndarray]:
        """No sample at all, one sample, a second of silence, a clipped square wave."""
        second = self.sample_rate
        audio = np.zeros((4, second), np.float32)
        audio[1, 0] = 1.0
        audio[3] = np.where(np.arange(second) // 40 % 2, 1.0, -1.0)
        return {"audio": audio, "lengths": np.array([0, 1, second, second], np.int32)}

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """`wav`, which takes the bytes of WAV files of any rate in place of samples."""
        rate = self.sample_rate

        def serve_files(wav: tf.Tensor) -> dict[str, tf.Tensor]:
            return serving.call(*decode_wav(wav, rate))

        def example(inputs: Mapping[str, Any], answers: Mapping[str, Any]) -> Any:
            audio, lengths = inputs["audio"], inputs["lengths"]
            files = [_wav(row[:size], rate) for row, size in zip(audio, lengths, strict=True)]
            if None in files:
                return None
            return {"wav": np.array(files, object)}, answers

        spec = tf.TensorSpec((None,), tf.string, name="wav")
        return {"wav": Signature({"wav": spec}, serve_files, example=example, shell=_SHELL)}

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: SoundOptions
    ) -> Iterator[Chunk]:
        sound = opened_sound(source, options, metadata["sample_rate"])
        return sound_chunks(sound, metadata, options)

    def metadata(self) -> dict[str, Any]:
        return {"sample_rate": self.sample_rate, "max_seconds": self.config.max_seconds}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """Path, length in seconds, and speaker where the data names one."""
        rows: list[dict[str, Any]] = [
            {"input": clip.path, "seconds": round(clip.seconds, 3)}
            for clip in examples[self.column]
        ]
        if "speaker" in examples:
            for row, speaker in zip(rows, examples["speaker"], strict=True):
                row["speaker"] = speaker
        return rows

    def add_evidence(
        self,
        rows: Sequence[MutableMapping[str, Any]],
        examples: Examples,
        track: Callable[[Examples], Mapping[str, Any]] | None,
    ) -> None:
        """Give the rows that the report plays and draws their sound, spectrogram and track."""
        add_evidence(
            rows,
            clip=lambda i: (examples[self.column][i].at(self.sample_rate), self.sample_rate),
            track=lambda i: track(examples.select([i])) if track else {},
        )


def _samples(clips: Sequence[Clip], rate: int) -> Iterator[np.ndarray]:
    """Samples of each clip; one without any becomes a sample of silence."""
    for row in range(len(clips)):
        yield _samples_of(clips, rate, row)


def _samples_of(clips: Sequence[Clip], rate: int, row: int) -> np.ndarray:
    samples = clips[row].at(rate)
    return samples if len(samples) else np.zeros(1, np.float32)


def _wav(samples: np.ndarray, rate: int) -> bytes | None:
    """A WAV file; None where 16 bits do not hold the samples exactly, or there is none."""
    scaled = samples * 32768.0
    exact = (scaled == np.rint(scaled)) & (scaled >= -32768) & (scaled < 32768)
    if not len(samples) or not exact.all():
        return None
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(scaled.astype("<i2").tobytes())
    return content.getvalue()
