"""Checkpoints: all variables of model and optimiser and how far training has come."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from apps.errors import UserError
from apps.signatures import STATE
from apps.training.distribution import Distribution
from apps.training.run_folder import RunFolder


@dataclass
class Position:
    """How far a training has come.

    Attributes:
        epoch: epochs completed.
        step: steps completed in the epoch under way.
        total: steps completed in all.
        seconds: time that training and validation have taken, earlier sessions included.
        loss_sum, loss_steps: sum and number of the training losses of the epoch under way.
        history: one row of measurements for each completed epoch.
        best: epoch, step and `Score` of the best weights so far.
        stale: epochs since the objective last improved.
        stopped: why training ended, or an empty text.
        begun: the step at which each stage of the layers that learn later began.
    """

    epoch: int = 0
    step: int = 0
    total: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_steps: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    best: dict[str, Any] | None = None
    stale: int = 0
    stopped: str = ""
    begun: list[int] = field(default_factory=list)


class Checkpoints:
    """Writes and reads the last state and the best weights of a run.

    Args:
        folder: the run.
        model: the model in training.
        optimizer: its optimiser, already built for the model's variables.
        distribution: the processes that train together, of which the first one reads and writes.
    """

    def __init__(
        self,
        folder: RunFolder,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        distribution: Distribution | None = None,
    ) -> None:
        self._folder = folder
        self._model = model
        self._optimizer = optimizer
        self._distribution = distribution or Distribution()
        self._last = folder.checkpoints / "last.npz"

    def save(self, position: Position, carried: Mapping[str, np.ndarray]) -> None:
        """Write the state that training would go on from.

        Args:
            position: how far it has come.
            carried: states of the model that the next batch goes on from, by name.
        """
        if not self._distribution.chief:
            return
        arrays = _arrays([*self._model.variables, *self._optimizer.variables])
        arrays |= carried
        arrays["position"] = np.frombuffer(json.dumps(asdict(position)).encode(), np.uint8)
        self._folder.write_arrays(self._last, arrays)
        keep = self._best_file(position) if position.best else None
        for file in self._folder.checkpoints.glob("best-*.npz"):
            if file != keep:
                file.unlink(missing_ok=True)

    def restore(self) -> tuple[Position, dict[str, np.ndarray]]:
        """Load the last state into model and optimiser.

        Returns:
            How far training has come, a fresh position where there is no state, and what the model
            carries.
        """
        arrays = self._read(self._last)
        if not arrays:
            return Position(), {}
        position = Position(**json.loads(arrays.pop("position").tobytes()))
        carried = {name: arrays.pop(name) for name in list(arrays) if name.startswith(STATE)}
        variables = [*self._model.variables, *self._optimizer.variables]
        _assign(variables, arrays, str(self._last))
        return position, carried

    def save_best(self, position: Position) -> None:
        """Write the weights that the position calls the best."""
        if self._distribution.chief:
            self._folder.write_arrays(self._best_file(position), _arrays(self._model.variables))

    def restore_best(self, position: Position) -> None:
        """Load the best weights into the model."""
        file = self._best_file(position)
        arrays = self._read(file)
        if not arrays:
            raise UserError(f"{file}: missing; train the run again")
        _assign(self._model.variables, arrays, str(file))

    def _read(self, file: Path) -> dict[str, np.ndarray]:
        """The arrays of the first process's file, nothing where it has none."""

        def contents() -> bytes:
            if not file.exists():
                return b""
            self._folder.read_arrays(file)
            return file.read_bytes()

        if self._distribution.alone:
            return self._folder.read_arrays(file) if file.exists() else {}
        read = self._distribution.from_chief(contents)
        with io.BytesIO(read) as stream:
            return dict(np.load(stream, allow_pickle=False)) if read else {}

    def _best_file(self, position: Position) -> Path:
        assert position.best is not None
        return self._folder.checkpoints / f"best-{position.best['total']}.npz"


def _arrays(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    return {f"{i:04d}": np.asarray(variable) for i, variable in enumerate(variables)}


def _assign(variables: Sequence[Any], arrays: dict[str, np.ndarray], file: str) -> None:
    shapes = {f"{i:04d}": tuple(variable.shape) for i, variable in enumerate(variables)}
    if shapes != {name: array.shape for name, array in arrays.items()}:
        raise UserError(f"{file}: belongs to another model; train the run again")
    for i, variable in enumerate(variables):
        variable.assign(arrays[f"{i:04d}"])
