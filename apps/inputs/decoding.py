"""How a language model's text goes on: options with their defaults, checked, as tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from apps.configuration import Options, fixed
from apps.data import Examples
from apps.errors import UserError
from apps.layers.language.generation import MOST_TOKENS, OPTIONS

NUMBERS = ("temperature", "top_k", "top_p", "max_tokens", "seed")


@dataclass(frozen=True)
class Decoding(Options):
    """How a text goes on.

    `temperature` divides the logits, and 0 takes the likeliest token each time; `top_k` leaves only
    so many of the likeliest tokens, 0 all; `top_p` leaves the likeliest ones whose probabilities
    add up to it; `max_tokens` is how long an answer is at most; `stop` is a text at which it ends,
    `\\n` in it being a line end.
    """

    temperature: float = fixed(0.8, low=0.0, high=100.0)
    top_k: int = fixed(0, low=0, high=10_000_000)
    top_p: float = fixed(1.0, low=0.0, high=1.0)
    max_tokens: int = fixed(200, low=0, high=MOST_TOKENS)
    stop: str = fixed("")


@dataclass(frozen=True)
class SeededDecoding(Options):
    """How a text goes on, as in training where nothing is said.

    `temperature` divides the logits, and 0 takes the likeliest token each time; `top_k` leaves only
    so many of the likeliest tokens, 0 all; `top_p` leaves the likeliest ones whose probabilities
    add up to it; `max_tokens` is how long an answer is at most; `seed` decides what is drawn.
    """

    temperature: float | None = fixed(None, low=0.0, high=100.0)
    top_k: int | None = fixed(None, low=0, high=10_000_000)
    top_p: float | None = fixed(None, low=0.0, high=1.0)
    max_tokens: int | None = fixed(None, low=0, high=MOST_TOKENS)
    seed: int = fixed(0, low=0, high=2**31 - 1)


def defaults_of(config: Any) -> dict[str, Any]:
    """What holds where a request says nothing, by name; JSON values."""
    found = {name: getattr(config, name) for name in Decoding.ranges()}
    return {**found, "stop": config.stop.replace("\\n", "\n"), "seed": 0}


def options_of(examples: Examples, defaults: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """What is said of how each text goes on, the defaults where nothing is.

    Raises:
        UserError: a number is out of its range; names row and range.
    """
    ranges, found = SeededDecoding.ranges(), {}
    for name in NUMBERS:
        usual, dtype = defaults[name], OPTIONS[name][0].as_numpy_dtype
        given = examples[name] if name in examples else [usual] * len(examples)
        # Not a number is what an empty cell is read as.
        values = np.array([usual if v is None or v != v else v for v in given], np.float64)
        extent, whole = ranges[name], "whole " if dtype == np.int32 else ""
        for row, value in enumerate(values):
            if not extent.low <= value <= extent.high or (whole and value != int(value)):
                raise UserError(
                    f"{examples.places[row]}: {name} is {value:g}; give a {whole}number from "
                    f"{extent.low:g} to {extent.high:,.0f}"
                )
        found[name] = values.astype(dtype)
    stops = examples["stop"] if "stop" in examples else [""] * len(examples)
    found["stop"] = np.array([[stop or defaults["stop"]] for stop in stops], object)
    found["stop"] = found["stop"].reshape(len(examples), 1)
    return {name: found[name] for name in OPTIONS}


def usual_options(defaults: Mapping[str, Any], rows: Any) -> dict[str, tf.Tensor]:
    """The defaults for each of some rows, inside the graph."""
    return {
        name: tf.broadcast_to(tf.constant(defaults[name], dtype), [rows, *[1] * len(shape)])
        for name, (dtype, shape) in OPTIONS.items()
    }
