"""Which layers of a model learn at a time of its training, and how fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import keras

from apps.components import Pace


@dataclass(frozen=True)
class Learning:
    """How one variable learns.

    Attributes:
        rate: factor of the learning rate.
        since: the step at which it began; None where it has not begun.
    """

    rate: float = 1.0
    since: int | None = 0


class Pacing:
    """The paces of a model's layers; those that begin at the same time form a stage.

    Args:
        model: the model in training.
        paces: of some of its layers; the others learn from the start.

    Raises:
        ValueError: there is no such layer, it is named twice, or nothing learns at the start.
    """

    def __init__(self, model: keras.Model, paces: Sequence[Pace]) -> None:
        self._model = model
        of: dict[int, Pace] = {}
        self._layers: list[tuple[Pace, str, keras.layers.Layer]] = []
        for pace in paces:
            for name in pace.layers:
                layer = _named(model, name)
                self._layers.append((pace, name, layer))
                for variable in layer.trainable_variables:
                    if id(variable) in of:
                        raise ValueError(f"paces: '{name}' holds what another layer of them holds")
                    of[id(variable)] = pace
        usual = Pace(())
        self._paces = [of.get(id(variable), usual) for variable in model.trainable_variables]
        self._stages = sorted({pace.begins for pace in self._paces if pace.begins > 0})
        if self._stages and all(pace.begins > 0 for pace in self._paces):
            raise ValueError("paces: no layer learns at the start; let the last one begin at 0")

    def due(self, begun: Sequence[int], share: float) -> list[str]:
        """Names of the layers whose turn it is, those of one stage; none where it is nobody's.

        Args:
            begun: the step at which each stage began, of those that have.
            share: of the training that is done.
        """
        if not self.waiting(begun) or share < (stage := self._stages[len(begun)]):
            return []
        return [name for pace, name, _ in self._layers if pace.begins == stage]

    def waiting(self, begun: Sequence[int]) -> bool:
        """Whether some layers are still to begin."""
        return any(stage < 1 for stage in self._stages[len(begun) :])

    def learning(self, begun: Sequence[int]) -> list[Learning]:
        """How each trainable variable of the model learns, in the order of the model."""
        since: dict[float, int | None] = dict.fromkeys(self._stages)
        since |= dict(zip(self._stages, begun, strict=False))
        return [Learning(pace.rate, since.get(pace.begins, 0)) for pace in self._paces]

    @contextmanager
    def frozen(self, begun: Sequence[int]) -> Iterator[None]:
        """While it is entered, layers that are still to begin are not trainable.

        A step that is traced inside computes no gradients of them, and their batch normalisation
        neither uses nor moves the statistics of the batch.
        """
        later = self._stages[len(begun) :]
        held = [layer for pace, _, layer in self._layers if pace.begins in later]
        inside = [one for layer in held for one in layer._flatten_layers()]
        flags = [(one, one.trainable) for one in inside]
        flags += [(one, one.trainable) for layer in held for one in layer.variables]
        for layer in held:
            layer.trainable = False
        try:
            yield
        finally:
            # An outer layer sets those in it, so that they come after it.
            for one, trainable in flags:
                one.trainable = trainable


def _named(model: keras.Model, path: str) -> keras.layers.Layer:
    found: keras.layers.Layer = model
    for name in path.split("/"):
        inside = found._flatten_layers(include_self=False, recursive=False)
        layers = {layer.name: layer for layer in inside}
        if name not in layers:
            raise ValueError(
                f"paces: {found.name} has no layer '{name}'; it has {', '.join(layers) or 'none'}"
            )
        found = layers[name]
    return found
