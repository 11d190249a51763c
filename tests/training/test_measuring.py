"""What is measured: in bounded memory, in the order of the units, blocks drawn together."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from apps.configuration import ApplicationConfig
from apps.data import Examples
from apps.tasks.classification import ClassAnswers, Classification
from apps.training.measuring import intervals_of, measured
from apps.training.prediction import Predicted

UNITS, CLASSES, ROWS = 20_000, 2000, 80


def classification(classes: int) -> Classification:
    labels = [str(number) for number in range(classes)]
    answers = {"answers": ClassAnswers(labels, name="answers")}
    return Classification("label").bound(ApplicationConfig(), 0, answers)


def test_what_is_kept_of_outputs_does_not_grow_with_them() -> None:
    draw = np.random.default_rng(0)
    target = draw.integers(0, CLASSES, UNITS).astype(np.int32)
    noise = draw.standard_normal((ROWS, CLASSES), np.float32)
    outputs: list[weakref.ref[np.ndarray]] = []
    alive: list[int] = []

    def predictor(view: Any) -> Iterator[Predicted]:
        """A model that is right about odd units."""
        for units in np.array_split(draw.permutation(UNITS), UNITS // ROWS):
            logits = noise[: len(units)].copy()
            logits[np.arange(len(units)), (target[units] + (units + 1) % 2) % CLASSES] += 30
            alive.append(sum(output() is not None for output in outputs))
            outputs.append(weakref.ref(logits))
            yield Predicted(units, {"target": target[units]}, logits)

    application: Any = SimpleNamespace(task=classification(CLASSES))
    asked: Any = predictor
    view: Any = None
    found = measured(application, asked, view, None).statistics
    assert max(alive) <= 2, "outputs are let go once they are looked at"
    assert all(array.base is None for array in found.values())
    assert sum(array.nbytes for array in found.values()) <= 32 * UNITS
    np.testing.assert_array_equal(found["truth"], target)
    np.testing.assert_array_equal(found["predicted"] == target, np.arange(UNITS) % 2 == 1)
    assert application.task.measure(found)["accuracy"] == 0.5


@pytest.mark.parametrize("name", ["patient {}", 7])
def test_units_of_a_block_are_drawn_together(name: Any) -> None:
    """Units that are right or wrong with their whole block say less than as many others."""
    blocks, size = 40, 25
    draw = np.random.default_rng(1)
    hit = np.repeat(draw.random(blocks) < 0.5, size)
    zeros = np.zeros(blocks * size)
    statistics: dict[str, np.ndarray] = {
        "truth": zeros.astype(np.int32),
        "predicted": np.where(hit, 0, 1).astype(np.int32),
        "log_probability": zeros,
        "confidence": zeros,
    }
    of_block = [name.format(i) if isinstance(name, str) else name * i for i in range(blocks)]
    column = np.repeat(np.array(of_block, object), size)
    order = draw.permutation(blocks * size)
    statistics = {key: value[order] for key, value in statistics.items()}
    places = [str(row) for row in order]
    task = classification(2)

    def width(columns: dict[str, Any]) -> float:
        units = Examples(columns, places, "series")
        low, high = intervals_of(task, statistics, units, seed=3)["accuracy"]
        return high - low

    alone, together = width({}), width({"block": list(column[order])})
    assert together / alone == pytest.approx(np.sqrt(size), rel=0.25)
