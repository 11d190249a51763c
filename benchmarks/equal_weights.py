"""Stacks of as many weights as one of LSTMs."""

from __future__ import annotations

from collections.abc import Callable

# Layers of those that stand in residual blocks, as where they were published; one of the others.
DEPTH = {"minlstm": 2, "mlstm": 2, "ssm": 2, "transformer": 2}


def widest(count: Callable[[int], int], wanted: int, low: int, high: int) -> int:
    """The most units, from `low` to below `high`, with which there are at most so many weights.

    Args:
        count: weights at so many units; more units have more.
        wanted: how many there may be.
        low, high: bounds; `low` is not tried.
    """
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) <= wanted else (low, middle)
    return low
