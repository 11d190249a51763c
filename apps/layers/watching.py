"""Sight of what LSTM layers are given while a model runs eagerly, and a way to change it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Call:
    """What one layer was called with.

    Attributes:
        layer: the LSTM.
        x: `(batch, time, features)`, its inputs as the recurrence takes them.
        mask: which steps count, `(batch, time)` or as the layer takes it; None for all.
        states: hidden and cell state before the first step, `(batch or 1, units)`.
    """

    layer: Any
    x: tf.Tensor
    mask: tf.Tensor | None
    states: tuple[tf.Tensor, tf.Tensor]


Watcher = Callable[[Call], tf.Tensor]
_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextlib.contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Call a function before each LSTM that runs eagerly; what it returns replaces the inputs."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


def watched(call: Call) -> tf.Tensor:
    """The inputs of a call, or what a watcher puts in their place."""
    watcher = _watcher.get()
    if watcher is None or not tf.executing_eagerly():
        return call.x
    return watcher(call)
