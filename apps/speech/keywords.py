"""Keywords: which word is spoken, in a recording or as a stream goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Adaptation, Baseline
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples
from apps.inputs.recordings import Recordings
from apps.layers.alternatives.stack import stack_of
from apps.layers.attention import AttentionPooling
from apps.layers.audio.level import LevelNormalization
from apps.layers.audio.spectrogram import LogMel
from apps.layers.pooling import LengthMask
from apps.report.sections import Section
from apps.report.speech.players import attention_track
from apps.report.speech.sections import keyword_sections
from apps.speech.front import (
    Front,
    FrontConfig,
    learnt_normalization,
    samples_of_a_step,
    step_seconds,
    stream_chain,
)
from apps.speech.sample_words import sample_words
from apps.speech.template_baseline import SpectrumBaseline, TemplateBaseline
from apps.speech.voices import with_voices
from apps.speech.word_classes import WordClasses, with_generated_silence

# Steps of the LSTM are four frames apart.
_KERNELS, _STRIDES = ((5, 5), (5, 3)), ((2, 2), (2, 2))
# Over pauses of a second the loudest frame before still says how loud a voice is.
_LEVEL_SECONDS = 1.0
# How far behind the window words are that the LSTM's memory can be trusted with.
_MEMORY_SECONDS = 1.0
_STREAMED = ("log_mel", "level", "normalization", "convolutions", "lstm", "attention")


@dataclass(frozen=True)
class KeywordsConfig(FrontConfig, StackConfig):
    """Hyperparameters of the keyword model; `searched` ones are what tuning varies.

    `keywords` names the labels that are keywords, with commas between, and makes all others
    `unknown`; all labels are classes where it is empty. `silence` is the share of training rows
    that are generated noise, a class of its own, where the data has no silence; `voices` that of
    rows in which synthesised people say the keywords, as words of the `language`, where recordings
    are few. Seconds beyond the last `window` count by the LSTM's memory alone. It answers `tail`
    seconds behind the end of a recording, when it has heard all of the word. A bidirectional model
    has neither and reads no streams.
    """

    learning_rate: float = changed(3e-3)
    epochs: int = changed(60)
    patience: int = changed(20)
    updates: int = changed(1000)
    depth: int = changed(2)
    units: int | tuple[int, ...] = changed(96, span=(32, 192))
    bidirectional: bool = changed(False, searched=False)
    attention: int = fixed(64, low=1, high=4096)
    window: float = fixed(1.0, low=0.05, high=60.0)
    tail: float = fixed(0.1, low=0.0, high=1.0)
    input_dropout: float = changed(0.1, span=(0.0, 0.5))
    layer_dropout: float = changed(0.2, span=(0.0, 0.5))
    weight_dropout: float = changed(0.1, span=(0.0, 0.5))
    output_dropout: float = changed(0.3, span=(0.0, 0.6))
    keywords: str = fixed("")
    silence: float = fixed(0.1, low=0.0, high=1.0)
    voices: float = fixed(1.0, low=0.0, high=100.0)
    language: str = fixed("en")
    max_seconds: float = changed(30.0)
    speed_change: float = changed(0.1)
    equalization_db: float = searched(4.0, low=0.0, high=20.0, span=(0.0, 8.0))
    noise: float = searched(0.5, low=0.0, high=1.0, span=(0.0, 1.0))
    # Masks of time and bands on top of the rest are too much to learn another voice from.
    time_masking: float = changed(0.0)
    frequency_masking: float = changed(0.0)
    context: float = changed(0.2)
    weight_decay: float = changed(0.01)


class Keywords(Application):
    """Convolutions over a log-mel spectrogram, a stack of LSTMs, attention over its steps.

    De Andrade et al. 2018, "A neural attention model for speech command recognition", section 3;
    unidirectional and with attention to a window unless told otherwise, so that it streams. Each
    frame is seen relative to the loudest of the last second, so that distance and amplification
    do not matter.
    """

    name = "keywords"
    input: Recordings = Recordings("audio")
    task: WordClasses = WordClasses("label")
    Config = KeywordsConfig
    config: KeywordsConfig
    # Among a few hundred rows of clear words many epochs are all right; the surest is the best.
    objective = "cross_entropy"

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_words(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sizes = {
            "units": 8,
            "channels": 4,
            "attention": 8,
            "bands": 20,
            "sample_rate": 8000,
            "voices": 0,
        }
        # So few steps must show that it learns.
        steps = {"epochs": 3, "batch_size": 8, "learning_rate": 0.03}
        small = {**steps, "output_dropout": 0, "noise": 0}
        return Tiny(cls.sample(0).select(range(120)), {**sizes, **small})

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        # The task comes first: it cuts minutes of noise into seconds.
        classed = self.task.check(examples, learning=learning)
        usable = self.input.check(classed, learning=learning)
        if learning and not self.config.bidirectional:
            self._tell_of_long_rows(usable)
        return usable

    def _tell_of_long_rows(self, examples: Examples) -> None:
        heard = self.config.window + _MEMORY_SECONDS
        longer = sum(clip.seconds > heard for clip in examples["audio"])
        if longer:
            environment.say(
                f"{longer} of {len(examples)} recordings last more than {heard:g} s: their answers "
                f"attend to the last {self.config.window:g} s and rely on memory for the rest; cut "
                "them to the word, or set window=SECONDS or bidirectional=true"
            )

    def adapt(self, examples: Examples) -> Adaptation:
        log_mel = LogMel(self.input.sample_rate, bands=self.config.bands, name="log_mel")
        frames = round(_LEVEL_SECONDS * self.input.sample_rate / log_mel.hop)
        level = LevelNormalization(frames, floor=log_mel.floor, name="level")
        spectrograms = (log_mel(*batch) for batch in self.input.some(examples))
        frames_of_some = ((level(x, lengths), lengths) for x, lengths in spectrograms)
        normalization = learnt_normalization(
            "global", frames_of_some, examples["audio"], self.seed, (log_mel, level)
        )
        layers = {"log_mel": log_mel, "level": level, "normalization": normalization}
        config, training = self.config, examples
        training = with_voices(training, config.voices, config.language, self.seed)
        if self.task.generates_silence(examples):
            training = with_generated_silence(training, config.silence, self.seed)
        return Adaptation(layers, None if training is examples else training)

    def build(self) -> keras.Model:
        config, seed, streams = self.config, self.seed, not self.config.bidirectional
        scaling = {name: self.adapted[name] for name in ("log_mel", "level", "normalization")}
        front = Front(config, scaling, _KERNELS, _STRIDES, streams, self._tail(), seed)
        inputs = front.inputs()
        x, lengths = front(inputs)
        stack = stack_of(config, seed, return_state=streams)
        x = stack(x, mask=LengthMask(name="mask")(x, lengths))
        window = max(1, round(config.window / self.step_seconds)) if streams else None
        x = AttentionPooling(config.attention, window, seed=seed, name="attention")(
            x[0] if streams else x, lengths
        )
        x = keras.layers.Dropout(config.output_dropout, seed=seed, name="output_dropout")(x)
        return keras.Model(inputs, keras.layers.Dense(len(self.labels), name="logits")(x))

    def _tail(self) -> int:
        """Samples behind a recording that the model hears before it answers."""
        return 0 if self.config.bidirectional else round(self.config.tail * self.input.sample_rate)

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the LSTM, and of a stream's answers, to the next."""
        return step_seconds(self.adapted["log_mel"], _STRIDES)

    def baselines(self) -> dict[str, Baseline]:
        about = (self.labels, self.input.sample_rate, self.seed)
        return {
            **super().baselines(),
            "mean_spectrum": SpectrumBaseline(*about),
            "nearest_template": TemplateBaseline(*about),
        }

    def metadata(self) -> dict[str, Any]:
        steps = {"step_seconds": self.step_seconds, "trailing_silence": self._tail()}
        return {**super().metadata(), **steps}

    def small_chunk(self) -> dict[str, tf.TensorSpec]:
        return samples_of_a_step(self.adapted["log_mel"], _STRIDES)

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        return {} if self.config.bidirectional else stream_chain(self.model, _STREAMED).specs()

    def step(self, *, audio: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """Answers for every step that a chunk completes.

        Args:
            audio: the next samples, `(batch, samples)`.
            lengths: real samples of each row of them, `(batch,)`.
            **states: what the call before gave.

        Returns:
            `probabilities` `(batch, steps, classes)`, zeros beyond a row's steps; `steps`
            `(batch,)`, how many each row has, perhaps none; and the states for the next chunk.
        """
        x, steps, states = stream_chain(self.model, _STREAMED)(audio, lengths, states)
        logits = tf.cast(self.model.get_layer("logits")(x), tf.float32)
        real = tf.sequence_mask(steps, tf.shape(x)[1], tf.float32)
        probabilities = tf.nn.softmax(logits) * real[..., None]
        return {"probabilities": probabilities, "steps": steps, **states}

    def track(self, example: Examples) -> Mapping[str, Any]:
        """Attention over the steps of one recording."""
        attention = self.model.get_layer("attention")
        batch = self.input.raw(example, self.metadata())
        states, steps = keras.Model(self.model.input, attention.input)(batch)
        weights = attention.weights_of(states, steps)
        return attention_track(np.asarray(weights)[0], self.step_seconds)

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return [*super().sections(rows)[:2], *keyword_sections(rows)]
