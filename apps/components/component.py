"""What inputs and tasks have in common."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

import keras

from apps.configuration import ApplicationConfig
from apps.data import Column, Examples

Tensors = Mapping[str, Any]


class Component:
    """What inputs and tasks have in common.

    Attributes:
        columns: the columns of a user's data that it reads, by name.
        config: the hyperparameters; None until it is bound.
        seed: seeds whatever it draws.
        adapted: layers made from the training rows, by name.
        passed_over: the phrase that describes rows that `check` drops.
    """

    columns: Mapping[str, Column]
    passed_over: str = ""
    config: Any = None
    seed: int = 0
    adapted: Mapping[str, keras.layers.Layer]

    def bound(
        self, config: ApplicationConfig, seed: int, adapted: Mapping[str, keras.layers.Layer]
    ) -> Self:
        """A copy of it for one training."""
        own = copy.copy(self)
        own.config, own.seed, own.adapted = config, seed, adapted
        return own

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """The usable rows.

        Args:
            examples: rows as they were read.
            learning: whether the model will train on them; if not, rows that the trained model
                cannot be measured on (such as a label it never saw) are an error.

        Returns:
            The rows to use.

        Raises:
            UserError: rows that no model can be trained or measured on, with place and remedy.
        """
        return examples

    def adapt(self, examples: Examples) -> Mapping[str, keras.layers.Layer]:
        """Make layers from the training rows; keys are the names of the layers."""
        return {}

    def metadata(self) -> dict[str, Any]:
        """What a client must know to send raw inputs and to read answers; JSON values by name."""
        return {}
