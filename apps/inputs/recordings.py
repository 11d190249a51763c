"""What applications share that take recordings: sample rate, lengths, raw input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application
from apps.configuration import ApplicationConfig, fixed
from apps.data import Prepared, RaggedRows, dataset, sorted_batches
from apps.errors import UserError
from apps.layers.audio.wav import decode_wav
from apps.signatures import Signature, signatures_of

if TYPE_CHECKING:
    from apps.data import Examples
    from apps.layers.audio.spectrogram import LogMel

# Speech has little above 8 kHz, and every octave more doubles the work.
_HIGHEST_RATE = 16_000
_ROWS_FOR_SCALE = 1000


@dataclass(frozen=True)
class RecordingsConfig(ApplicationConfig):
    """Hyperparameters of every application that takes recordings.

    `sample_rate` 0 is that of the data, at most 16 kHz. A recording of more than `max_seconds` is
    refused.
    """

    sample_rate: int = fixed(0, low=0, high=48_000)
    max_seconds: float = fixed(40.0, low=0.1, high=600.0)


class Recordings(Application):
    """An application whose input is a recording, resampled to one rate before the graph.

    Attributes:
        sample_rate: of what the model takes, in Hz; known once the training rows have been seen.
    """

    inputs = ("audio",)
    config: RecordingsConfig
    sample_rate: int = 0

    def learn_sample_rate(self, examples: Examples) -> None:
        """Take the configured rate, or the most frequent one of the rows, at most 16 kHz."""
        rates = Counter(clip.rate for clip in examples["audio"])
        common = max(rates, key=lambda rate: (rates[rate], rate))
        self.sample_rate = self.config.sample_rate or min(common, _HIGHEST_RATE)

    def check_durations(self, examples: Examples) -> None:
        """Refuse recordings that are longer than the model takes at once.

        Raises:
            UserError: with the row, its seconds and the remedy.
        """
        most = self.config.max_seconds
        for place, clip in zip(examples.places, examples["audio"], strict=True):
            if clip.seconds > most:
                raise UserError(
                    f"{place}: {clip.seconds:,.1f} s long, more than max_seconds={most:g}; cut it "
                    "into pieces, train with --set max_seconds=N, or follow it with "
                    "`apps listen`"
                )

    def audio_rows(self, examples: Examples) -> RaggedRows:
        """Recordings as samples at the model's rate, float32 in [-1, 1]; none is without a sample.

        Raises:
            UserError: one is too long.
        """
        self.check_durations(examples)
        return RaggedRows.from_rows(_samples(examples, self.sample_rate), dtype=np.float32)

    def features(
        self, examples: Examples, log_mel: LogMel
    ) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
        """Spectrograms of some of the rows, in batches `(batch, frames, bands)`, and frames."""
        draw = np.random.default_rng(self.seed)
        rows = draw.permutation(len(examples))[:_ROWS_FOR_SCALE]
        prepared = Prepared.of({"audio": self.audio_rows(examples.select(np.sort(rows)))})
        for batch in dataset(prepared, sorted_batches(prepared.lengths, 16)):
            yield log_mel(batch["audio"], batch["lengths"])

    def about(self) -> dict[str, Any]:
        return {"sample_rate": self.sample_rate, "max_seconds": self.config.max_seconds}

    @classmethod
    def raw_from(cls, examples: Examples, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
        rows = RaggedRows.from_rows(_samples(examples, about["sample_rate"]), dtype=np.float32)
        lengths = rows.lengths
        audio = rows.fetch(np.arange(len(rows)), int(max(lengths, default=1)))
        return {"audio": audio, "lengths": lengths.astype(np.int32)}

    def raw_inputs(self) -> dict[str, Any]:
        return {
            "audio": keras.Input((None,), dtype="float32", name="audio"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }

    def signatures(self) -> dict[str, Signature]:
        """Those of every application, and `wav`: a file in place of its samples."""
        # A recording and its length are no features of a `tf.Example`, so nothing is classified.
        found = signatures_of(self)
        serve = found["serving_default"].call

        def serve_files(wav: tf.Tensor) -> dict[str, tf.Tensor]:
            return serve(*decode_wav(wav, self.sample_rate))

        files = tf.TensorSpec((None,), tf.string, name="wav")
        return {**found, "wav": Signature({"wav": files}, serve_files)}

    def unusual(self) -> dict[str, np.ndarray]:
        """No sample at all, one sample, a second of silence, a clipped square wave."""
        second = self.sample_rate
        audio = np.zeros((4, second), np.float32)
        audio[1, 0] = 1.0
        audio[3] = np.where(np.arange(second) // 40 % 2, 1.0, -1.0)
        return {"audio": audio, "lengths": np.array([0, 1, second, second], np.int32)}


def _samples(examples: Examples, rate: int) -> Any:
    """Samples of each row; a recording without one is a sample of silence."""
    for clip in examples["audio"]:
        samples = clip.at(rate)
        yield samples if len(samples) else np.zeros(1, np.float32)
