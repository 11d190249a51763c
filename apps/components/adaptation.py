"""What an application makes of the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from apps.data import Examples
from apps.data.sequences import Stored

# Of a run folder.
ASSETS = "assets.npz"


@dataclass(frozen=True)
class Adaptation:
    """What `adapt` made.

    Attributes:
        layers: the layers by name.
        training: the units to train on where they differ from those given, for example with
            generated ones added.
        columns: arrays by name, one entry per training unit, that only training has; `forward`
            reads them from the batch.
        tensors: what the input's `tensors` would give for the units to train on, where it is there
            already and would take long to make again.
        assets: arrays by name that are no part of the model, for other runs to start from; the run
            folder holds them in `assets.npz`.
    """

    layers: Mapping[str, keras.layers.Layer]
    training: Examples | None = None
    columns: Mapping[str, Stored | np.ndarray] = field(default_factory=dict)
    tensors: Mapping[str, Stored | np.ndarray] | None = None
    assets: Mapping[str, np.ndarray] = field(default_factory=dict)
