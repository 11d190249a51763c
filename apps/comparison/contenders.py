"""How wide each stack has to be, so that all have as many parameters as the LSTMs."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from apps.application import Application
from apps.data import Examples
from apps.training.plan import Plan

_WIDEST = 16


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

    Args:
        plan: the application with the user's settings.
        learn: rows to learn from, checked.
        stacks: names of the stacks, `lstm` among them.

    Raises:
        UserError: the rows cannot be used.
    """
    units = plan.kind(plan.config, plan.seed).input.units(learn)
    plan = plan.choosing(plan.kind.settings_for(units))
    application = plan.kind(plan.config, plan.seed)
    application.compose(units)
    wanted = _parameters(application.model)
    return [_fitted(application, stack, wanted) for stack in stacks]


def _fitted(application: Application, stack: str, wanted: int) -> Contender:
    config: Any = application.config
    # Widths of several layers keep their proportions.
    first = config.units[0] if isinstance(config.units, tuple) else config.units

    def made(units: int) -> Contender:
        widths: Any = units
        if isinstance(config.units, tuple):
            widths = tuple(max(1, round(width * units / first)) for width in config.units)
        other = application.config.__class__(**{**_fields(config), "stack": stack, "units": widths})
        application.configure(other)
        found = _parameters(application.build())
        gc.collect()
        return Contender(stack, widths, found)

    try:
        if stack == config.stack:
            return Contender(stack, config.units, wanted)
        # More units are more parameters: halve the range until two neighbours are left.
        low, high = 1, _WIDEST * first
        found: dict[int, Contender] = {}
        while high - low > 1:
            middle = (low + high) // 2
            found[middle] = made(middle)
            if found[middle].parameters <= wanted:
                low = middle
            else:
                high = middle
        nearest = [found[one] if one in found else made(one) for one in (low, high)]
        return min(nearest, key=lambda one: abs(one.parameters - wanted))
    finally:
        application.configure(config)


def _fields(config: Any) -> dict[str, Any]:
    return {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}


def _parameters(model: keras.Model) -> int:
    return sum(int(weight.shape.num_elements()) for weight in model.trainable_weights)
