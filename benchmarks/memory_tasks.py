"""Made sequences whose answer lies far back, or hangs on every step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]
Draw = Callable[[np.random.Generator, int], Batch]
_SYMBOLS, _COPIED = 8, 10
# Even permutations of five things: the smallest group whose products need one step after another.
_FIVE = 5


@dataclass(frozen=True)
class Problem:
    """What is to be learnt.

    Attributes:
        draw: inputs `(rows, steps, features)` float32 and targets: `(rows, 1)` float32 for a sum,
            `(rows, steps)` int32 for classes, -1 where nothing is asked.
        features: of a step.
        classes: 0 where a sum is asked for.
        test: rows that are measured on.
        longer: the same with longer sequences, which are never learnt from; None where there is
            none.
        solved: mean squared error, or share of wrong answers, below which it counts as solved.
        naive: the same figure of the best constant answer.
    """

    draw: Draw
    features: int
    classes: int
    test: Batch
    solved: float
    naive: float
    longer: Batch | None = None


def problems(lags: tuple[int, ...]) -> dict[str, Callable[[], Problem]]:
    """Every problem by name, made when it is asked for.

    Args:
        lags: steps over which something has to be remembered.
    """
    found: dict[str, Callable[[], Problem]] = {
        "parity": lambda: _tracked(_parity, 2, 2, 40, 160),
        "permutations of five": lambda: _tracked(_products, 2, 60, 32, 128),
        "digits": lambda: _digits(permuted=False),
        "digits, permuted": lambda: _digits(permuted=True),
    }
    for lag in lags:
        found[f"adding, {lag} steps"] = partial(_adding, lag)
        found[f"copy, {lag} steps"] = partial(_copying, lag)
    return found


def _test(draw: Draw, rows: int = 1000) -> Batch:
    return draw(np.random.default_rng(12345), rows)


def _adding(steps: int) -> Problem:
    """Hochreiter & Schmidhuber 1997, section 5.4: the sum of two marked numbers."""

    def draw(random: np.random.Generator, rows: int) -> Batch:
        values = random.random((rows, steps), np.float32)
        marks = np.zeros((rows, steps), np.float32)
        row, half = np.arange(rows), steps // 2
        places = random.integers(0, half, rows), random.integers(half, steps, rows)
        for place in places:
            marks[row, place] = 1.0
        total = sum(values[row, place] for place in places)
        return np.stack([values, marks], 2), np.asarray(total, np.float32)[:, None]

    return Problem(draw, 2, 0, _test(draw), solved=0.01, naive=1 / 6)


def _copying(lag: int) -> Problem:
    """Hochreiter & Schmidhuber 1997, as Arjovsky et al. 2016, section 5.1, have it."""

    def draw(random: np.random.Generator, rows: int) -> Batch:
        steps = lag + 2 * _COPIED
        ids = np.full((rows, steps), _SYMBOLS)
        said = random.integers(0, _SYMBOLS, (rows, _COPIED))
        ids[:, :_COPIED] = said
        ids[:, lag + _COPIED - 1] = _SYMBOLS + 1
        target = np.full((rows, steps), -1, np.int32)
        target[:, -_COPIED:] = said
        return np.eye(_SYMBOLS + 2, dtype=np.float32)[ids], target

    naive = 1 - 1 / _SYMBOLS
    return Problem(draw, _SYMBOLS + 2, _SYMBOLS, _test(draw, 200), solved=0.01, naive=naive)


def _digits(permuted: bool) -> Problem:
    """Optical digits of 8 x 8 points (UCI), point by point, as Le et al. 2015 read MNIST."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(64) if permuted else np.arange(64)
    shuffled = np.random.default_rng(1).permutation(len(images))
    points = (images[shuffled][:, order, None] / 16).astype(np.float32)
    target = np.full((len(images), 64), -1, np.int32)
    target[:, -1] = labels[shuffled]

    def draw(random: np.random.Generator, rows: int) -> Batch:
        chosen = random.integers(0, 1400, rows)
        return points[chosen], target[chosen]

    test = points[1400:], target[1400:]
    return Problem(draw, 1, 10, test, solved=0.05, naive=0.9)


def _tracked(
    answers: Callable[[np.ndarray], np.ndarray], symbols: int, classes: int, steps: int, longer: int
) -> Problem:
    """A state is asked for at every step."""

    def drawn(random: np.random.Generator, rows: int, steps: int) -> Batch:
        ids = random.integers(0, symbols, (rows, steps))
        return np.eye(symbols, dtype=np.float32)[ids], answers(ids).astype(np.int32)

    return Problem(
        lambda random, rows: drawn(random, rows, steps),
        symbols,
        classes,
        drawn(np.random.default_rng(12345), 500, steps),
        solved=0.01,
        naive=1 - 1 / classes,
        longer=drawn(np.random.default_rng(54321), 200, longer),
    )


def _parity(ids: np.ndarray) -> np.ndarray:
    """Whether the ones so far are odd in number."""
    return np.cumsum(ids, 1) % 2


def _products(ids: np.ndarray) -> np.ndarray:
    """The product of permutations so far: Merrill et al. 2024, "The illusion of state", section 4.

    Two generators of the alternating group of degree five: a cycle of three, and one of five.
    """
    generators = np.array([[1, 2, 0, 3, 4], [1, 2, 3, 4, 0]])
    number: Mapping[tuple[int, ...], int] = _numbered(generators)
    now = np.tile(np.arange(_FIVE), (len(ids), 1))
    found = np.zeros(ids.shape, np.int64)
    for step in range(ids.shape[1]):
        now = np.take_along_axis(now, generators[ids[:, step]], 1)
        found[:, step] = [number[tuple(row)] for row in now.tolist()]
    return found


def _numbered(generators: np.ndarray) -> dict[tuple[int, ...], int]:
    """Every product of the generators, numbered."""
    found = {tuple(range(_FIVE)): 0}
    waiting = list(found)
    for now in waiting:
        for generator in generators:
            after = tuple(now[place] for place in generator)
            if after not in found:
                found[after] = len(found)
                waiting.append(after)
    return found
