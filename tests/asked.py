"""How the contract asks an application, and what it takes for the same answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from apps.application import Application
from apps.data import Examples
from apps.streams.model import StreamModel
from apps.streams.stream import Stream


def records(examples: Examples) -> list[dict[str, Any]]:
    """Examples as a user would hand them over in Python."""
    names = list(examples.columns)
    return [
        dict(zip(names, row, strict=True))
        for row in zip(*(examples[name] for name in names), strict=True)
    ]


def flat(value: Any) -> list[Any]:
    """The parts of an answer, by name, whether it came from the graph or from `predict`."""
    if isinstance(value, Mapping):
        return [part for name in sorted(value) for part in flat(value[name])]
    if isinstance(value, np.ndarray):
        return [part for item in value.tolist() for part in flat(item)]
    if isinstance(value, list):
        return [part for item in value for part in flat(item)]
    return [value.decode() if isinstance(value, bytes) else value]


def answered(application: Application, raw: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What the served model says of raw inputs."""
    given = {name: tf.constant(values) for name, values in raw.items()}
    return {name: value.numpy() for name, value in application.served(given).items()}


def stepped(application: Application) -> Callable[..., dict[str, np.ndarray]]:
    """One stream through `step`, whose states are handed on from chunk to chunk."""
    states = {
        name: tf.zeros([1, *spec.shape[1:]], spec.dtype)
        for name, spec in application.stream_states().items()
    }

    def send(chunk: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        given = {name: tf.constant(value) for name, value in chunk.items()}
        out = dict(application.step(**given, **states))
        states.update({name: out.pop(name) for name in states})
        return {name: value.numpy()[0] for name, value in out.items()}

    return send


def followed(application: Application) -> Callable[..., dict[str, np.ndarray]]:
    """One stream as the command follows it, compiled where it can be."""
    return Stream(StreamModel.of(application)).send


def streamed(
    send: Callable[..., Mapping[str, np.ndarray]], raw: Mapping[str, np.ndarray], cuts: list[int]
) -> Any:
    """What a stream says of one raw input that is cut into chunks: lists joined, counts added."""
    found: dict[str, Any] = {}
    for start, stop in itertools.pairwise(cuts):
        out = send(
            {
                name: v[:, start:stop] if v.ndim > 1 else np.array([stop - start], v.dtype)
                for name, v in raw.items()
            }
        )
        real = next((int(out[name]) for name in ("steps", "counts") if name in out), None)
        for name, value in out.items():
            if name.startswith("partial"):
                continue
            part = value[:real].tolist() if np.ndim(value) else value
            found[name] = found[name] + part if name in found else part
    return found


def assert_same_answers(one: Any, other: Any) -> None:
    """Equal texts, and numbers equal but for rounding."""
    for a, b in zip(flat(one), flat(other), strict=True):
        if isinstance(a, str):
            assert a == b
        else:
            assert a == pytest.approx(b, rel=1e-6, abs=2e-6)


def rows_that_differ(some: Mapping[str, Any], others: Mapping[str, Any]) -> list[int]:
    """Numbers of the rows in which any of the outputs differs by more than rounding."""
    differ: set[int] = set()
    for name, one in others.items():
        wanted = np.asarray(one)
        # A sum rounds in proportion to its large terms, not to a result that is near zero.
        largest = np.abs(wanted).max(initial=1.0) if wanted.dtype.kind == "f" else 1.0
        close = np.isclose(some[name], wanted, rtol=1e-5, atol=1e-5 * min(largest, 1e3))
        differ |= set(np.flatnonzero(~close.reshape(len(close), -1).all(1)).tolist())
    return sorted(differ)
