"""Keywords: which word is spoken, in a recording or as a stream goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Baseline
from apps.configuration import fixed, searched
from apps.data import Column, Examples, Prepared
from apps.errors import UserError
from apps.inputs.recordings import Recordings, RecordingsConfig
from apps.layers import LSTMStack
from apps.layers.attention import AttentionPooling
from apps.layers.audio.augmentation import Gain, NoiseMixing, SpeedChange
from apps.layers.audio.context import PrecedingContext
from apps.layers.audio.convolution import ConvolutionSubsampling
from apps.layers.audio.equalization import RandomEqualization
from apps.layers.audio.level import LevelNormalization
from apps.layers.audio.normalization import FeatureNormalization
from apps.layers.audio.silence import TrailingSilence
from apps.layers.audio.spec_augment import SpecAugment
from apps.layers.audio.spectrogram import LogMel
from apps.layers.pooling import LengthMask
from apps.layers.stream_chain import StreamChain
from apps.report.speech.players import add_evidence, attention_track
from apps.report.speech.sections import keyword_sections
from apps.speech.sample_words import sample_words
from apps.speech.template_baseline import SpectrumBaseline, TemplateBaseline
from apps.speech.word_classes import (
    SILENCE,
    chosen_keywords,
    require_keywords,
    soundless,
    with_classes,
    with_generated_silence,
)
from apps.tasks.classification import ClassAnswers, Classifier

if TYPE_CHECKING:
    from apps.report.sections import Section
    from apps.signatures import Signature

# Steps of the LSTM are four frames apart.
_KERNELS, _STRIDES = ((5, 5), (5, 3)), ((2, 2), (2, 2))
# Over pauses of a second the loudest frame before still says how loud a voice is.
_LEVEL_SECONDS = 1.0
_CONTEXT_SECONDS = 1.0
# How far behind the window words are that the LSTM's memory can be trusted with.
_MEMORY_SECONDS = 1.0


@dataclass(frozen=True)
class KeywordsConfig(RecordingsConfig):
    """Hyperparameters of the keyword model; `searched` ones are what tuning varies.

    `keywords` names the labels that are keywords, with commas between, and makes all others
    `unknown`; all labels are classes where it is empty. `silence` is the share of training rows
    that are generated noise, a class of its own, where the data has no silence. Seconds beyond the
    last `window` count by the LSTM's memory alone. It answers `tail` seconds behind the end of a
    recording, when it has heard all of the word. A bidirectional model has neither and reads no
    streams.
    """

    learning_rate: float = searched(3e-3, low=1e-5, high=1e-1, log=True, span=(3e-4, 1e-2))
    epochs: int = fixed(60, low=1, high=100_000)
    patience: int = fixed(20, low=1, high=100_000)
    depth: int = searched(2, low=1, high=4, span=(1, 3))
    units: int | tuple[int, ...] = searched(
        96, low=1, high=4096, log=True, per="depth", span=(32, 192)
    )
    bidirectional: bool = fixed(False)
    channels: int = searched(24, low=1, high=512, log=True, span=(8, 48))
    attention: int = fixed(64, low=1, high=4096)
    window: float = fixed(1.0, low=0.05, high=60.0)
    tail: float = fixed(0.1, low=0.0, high=1.0)
    input_dropout: float = searched(0.1, low=0.0, high=0.9, span=(0.0, 0.5))
    layer_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.5), when=("depth", 2))
    weight_dropout: float = searched(0.1, low=0.0, high=0.9, span=(0.0, 0.5))
    output_dropout: float = searched(0.3, low=0.0, high=0.9, span=(0.0, 0.6))
    keywords: str = fixed("")
    silence: float = fixed(0.1, low=0.0, high=1.0)
    bands: int = fixed(40, low=8, high=256)
    max_seconds: float = fixed(30.0, low=0.1, high=600.0)
    speed_change: float = searched(0.2, low=0.0, high=0.5, span=(0.0, 0.3))
    gain_db: float = fixed(10.0, low=0.0, high=60.0)
    equalization_db: float = searched(4.0, low=0.0, high=20.0, span=(0.0, 8.0))
    noise: float = searched(0.5, low=0.0, high=1.0, span=(0.0, 1.0))
    context: float = fixed(0.5, low=0.0, high=1.0)
    time_masking: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.4))
    frequency_masking: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.4))


class Keywords(Recordings, Classifier):
    """Convolutions over a log-mel spectrogram, a stack of LSTMs, attention over its steps.

    De Andrade et al. 2018, "A neural attention model for speech command recognition", section 3;
    unidirectional and with attention to a window unless told otherwise, so that it streams. Each
    frame is seen relative to the loudest of the last second, so that distance and amplification
    do not matter.
    """

    name = "keywords"
    columns: ClassVar = {
        "audio": Column.audio(),
        "label": Column.label(),
        "speaker": Column.group(aliases=("speaker_id",)),
        "group": Column.group(required=False),
    }
    Config = KeywordsConfig
    config: KeywordsConfig
    # Among a few hundred rows of clear words many epochs are all right; the surest is the best.
    objective = "cross_entropy"
    passed_over = "labelled as a word, but without any sound"
    _learnt_from: Examples | None = None

    # Reading and checking examples

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_words(seed)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        keywords = chosen_keywords(self.config.keywords)
        if learning:
            require_keywords(examples, keywords)
        classed = with_classes(examples, keywords)
        rows = [
            row
            for row, (clip, label) in enumerate(
                zip(classed["audio"], classed["label"], strict=True)
            )
            if label == SILENCE or not soundless(clip)
        ]
        if not rows:
            raise UserError(
                f"{examples.source}: every recording is digital silence; give words to hear"
            )
        kept = classed.select(rows)
        self.check_durations(kept)
        if learning:
            self._tell_of_long_rows(kept)
        self.check_labels(kept, learning=learning)
        return kept

    def _tell_of_long_rows(self, examples: Examples) -> None:
        heard = self.config.window + _MEMORY_SECONDS
        longer = sum(clip.seconds > heard for clip in examples["audio"])
        if longer and not self.config.bidirectional:
            environment.say(
                f"{longer} of {len(examples)} recordings last more than {heard:g} s: their answers "
                f"attend to the last {self.config.window:g} s and rely on memory for the rest; cut "
                "them to the word, or set window=SECONDS or bidirectional=true"
            )

    # What is learnt from data before training

    def learn_labels(self, examples: Examples) -> None:
        super().learn_labels(examples)
        if self._generates_silence(examples):
            self.labels = (*self.labels, SILENCE)

    def learn(self, examples: Examples) -> None:
        self.learn_sample_rate(examples)
        self.learn_labels(examples)
        self._learnt_from = examples
        config = self.config
        self._log_mel = LogMel(self.sample_rate, bands=config.bands, name="log_mel")
        frames = round(_LEVEL_SECONDS * self.sample_rate / self._log_mel.hop)
        self._level = LevelNormalization(frames, floor=self._log_mel.floor, name="level")
        self._normalization = FeatureNormalization("global", name="normalization")
        self._normalization.learn(
            (self._level(features, lengths), lengths)
            for features, lengths in self.features(examples, self._log_mel)
        )

    def prepare(self, examples: Examples, *, targets: bool = True) -> Prepared:
        if targets and examples is self._learnt_from and self._generates_silence(examples):
            examples = with_generated_silence(examples, self.config.silence, self.seed)
        rows = {"audio": self.audio_rows(examples)}
        return Prepared.of(rows, target=self.truth(examples) if targets else None)

    def _generates_silence(self, examples: Examples) -> bool:
        return self.config.silence > 0 and SILENCE not in examples["label"]

    # The Keras model

    def build(self) -> keras.Model:
        config, seed, rate = self.config, self.seed, self.sample_rate
        streams = not config.bidirectional
        x = keras.Input((None,), dtype="float32", name="audio")
        lengths = keras.Input((), dtype="int32", name="lengths")
        inputs = {"audio": x, "lengths": lengths}
        faster, slower = 1 + config.speed_change, 1 / (1 + config.speed_change)
        x, lengths = SpeedChange(slower, faster, seed=seed, name="speed")(x, lengths)
        x, lengths = Gain(config.gain_db, seed=seed, name="gain")(x, lengths)
        if streams:
            x, lengths = PrecedingContext(
                _CONTEXT_SECONDS, rate, probability=config.context, seed=seed, name="context"
            )(x, lengths)
        if streams:
            x, lengths = TrailingSilence(self._tail(), name="trailing_silence")(x, lengths)
        x, lengths = NoiseMixing(probability=config.noise, seed=seed, name="noise")(x, lengths)
        x, lengths = self._log_mel(x, lengths)
        x = RandomEqualization(config.equalization_db, seed=seed, name="equalization")(x, lengths)
        x = self._normalization(self._level(x, lengths), lengths)
        x = SpecAugment(
            frequency_width=round(config.frequency_masking * config.bands),
            time_share=config.time_masking,
            seed=seed,
            name="masking",
        )(x, lengths)
        x, lengths = ConvolutionSubsampling(
            channels=(config.channels, config.channels),
            kernels=_KERNELS,
            strides=_STRIDES,
            causal=streams,
            seed=seed,
            name="convolutions",
        )(x, lengths)
        stack = LSTMStack(
            units=config.units,
            depth=config.depth,
            bidirectional=config.bidirectional,
            input_dropout=config.input_dropout,
            dropout=config.layer_dropout,
            weight_dropout=config.weight_dropout,
            return_state=streams,
            seed=seed,
            name="lstm",
        )
        x = stack(x, mask=LengthMask(name="mask")(x, lengths))
        window = max(1, round(config.window / self.step_seconds)) if streams else None
        x = AttentionPooling(config.attention, window, seed=seed, name="attention")(
            x[0] if streams else x, lengths
        )
        x = keras.layers.Dropout(config.output_dropout, seed=seed, name="output_dropout")(x)
        outputs = keras.layers.Dense(len(self.labels), name="logits")(x)
        self.model = keras.Model(inputs, outputs, name="tensors")
        return self.model

    def _tail(self) -> int:
        """Samples behind a recording that the model hears before it answers."""
        return 0 if self.config.bidirectional else round(self.config.tail * self.sample_rate)

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the LSTM, and of a stream's answers, to the next."""
        hop = self._log_mel.hop / self.sample_rate
        return hop * int(np.prod([time for time, _ in _STRIDES]))

    # The naive baselines that it must beat

    def baselines(self) -> dict[str, Baseline]:
        about = (self.labels, self.sample_rate, self.seed)
        return {
            **super().baselines(),
            "mean_spectrum": SpectrumBaseline(*about),
            "nearest_template": TemplateBaseline(*about),
        }

    # Serving signatures

    def serve(self, *, audio: Any, lengths: Any) -> dict[str, Any]:
        logits = self.model({"audio": audio, "lengths": lengths})
        return ClassAnswers(self.labels, name="answers")(logits)

    def signatures(self) -> dict[str, Signature]:
        found = super().signatures()
        if step := found.get("step"):
            found["step"] = replace(step, call=partial(self._labelled, step.call))
        return found

    def _labelled(self, step: Callable[..., dict[str, Any]], *values: Any) -> dict[str, Any]:
        """A step's answers with the names of the classes, `labels` `(batch, classes)`."""
        answers = step(*values)
        shape = [tf.shape(answers["steps"])[0], len(self.labels)]
        return {**answers, "labels": tf.broadcast_to(self.labels, shape)}

    def adopt(self, served: keras.Model) -> None:
        self.model = served.get_layer("tensors")
        self._log_mel = self.model.get_layer("log_mel")
        self.sample_rate = self._log_mel.sample_rate
        self.labels = served.get_layer("answers").labels

    # Streams

    def _chain(self) -> StreamChain:
        names = ("log_mel", "level", "normalization", "convolutions", "lstm", "attention")
        return StreamChain({name: self.model.get_layer(name) for name in names})

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        if self.config.bidirectional:
            return {}
        return {
            "audio": tf.TensorSpec((None, None), tf.float32),
            "lengths": tf.TensorSpec((None,), tf.int32),
            **self._chain().specs(),
        }

    def step(self, *, audio: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """Answers for every step that a chunk completes.

        Args:
            audio: the next samples, `(batch, samples)`.
            lengths: real samples of each row of them, `(batch,)`.
            **states: what the call before gave.

        Returns:
            `probabilities` `(batch, steps, classes)`, zeros beyond a row's steps; `steps`
            `(batch,)`, how many each row has, perhaps none; and the states for the next chunk. The
            signature adds `labels` `(batch, classes)`, the names of the classes: without text, XLA
            can compile a step.
        """
        x, steps, states = self._chain()(audio, lengths, states)
        logits = tf.cast(self.model.get_layer("logits")(x), tf.float32)
        real = tf.sequence_mask(steps, tf.shape(x)[1], tf.float32)
        return {
            "probabilities": tf.nn.softmax(logits) * real[..., None],
            "steps": steps,
            **states,
        }

    def about(self) -> dict[str, Any]:
        about = {"step_seconds": self.step_seconds, "trailing_silence": self._tail()}
        return {**super().about(), **about}

    # The report

    def predictions(self, examples: Examples, outputs: np.ndarray) -> list[dict[str, Any]]:
        rows = super().predictions(examples, outputs)
        speakers = examples["speaker"] if "speaker" in examples else [None] * len(examples)
        for row, clip, speaker in zip(rows, examples["audio"], speakers, strict=True):
            row.update(input=clip.path, seconds=round(clip.seconds, 3))
            if speaker is not None:
                row["speaker"] = speaker
        add_evidence(
            rows,
            clip=lambda i: (examples["audio"][i].at(self.sample_rate), self.sample_rate),
            track=lambda i: self._attention(examples.select([i])),
        )
        return rows

    def _attention(self, example: Examples) -> dict[str, Any]:
        attention = self.model.get_layer("attention")
        prepared = self.prepare(example, targets=False)
        batch = prepared.fetch(np.arange(1), int(prepared.lengths[0]))
        states, steps = keras.Model(self.model.input, attention.input)(batch)
        weights = attention.weights_of(states, steps)
        return attention_track(weights.numpy()[0], self.step_seconds)

    def sections(self, predictions: Sequence[Mapping[str, Any]]) -> list[Section]:
        return [*super().sections(predictions)[:2], *keyword_sections(predictions)]
