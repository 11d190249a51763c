"""Points of a search space, drawn as KerasTuner draws them."""

from __future__ import annotations

import random
from typing import Any

import keras_tuner

from tuning.space import Space


def drawn(space: Space, seed: int, *, grid: bool = False) -> dict[str, Any]:
    """Values of a random point: only what is active there."""
    point = keras_tuner.HyperParameters()
    chance = random.Random(seed)
    for one in space.hyperparameters(grid=grid).space:
        point.merge([one])
        if point.is_active(one):
            point.values[one.name] = one.random_sample(chance.randrange(2**31))
    return point.values
