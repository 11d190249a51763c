"""The front half of the speech models: from samples to the steps of an LSTM, whole or streamed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.configuration import fixed, searched
from apps.data.kept import kept
from apps.data.recordings.clip import Clip
from apps.inputs.recordings import RecordingsConfig
from apps.layers.audio.augmentation import Gain, NoiseMixing, SpeedChange
from apps.layers.audio.context import PrecedingContext
from apps.layers.audio.convolution import ConvolutionSubsampling
from apps.layers.audio.equalization import RandomEqualization
from apps.layers.audio.normalization import FeatureNormalization
from apps.layers.audio.silence import TrailingSilence
from apps.layers.audio.spec_augment import SpecAugment
from apps.layers.audio.spectrogram import LogMel
from apps.layers.stream_chain import StreamChain

_CONTEXT_SECONDS = 1.0

Layers = Mapping[str, keras.layers.Layer]


@dataclass(frozen=True)
class FrontConfig(RecordingsConfig):
    """Hyperparameters of the front half: mel bands, convolutions, augmentation.

    In training the speed changes by up to `speed_change` (a share), the gain by up to `gain_db`,
    bands by up to `equalization_db`; rows of the batch are mixed in as noise with probability
    `noise`; before a row another one is heard with probability `context`, where the model streams;
    shares of time and of the bands are masked. A value of 0 switches each of them off.
    """

    bands: int = fixed(40, low=8, high=256)
    channels: int = searched(24, low=1, high=512, log=True, span=(8, 64))
    speed_change: float = searched(0.1, low=0.0, high=0.5, span=(0.0, 0.3))
    gain_db: float = fixed(10.0, low=0.0, high=60.0)
    equalization_db: float = fixed(0.0, low=0.0, high=20.0)
    noise: float = fixed(0.0, low=0.0, high=1.0)
    context: float = fixed(0.0, low=0.0, high=1.0)
    time_masking: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.4))
    frequency_masking: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.4))


@dataclass(frozen=True)
class Front:
    """Samples to steps: augmentation, log-mel spectrogram, normalisation, convolutions.

    Attributes:
        config: sizes and augmentation.
        layers: `log_mel`, then the streaming layers that scale its frames, by name; made by
            `adapt`.
        kernels, strides: `(time, bands)` of both convolutions.
        streams: whether each step depends on what is before it alone.
        silence: samples of silence behind a recording that a model hears before it answers.
        seed: of weights and augmentation.
    """

    config: FrontConfig
    layers: Layers
    kernels: Sequence[tuple[int, int]]
    strides: Sequence[tuple[int, int]]
    streams: bool
    silence: int
    seed: int

    def inputs(self) -> dict[str, keras.KerasTensor]:
        """Symbolic samples `(batch, samples)` and lengths `(batch,)`."""
        return {
            "audio": keras.Input((None,), dtype="float32", name="audio"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }

    def __call__(self, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        """Steps `(batch, steps, features)` and how many of each row are real, `(batch,)`."""
        config, seed = self.config, self.seed
        x, lengths = inputs["audio"], inputs["lengths"]
        faster, slower = 1 + config.speed_change, 1 / (1 + config.speed_change)
        x, lengths = SpeedChange(slower, faster, seed=seed, name="speed")(x, lengths)
        x, lengths = Gain(config.gain_db, seed=seed, name="gain")(x, lengths)
        log_mel, *scaling = self.layers.values()
        if self.streams and config.context:
            x, lengths = PrecedingContext(
                _CONTEXT_SECONDS,
                log_mel.sample_rate,
                probability=config.context,
                seed=seed,
                name="context",
            )(x, lengths)
        if self.streams:
            x, lengths = TrailingSilence(self.silence, name="trailing_silence")(x, lengths)
        x, lengths = NoiseMixing(probability=config.noise, seed=seed, name="noise")(x, lengths)
        x, lengths = log_mel(x, lengths)
        if config.equalization_db:
            equalization = RandomEqualization(
                config.equalization_db, seed=seed, name="equalization"
            )
            x = equalization(x, lengths)
        for layer in scaling:
            x = layer(x, lengths)
        x = SpecAugment(
            frequency_width=round(config.frequency_masking * config.bands),
            time_share=config.time_masking,
            seed=seed,
            name="masking",
        )(x, lengths)
        return ConvolutionSubsampling(
            channels=(config.channels, config.channels),
            kernels=self.kernels,
            strides=self.strides,
            causal=self.streams,
            seed=seed,
            name="convolutions",
        )(x, lengths)


def learnt_normalization(
    kind: str,
    frames: Iterable[tuple[Any, Any]],
    clips: Sequence[Clip],
    seed: int,
    layers: Sequence[keras.layers.Layer],
) -> FeatureNormalization:
    """The layer that normalises frames by the mean and the scale of training recordings.

    Args:
        kind: of normalisation.
        frames: of some recordings, with their lengths; only looked at if no other training has.
        clips: all training recordings.
        seed: by which some of them were drawn.
        layers: what makes the frames.
    """

    def learn() -> dict[str, np.ndarray]:
        learnt = FeatureNormalization(kind, name="normalization")
        learnt.adapt(frames)
        return {"mean": learnt.mean.numpy(), "scale": learnt.scale.numpy()}

    about = [layer.get_config() for layer in layers]
    found = kept(learn, "normalization", kind, [clip.digest for clip in clips], seed, about)
    normalization = FeatureNormalization(kind, name="normalization")
    normalization.assign(found["mean"], found["scale"])
    return normalization


def step_seconds(log_mel: LogMel, strides: Sequence[tuple[int, int]]) -> float:
    """Seconds from one step behind the convolutions to the next."""
    return log_mel.hop / log_mel.sample_rate * int(np.prod([time for time, _ in strides]))


def samples_of_a_step(
    log_mel: LogMel, strides: Sequence[tuple[int, int]]
) -> dict[str, tf.TensorSpec]:
    """The chunk of one stream that completes one step behind the convolutions."""
    samples = log_mel.hop * int(np.prod([time for time, _ in strides]))
    return {"audio": tf.TensorSpec((1, samples), tf.float32, "audio")}


def stream_chain(model: keras.Model, names: Sequence[str]) -> StreamChain:
    """The layers of a model that a chunk passes, in their order."""
    return StreamChain({name: model.get_layer(name) for name in names})
