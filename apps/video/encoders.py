"""From the steps of a clip to one vector for each: convolutions, or a network trained by others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import keras

from apps import environment
from apps.configuration import StackConfig, changed, fixed, searched
from apps.errors import UserError
from apps.inputs.clips import ClipsConfig
from apps.layers.alternatives.stack import stack_of
from apps.layers.video.backbone import BACKBONES, FINE_TUNING, SMALLEST, FrameBackbone
from apps.layers.video.convolutions import FrameConvolutions
from apps.layers.video.motion import MOTIONS

# Height and width of what is left of a frame after the convolutions.
_SMALLEST = 4
_WIDENING = (1, 2, 3, 4)
OWN, LSTM, CONVLSTM = "convolutions", "lstm", "convlstm"


@dataclass(frozen=True)
class EncoderConfig(ClipsConfig, StackConfig):
    """Hyperparameters of what a frame becomes, and of the recurrent layers over the frames.

    `motion` says what is seen of a frame: the `flow` of its edges, its `difference` from the one
    before, the `picture`, or `both` of the last two. `channels` is the width of the first
    convolution. In place of these convolutions a `backbone` of `keras.applications` can stand, with
    `weights` from a file or `imagenet`; it sees the `picture` unless told otherwise. It stays as it
    is until a share `fine_tune_from` of the training is done; then the `last` third of its layers
    learns at a tenth of the learning rate, or `all`, or, with `fine_tune=no`, none.
    `recurrence=convlstm` keeps places apart while it goes through time; it never runs on cuDNN, and
    reads no streams.
    """

    motion: str = searched("flow", choices=MOTIONS)
    channels: int = searched(16, low=1, high=256, log=True, span=(8, 32))
    units: int | tuple[int, ...] = changed(64, span=(32, 128))
    bidirectional: bool = changed(False)
    input_dropout: float = changed(0.0, span=(0.0, 0.5))
    frame_dropout: float = searched(0.3, low=0.0, high=0.9, span=(0.0, 0.6))
    output_dropout: float = changed(0.5)
    backbone: str = fixed(OWN, choices=(OWN, *BACKBONES))
    weights: str = fixed("")
    fine_tune: str = fixed("last", choices=FINE_TUNING)
    fine_tune_from: float = fixed(0.5, low=0.0, high=1.0)
    recurrence: str = fixed(LSTM, choices=(LSTM, CONVLSTM))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Config from values; a backbone sees pictures, as it did before, unless they say else."""
        pretrained = values.get("backbone", OWN) != OWN
        return super().from_values({"motion": "picture", **values} if pretrained else values)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.backbone == OWN:
            if self.weights:
                raise UserError(f"weights={self.weights}: of which network? set backbone=NAME too")
            return
        if not self.weights:
            raise UserError(
                f"backbone={self.backbone}: without weights it would know nothing; set "
                "weights=imagenet, or weights=FILE"
            )
        if self.motion == "both" or self.recurrence == CONVLSTM:
            raise UserError(
                f"backbone={self.backbone}: takes three channels and gives one vector a frame; set "
                "motion=picture or motion=difference, and recurrence=lstm"
            )
        least = 71 if self.backbone == "xception" else SMALLEST
        if self.size < least:
            raise UserError(f"size={self.size}: backbone={self.backbone} needs at least {least}")


def frame_encoder(config: EncoderConfig, seed: int) -> FrameConvolutions | FrameBackbone:
    """The layer that makes a vector, or a map for a ConvLSTM, of each step.

    Raises:
        UserError: the weights cannot be had.
    """
    if config.backbone != OWN:
        if config.motion != "picture":
            environment.say(
                f"{config.backbone} sees the {config.motion} of frames, but learnt from "
                "photographs: motion=picture shows it the frames themselves, and takes less time"
            )
        layer = FrameBackbone(config.backbone, config.size, name="encoder")
        layer.load(config.weights)
        layer.learn(config.fine_tune)
        return layer
    count = max(1, math.ceil(math.log2(config.size / _SMALLEST)))
    widening = (*_WIDENING, *[_WIDENING[-1]] * count)[:count]
    return FrameConvolutions(
        tuple(config.channels * factor for factor in widening),
        dropout=config.frame_dropout,
        pooled=config.recurrence == LSTM,
        seed=seed,
        name="encoder",
    )


def recurrent(config: EncoderConfig, seed: int, x: Any) -> Any:
    """States of the recurrent layers, `(batch, time, units)`, from what the encoder gives."""
    if config.recurrence == LSTM:
        return stack_of(config, seed)(x)
    widths = config.units if isinstance(config.units, tuple) else (config.units,) * config.depth
    for level, units in enumerate(widths):
        # Shi et al. 2015, "Convolutional LSTM network: a machine learning approach for
        # precipitation nowcasting", section 3.1.
        x = keras.layers.ConvLSTM2D(
            units, 3, padding="same", return_sequences=True, seed=seed, name=f"convlstm_{level}"
        )(x)
    return keras.layers.TimeDistributed(keras.layers.GlobalAveragePooling2D(), name="lstm")(x)
