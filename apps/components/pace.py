"""Layers that learn later or more slowly than the rest of a model."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pace:
    """When some layers begin to learn, and how fast.

    Howard & Ruder 2018, "Universal language model fine-tuning for text classification", sections
    3.2 and 3.3: gradual unfreezing and discriminative learning rates.

    Attributes:
        layers: names of layers of the model. A model or a stack inside it stands for all layers in
            it, one of which is named by its path: `lstm/lstm_0`.
        rate: factor of the learning rate, above 0.
        begins: share of the training, from 0 to 1, before which they stay as they are; with 1 they
            never learn.

    Raises:
        ValueError: `rate` or `begins` is out of range.
    """

    layers: tuple[str, ...]
    rate: float = 1.0
    begins: float = 0.0

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(
                f"rate={self.rate}: must be above 0; begins=1 keeps layers as they are"
            )
        if not 0 <= self.begins <= 1:
            raise ValueError(f"begins={self.begins}: must be a share of the training, from 0 to 1")
