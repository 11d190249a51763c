"""Gates and cells of an LSTM, step by step, in double precision."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.layers.watching import Call

_MOST = 1e9


@dataclass(frozen=True)
class Gates:
    """What an LSTM did with one sequence, in the order of its steps.

    Attributes:
        name: of the layer.
        backwards: whether it ran from the last step to the first.
        input, forget, output: `(steps, units)`, 0 to 1: how far each gate was open.
        candidate: `(steps, units)`, -1 to 1: what was to be written.
        cell, hidden: `(steps, units)`: the states after each step.
    """

    name: str
    backwards: bool
    input: np.ndarray
    forget: np.ndarray
    output: np.ndarray
    candidate: np.ndarray
    cell: np.ndarray
    hidden: np.ndarray

    @property
    def half_lives(self) -> np.ndarray:
        """`(units,)` steps after which half of a cell is left, by its mean forget gate.

        The mean is that of logarithms, since what is left is the product of the gates.
        """
        kept = np.log(np.clip(self.forget, 1e-12, 1 - 1e-12)).mean(0)
        return np.minimum(np.log(0.5) / kept, _MOST)


def gates_of(call: Call, name: str) -> Gates:
    """Compute the gates of the first sequence of a call from the layer's own weights.

    Hochreiter & Schmidhuber 1997, "Long short-term memory", with the forget gate of Gers et al.
    2000, "Learning to forget".

    Args:
        call: as a layer was called.
        name: for the result.
    """
    layer = call.layer
    kernel, recurrent, bias = (
        np.asarray(weight.value, np.float64)
        for weight in (layer.cell.kernel, layer.cell.recurrent_kernel, layer.cell.bias)
    )
    x = np.asarray(call.x, np.float64)[0]
    real = np.ones(len(x), bool)
    if call.mask is not None:
        real = np.asarray(call.mask).reshape(len(np.asarray(call.mask)), -1)[0].astype(bool)
    steps = np.flatnonzero(real)
    order = steps[::-1] if layer.go_backwards else steps
    hidden, cell = (np.asarray(state, np.float64)[0] for state in call.states)
    rows: dict[int, list[np.ndarray]] = {}
    for step in order:
        i, f, g, o = np.split(x[step] @ kernel + hidden @ recurrent + bias, 4)
        i, f, o, g = _sigmoid(i), _sigmoid(f), _sigmoid(o), np.tanh(g)
        cell = f * cell + i * g
        hidden = o * np.tanh(cell)
        rows[int(step)] = [i, f, o, g, cell, hidden]
    empty = np.zeros((0, len(hidden)))
    columns = [
        np.stack([rows[int(step)][part] for step in steps]) if len(steps) else empty
        for part in range(6)
    ]
    return Gates(name, bool(layer.go_backwards), *columns)


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * values))
