"""How wide each stack has to be, so that all have as many parameters as the LSTMs."""

from __future__ import annotations

import gc
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras

from apps.application import Application
from apps.data import Examples
from apps.training.plan import Plan

# Models that are built to find a width.
_TRIES = 8


@dataclass(frozen=True)
class Contender:
    """A stack in the application's model.

    Attributes:
        stack: its name, as the setting `stack` takes it.
        units: width of its layers, or one for each.
        parameters: weights of the whole model that are trained.
    """

    stack: str
    units: int | tuple[int, ...]
    parameters: int


def contenders(plan: Plan, learn: Examples, stacks: Sequence[str]) -> list[Contender]:
    """Stacks with which the model has as many parameters as with the LSTMs, as nearly as it goes.

    Settings that suit the rows are those of `plan`, so that no stack gets others.

    Args:
        plan: the application with the user's settings.
        learn: rows to learn from, checked.
        stacks: names of the stacks, `lstm` among them.

    Raises:
        UserError: the rows cannot be used.
    """
    units = plan.kind(plan.config, plan.seed).input.units(learn)
    application = plan.kind(plan.config, plan.seed)
    application.compose(units)
    wanted = _parameters(application.model)
    return [_fitted(application, stack, wanted) for stack in stacks]


def settings_for(stack: str, units: int | tuple[int, ...]) -> dict[str, Any]:
    """The settings in which a stack differs from the LSTMs."""
    own = {"stack": stack, "units": units}
    # How the gates of LSTMs begin is nothing to others.
    return own if stack == "lstm" else {**own, "chrono": None}


def _fitted(application: Application, stack: str, wanted: int) -> Contender:
    config: Any = application.config
    # Widths of several layers keep their proportions.
    first = config.units[0] if isinstance(config.units, tuple) else config.units

    def made(units: int) -> Contender:
        widths: Any = units
        if isinstance(config.units, tuple):
            widths = tuple(max(1, round(width * units / first)) for width in config.units)
        application.configure(replace(config, **settings_for(stack, widths)))
        found = _parameters(application.build())
        gc.collect()
        return Contender(stack, widths, found)

    try:
        if stack == config.stack:
            return Contender(stack, config.units, wanted)
        tried: dict[int, int] = {}
        units, found = first, []
        while units not in tried and len(tried) < _TRIES:
            found.append(made(units))
            tried[units] = found[-1].parameters
            units = _next(tried, wanted)
        return min(found, key=lambda one: abs(one.parameters - wanted))
    finally:
        application.configure(config)


def _next(tried: Mapping[int, int], wanted: int) -> int:
    """Units to try next, from the parameters of those that were tried; none new when it is over."""
    few = max((units for units, count in tried.items() if count <= wanted), default=0)
    many = min((units for units, count in tried.items() if count > wanted), default=0)
    if not few or not many:
        # Weights grow with the square of the units.
        units = few or many
        step = max(1, abs(round(units * (math.sqrt(wanted / tried[units]) - 1))))
        return max(1, units + (step if few else -step))
    if many - few == 1:
        return few
    share = (wanted - tried[few]) / (tried[many] - tried[few])
    return min(max(few + round(share * (many - few)), few + 1), many - 1)


def _parameters(model: keras.Model) -> int:
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)
