"""Transcription: what is said in a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from apps.layers.audio.augmentation import Gain, NoiseMixing, SpeedChange
from apps.layers.audio.convolution import ConvolutionSubsampling
from apps.layers.audio.normalization import FeatureNormalization
from apps.layers.audio.silence import TrailingSilence
from apps.layers.audio.spec_augment import SpecAugment
from apps.layers.audio.spectrogram import LogMel
from apps.layers.ctc import ctc_loss, steps_needed
from apps.layers.ctc.posteriors import Posteriors, RealSteps, real_steps
from apps.layers.ctc.tokens import Tokens, normalized
from apps.layers.ctc.transcripts import Transcripts
from apps.layers.look_ahead import LookAhead
from apps.layers.pooling import LengthMask
from apps.layers.stream_chain import StreamChain, prefixed, unprefixed
from apps.report.speech import error_rates
from apps.report.speech.players import add_evidence, ctc_track
from apps.report.speech.sections import transcription_sections
from apps.speech.sample_words import sample_sentences
from apps.tasks.transcription.decoders import KINDS, TRANSCRIPTS, Decoders
from apps.tasks.transcription.frequent_transcript import MostFrequentTranscript

if TYPE_CHECKING:
    from apps.report.sections import Section

# Steps of the LSTM are four frames apart.
_KERNELS, _STRIDES = ((11, 7), (7, 7)), ((2, 2), (2, 2))


@dataclass(frozen=True)
class TranscriptionConfig(RecordingsConfig):
    """Hyperparameters of the transcription model; `searched` ones are what tuning varies."""

    learning_rate: float = searched(2e-3, low=1e-5, high=1e-1, log=True, span=(3e-4, 6e-3))
    batch_size: int = searched(16, low=1, high=4096, log=True, span=(8, 32))
    epochs: int = fixed(60, low=1, high=100_000)
    patience: int = fixed(20, low=1, high=100_000)
    clip_norm: float = fixed(5.0, low=1e-6, high=1e6)
    depth: int = searched(3, low=1, high=8, span=(1, 4))
    units: int | tuple[int, ...] = searched(
        256, low=1, high=4096, log=True, per="depth", span=(64, 512)
    )
    bidirectional: bool = fixed(True)
    look_ahead: int = fixed(10, low=0, high=200)
    channels: int = searched(32, low=1, high=512, log=True, span=(16, 64))
    input_dropout: float = searched(0.3, low=0.0, high=0.9, span=(0.0, 0.5))
    layer_dropout: float = searched(0.3, low=0.0, high=0.9, span=(0.0, 0.5), when=("depth", 2))
    weight_dropout: float = searched(0.0, low=0.0, high=0.9, span=(0.0, 0.5))
    output_dropout: float = searched(0.3, low=0.0, high=0.9, span=(0.0, 0.5))
    bands: int = fixed(80, low=8, high=256)
    speed_change: float = searched(0.1, low=0.0, high=0.5, span=(0.0, 0.2))
    gain_db: float = fixed(10.0, low=0.0, high=60.0)
    noise: float = fixed(0.0, low=0.0, high=1.0)
    time_masking: float = searched(0.15, low=0.0, high=0.9, span=(0.0, 0.3))
    frequency_masking: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.4))
    tokens: str = fixed("characters", choices=("characters", "pieces"))
    pieces: int = fixed(200, low=2, high=10_000)
    decoder: str = fixed("ngram", choices=KINDS)
    beam: int = fixed(32, low=1, high=1024)
    language: str = fixed(TRANSCRIPTS)
    order: int = fixed(3, low=1, high=6)
    language_weight: float | None = fixed(None, low=0.0, high=10.0)
    word_bonus: float | None = fixed(None, low=-20.0, high=20.0)


class Transcription(Recordings):
    """Convolutions over a log-mel spectrogram, a stack of LSTMs, CTC, and a beam over words.

    Amodei et al. 2016, "Deep Speech 2", section 3; connectionist temporal classification: Graves
    et al. 2006. With `bidirectional=false` the model looks `look_ahead` steps ahead and streams.
    """

    name = "transcription"
    columns: ClassVar = {
        "audio": Column.audio(),
        "transcript": Column.transcript(),
        "speaker": Column.group(aliases=("speaker_id", "client_id")),
        "group": Column.group(required=False),
    }
    Config = TranscriptionConfig
    config: TranscriptionConfig
    metrics = ("wer", "cer", "substitutions", "deletions", "insertions")
    objective = "wer"
    passed_over = "without a transcript"
    _learnt_from: Examples | None = None

    # Reading and checking examples

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_sentences(seed)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        self.check_durations(examples)
        spoken = [row for row, text in enumerate(examples["transcript"]) if text.strip()]
        if not spoken:
            raise UserError(
                f"{examples.source}: every transcript is empty; give what is said in each recording"
            )
        return examples.select(spoken)

    # What is learnt from data before training

    def learn(self, examples: Examples) -> None:
        self.learn_sample_rate(examples)
        config, texts = self.config, examples["transcript"]
        self._log_mel = LogMel(self.sample_rate, bands=config.bands, name="log_mel")
        self.tokens = Tokens.learn(texts, kind=config.tokens, size=config.pieces)
        transcripts = Transcripts(self.tokens, self.step_seconds, name="transcripts")
        self.search = Decoders.learn(config, transcripts, texts)
        kind = "utterance" if config.bidirectional else "running"
        self._normalization = FeatureNormalization(kind, name="normalization")
        self._normalization.learn(self.features(examples, self._log_mel))
        self._learnt_from = examples

    def prepare(self, examples: Examples, *, targets: bool = True) -> Prepared:
        rows = {"audio": self.audio_rows(examples)}
        if not targets:
            return Prepared.of(rows)
        encoded = [self.tokens.encode(text) for text in examples["transcript"]]
        counts = np.array([len(ids) for ids in encoded], np.int32)
        labels = np.zeros((len(encoded), max(1, *counts)), np.int32)
        for row, ids in zip(labels, encoded, strict=True):
            row[: len(ids)] = ids
        if examples is self._learnt_from:
            self._tell_of_impossible_rows(rows["audio"].lengths, labels, counts)
        return Prepared.of(rows, labels=labels, label_lengths=counts)

    def _tell_of_impossible_rows(
        self, samples: np.ndarray, labels: np.ndarray, counts: np.ndarray
    ) -> None:
        needed = steps_needed(tf.constant(labels), tf.constant(counts)).numpy()
        lacking = int((needed > self.output_steps(samples)).sum())
        if lacking:
            environment.say(
                f"{lacking} of {len(counts)} transcripts have more letters than their recording "
                "has steps: they add nothing to the loss; check that they belong together"
            )

    # The Keras model

    def build(self) -> keras.Model:
        config, seed = self.config, self.seed
        streams = not config.bidirectional
        x = keras.Input((None,), dtype="float32", name="audio")
        lengths = keras.Input((), dtype="int32", name="lengths")
        inputs = {"audio": x, "lengths": lengths}
        faster, slower = 1 + config.speed_change, 1 / (1 + config.speed_change)
        x, lengths = SpeedChange(slower, faster, seed=seed, name="speed")(x, lengths)
        x, lengths = Gain(config.gain_db, seed=seed, name="gain")(x, lengths)
        x, lengths = NoiseMixing(probability=config.noise, seed=seed, name="noise")(x, lengths)
        if streams:
            x, lengths = TrailingSilence(self._ahead(), name="trailing_silence")(x, lengths)
        x, lengths = self._log_mel(x, lengths)
        x = self._normalization(x, lengths)
        x = SpecAugment(
            time_share=config.time_masking,
            frequency_width=round(config.frequency_masking * config.bands),
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
        x = self._dropout(config.input_dropout, "input_dropout")(x)
        mask = LengthMask(name="mask")(x, lengths)
        stack = LSTMStack(
            units=config.units,
            depth=config.depth,
            bidirectional=config.bidirectional,
            dropout=config.layer_dropout,
            weight_dropout=config.weight_dropout,
            return_state=streams,
            seed=seed,
            name="lstm",
        )
        x = stack(x, mask=mask)
        if streams:
            x, lengths = LookAhead(config.look_ahead, name="look_ahead")(x[0], lengths)
        x = self._dropout(config.output_dropout, "output_dropout")(x)
        logits = keras.layers.Dense(len(self.tokens), name="logits")(x)
        outputs = Posteriors(name="posteriors")(logits, lengths)
        self.model = keras.Model(inputs, outputs, name="tensors")
        return self.model

    def _dropout(self, rate: float, name: str) -> keras.layers.Layer:
        """One mask for all steps of a row."""
        return keras.layers.Dropout(rate, noise_shape=(None, 1, None), seed=self.seed, name=name)

    def _ahead(self) -> int:
        """Samples behind a recording without which the last look-ahead would lack steps."""
        return round(self.config.look_ahead * self.step_seconds * self.sample_rate)

    @property
    def step_seconds(self) -> float:
        """Seconds from one step of the outputs to the next."""
        hop = self._log_mel.hop / self.sample_rate
        return hop * int(np.prod([time for time, _ in _STRIDES]))

    # Loss and metrics

    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        losses, possible = ctc_loss(
            batch["labels"], batch["label_lengths"], outputs, real_steps(outputs)
        )
        rows = tf.reduce_sum(tf.cast(possible, tf.float32))
        return tf.reduce_sum(losses) / tf.maximum(rows, 1.0)

    def truth(self, examples: Examples) -> np.ndarray:
        return np.array([normalized(text) for text in examples["transcript"]], object)

    def output_steps(self, lengths: np.ndarray) -> np.ndarray:
        ahead = 0 if self.config.bidirectional else self.config.look_ahead
        frames = self._log_mel.frames(lengths + (self._ahead() if ahead else 0))
        steps = self.model.get_layer("convolutions").steps(frames)
        return np.maximum(steps - ahead, 1)

    def calibrate(self, truth: np.ndarray, outputs: np.ndarray) -> None:
        self.search.calibrate(truth, outputs)

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        return self.search.decode(outputs)

    def decoders(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        return self.search.others(outputs)

    def measure(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        pairs = [(reference, one.text) for reference, one in zip(truth, outputs, strict=True)]
        return error_rates.rates(pairs)

    # The naive baseline that it must beat

    def baselines(self) -> dict[str, Baseline]:
        return {"most_frequent_transcript": MostFrequentTranscript()}

    # Serving signatures

    def about(self) -> dict[str, Any]:
        silence = 0 if self.config.bidirectional else self._ahead()
        about = {"step_seconds": self.step_seconds, "trailing_silence": silence}
        return {**super().about(), **about}

    def serve(self, *, audio: Any, lengths: Any) -> dict[str, Any]:
        posteriors = self.model({"audio": audio, "lengths": lengths})
        search = self.search
        return search.transcripts(search.chosen(posteriors, RealSteps()(posteriors)))

    def adopt(self, served: keras.Model) -> None:
        self.model = served.get_layer("tensors")
        transcripts, decoder = served.get_layer("transcripts"), served.get_layer("decoder")
        self.search = Decoders(self.config, transcripts, decoder)
        self.tokens = transcripts.tokens
        self._log_mel = self.model.get_layer("log_mel")
        self._normalization = self.model.get_layer("normalization")
        self.sample_rate = self._log_mel.sample_rate

    # Streams

    def _chain(self) -> StreamChain:
        names = ("log_mel", "normalization", "convolutions", "lstm", "look_ahead")
        return StreamChain({name: self.model.get_layer(name) for name in names})

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        if self.config.bidirectional:
            return {}
        return {
            "audio": tf.TensorSpec((None, None), tf.float32),
            "lengths": tf.TensorSpec((None,), tf.int32),
            **self._chain().specs(),
            **prefixed("decoder", self.search.chosen.state_specs(), as_spec=True),
        }

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
        x, steps, after = self._chain()(audio, lengths, states)
        posteriors = self.model.get_layer("posteriors")(self.model.get_layer("logits")(x), steps)
        decoder = self.search.chosen
        own = unprefixed("decoder", decoder.state_specs(), states)
        settled, own = decoder.step(posteriors, steps, own)
        return {
            **self.search.transcripts.settled(settled, decoder.finish(own)),
            **after,
            **prefixed("decoder", own),
        }

    # The report

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        return [hypothesis.answer for hypothesis in outputs]

    def predictions(self, examples: Examples, outputs: np.ndarray) -> list[dict[str, Any]]:
        rows = [
            {
                "place": place,
                "input": clip.path,
                "truth": normalized(transcript),
                "seconds": round(clip.seconds, 3),
                **hypothesis.answer,
            }
            for place, clip, transcript, hypothesis in zip(
                examples.places, examples["audio"], examples["transcript"], outputs, strict=True
            )
        ]
        if "speaker" in examples:
            for row, speaker in zip(rows, examples["speaker"], strict=True):
                row["speaker"] = speaker
        add_evidence(
            rows,
            clip=lambda i: (examples["audio"][i].at(self.sample_rate), self.sample_rate),
            track=lambda i: ctc_track(
                outputs[i].posteriors,
                self.tokens.texts,
                self.step_seconds,
                zip(outputs[i].answer["starts"], outputs[i].answer["words"], strict=True),
            ),
        )
        return rows

    def sections(self, predictions: Sequence[Mapping[str, Any]]) -> list[Section]:
        return transcription_sections(predictions)
