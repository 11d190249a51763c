"""Transcription: what is said in a recording."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application, Tiny
from apps.components import Adaptation
from apps.configuration import StackConfig, changed, fixed
from apps.data import Examples, View
from apps.inputs.recordings import Recordings
from apps.layers.alternatives.stack import stack_of
from apps.layers.audio.spectrogram import LogMel
from apps.layers.ctc.posteriors import Posteriors
from apps.layers.look_ahead import LookAhead
from apps.layers.pooling import LengthMask
from apps.layers.stream_chain import prefixed, unprefixed
from apps.report.speech.players import ctc_track
from apps.speech.front import (
    Front,
    FrontConfig,
    learnt_normalization,
    samples_of_a_step,
    step_seconds,
    stream_chain,
)
from apps.speech.sample_words import sample_sentences
from apps.tasks.transcription import CtcConfig, CtcTranscription

# Steps of the LSTM are four frames apart.
_KERNELS, _STRIDES = ((11, 7), (7, 7)), ((2, 2), (2, 2))
_STREAMED = ("log_mel", "normalization", "convolutions", "lstm", "look_ahead")
# A few minutes of speech are learnt by a model that makes three steps in the time of one.
_LITTLE_SPEECH_SECONDS = 600.0
_FOR_LITTLE_SPEECH = {"units": 96, "depth": 2, "channels": 16, "batch_size": 8, "averaging": 0.99}


@dataclass(frozen=True)
class TranscriptionConfig(FrontConfig, StackConfig, CtcConfig):
    """Hyperparameters of the transcription model; `searched` ones are what tuning varies.

    A unidirectional model looks `look_ahead` steps ahead.
    """

    learning_rate: float = changed(2e-3, span=(3e-4, 6e-3))
    batch_size: int = changed(16, span=(8, 32))
    epochs: int = changed(60)
    patience: int = changed(20)
    updates: int = changed(3000)
    clip_norm: float = changed(5.0)
    depth: int = changed(3, span=(1, 4))
    units: int | tuple[int, ...] = changed(256, span=(64, 512))
    bidirectional: bool = changed(True, searched=False)
    look_ahead: int = fixed(10, low=0, high=200)
    channels: int = changed(32, span=(16, 64))
    input_dropout: float = changed(0.3, span=(0.0, 0.5))
    layer_dropout: float = changed(0.3, span=(0.0, 0.5))
    weight_dropout: float = changed(0.0, span=(0.0, 0.5))
    output_dropout: float = changed(0.3, span=(0.0, 0.5))
    bands: int = changed(80)
    speed_change: float = changed(0.1, span=(0.0, 0.2))
    time_masking: float = changed(0.15, span=(0.0, 0.3))


class Transcription(Application):
    """Convolutions over a log-mel spectrogram, a stack of LSTMs, CTC, and a beam over words.

    Amodei et al. 2016, "Deep Speech 2", section 3. With `bidirectional=false` the model looks
    `look_ahead` steps ahead and streams.
    """

    name = "transcription"
    input: Recordings = Recordings("audio")
    task: CtcTranscription = CtcTranscription("transcript")
    Config = TranscriptionConfig
    config: TranscriptionConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_sentences(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sizes = {"units": 8, "channels": 4, "bands": 20, "sample_rate": 8000, "beam": 4}
        streams = {"bidirectional": False, "look_ahead": 4}
        chosen = {"language_weight": 0.5, "word_insertion_bonus": 1.0}
        small = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
        return Tiny(cls.sample(0).select(range(120)), {**sizes, **streams, **chosen, **small})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        heard = itertools.accumulate(clip.seconds for clip in units["audio"])
        much = any(seconds >= _LITTLE_SPEECH_SECONDS for seconds in heard)
        return {} if much else _FOR_LITTLE_SPEECH

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        log_mel = LogMel(self.input.sample_rate, bands=self.config.bands, name="log_mel")
        decoding = self.task.decoding(examples, step_seconds(log_mel, _STRIDES))
        kind = "utterance" if self.config.bidirectional else "running"
        frames_of_some = (log_mel(*batch) for batch in self.input.some(examples))
        normalization = learnt_normalization(
            kind, frames_of_some, examples["audio"], self.seed, (log_mel,)
        )
        return {"log_mel": log_mel, "normalization": normalization, **decoding}

    def view(
        self, units: Examples, *, targets: bool = True, training: Adaptation | None = None
    ) -> View:
        view = super().view(units, targets=targets, training=training)
        if training:
            self.task.tell_of_impossible_rows(self.task.targets(units), self._steps(view.lengths))
        return view

    def build(self) -> keras.Model:
        config, seed, streams = self.config, self.seed, not self.config.bidirectional
        scaling = {name: self.adapted[name] for name in ("log_mel", "normalization")}
        front = Front(config, scaling, _KERNELS, _STRIDES, streams, self._ahead(), seed)
        inputs = front.inputs()
        x, lengths = front(inputs)
        x = self._dropout(config.input_dropout, "input_dropout")(x)
        mask = LengthMask(name="mask")(x, lengths)
        x = stack_of(config, seed, input_dropout=0.0, return_state=streams)(x, mask=mask)
        if streams:
            x, lengths = LookAhead(config.look_ahead, name="look_ahead")(x[0], lengths)
        x = self._dropout(config.output_dropout, "output_dropout")(x)
        logits = keras.layers.Dense(len(self.task.tokens), name="logits")(x)
        return keras.Model(inputs, Posteriors(name="posteriors")(logits, lengths))

    def _dropout(self, rate: float, name: str) -> keras.layers.Layer:
        """One mask for all steps of a row."""
        return keras.layers.Dropout(rate, noise_shape=(None, 1, None), seed=self.seed, name=name)

    def _ahead(self) -> int:
        """Samples behind a recording without which the last look-ahead would lack steps."""
        if self.config.bidirectional:
            return 0
        return round(self.config.look_ahead * self.step_seconds * self.input.sample_rate)

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the outputs to the next."""
        return step_seconds(self.adapted["log_mel"], _STRIDES)

    def _steps(self, samples: np.ndarray) -> np.ndarray:
        """Steps of the outputs for rows of so many samples."""
        ahead = 0 if self.config.bidirectional else self.config.look_ahead
        frames = self.adapted["log_mel"].frames(samples + self._ahead())
        return np.maximum(self.model.get_layer("convolutions").steps(frames) - ahead, 1)

    def metadata(self) -> dict[str, Any]:
        steps = {"step_seconds": self.step_seconds, "trailing_silence": self._ahead()}
        return {**super().metadata(), **steps}

    def small_chunk(self) -> dict[str, tf.TensorSpec]:
        return samples_of_a_step(self.adapted["log_mel"], _STRIDES)

    def small_states(self) -> dict[str, tf.TensorSpec]:
        return {} if self.config.bidirectional else stream_chain(self.model, _STREAMED).specs()

    def small_step(self, *, audio: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """What a device decodes: `posteriors` `(batch, steps, tokens)`, logarithms; and `steps`."""
        posteriors, steps, after = self._heard(audio, lengths, states)
        return {"posteriors": posteriors, "steps": steps, **after}

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        if self.config.bidirectional:
            return {}
        states = self.adapted["decoder"].state_specs()
        return {**self.small_states(), **prefixed("decoder", states, as_spec=True)}

    def step(self, *, audio: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """What a chunk adds to the text.

        Args:
            audio: the next samples, `(batch, samples)`.
            lengths: real samples of each row of them, `(batch,)`.
            **states: what the call before gave.

        Returns:
            `settled` `(batch,)` string, to be appended to what settled before; `partial`, what
            would follow if the stream ended now; of each settled token, `(batch, tokens)`, padded
            behind `counts`: `tokens` string, `times` in seconds from the beginning of the stream
            and `confidences`; the same of the tokens of `partial` with `partial_` in front; and
            the states for the next chunk.
        """
        posteriors, steps, after = self._heard(audio, lengths, states)
        decoder, transcripts = self.adapted["decoder"], self.adapted["transcripts"]
        own = unprefixed("decoder", decoder.state_specs(), states)
        settled, own = decoder.step(posteriors, steps, own)
        answers = transcripts.settled(settled, decoder.finish(own))
        return {**answers, **after, **prefixed("decoder", own)}

    def _heard(self, audio: Any, lengths: Any, states: Mapping[str, Any]) -> tuple[Any, Any, Any]:
        """Posteriors of the steps that a chunk completes, their number, and the next states."""
        x, steps, after = stream_chain(self.model, _STREAMED)(audio, lengths, states)
        posteriors = self.model.get_layer("posteriors")(self.model.get_layer("logits")(x), steps)
        return posteriors, steps, after

    def track(self, example: Examples) -> Mapping[str, Any]:
        """Tokens and words of one recording, and when they were read."""
        posteriors = self.model(self.input.raw(example, self.metadata()))
        answers = {k: v.numpy() for k, v in self.task.decode(posteriors).items()}
        count = int(answers["counts"][0])
        words = [word.decode() for word in answers["words"][0, :count]]
        return ctc_track(
            posteriors.numpy()[0],
            self.task.tokens.texts,
            self.step_seconds,
            zip(answers["starts"][0, :count], words, strict=True),
        )
