"""The entry points of a SavedModel: what each takes and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

PREDICT = "tensorflow/serving/predict"
CLASSIFY = "tensorflow/serving/classify"
STATE = "state_"

Arrays = Mapping[str, Any]


@dataclass(frozen=True)
class Signature:
    """One entry point.

    Attributes:
        inputs: the tensors that it takes, by name and in order.
        call: takes them in that order, gives answers by name.
        method: the kind of request that TensorFlow Serving sends here.
        example: turns a request to `serving_default` and its answer into a request to this entry
            point and the answer expected; returns None for a request that this entry point cannot
            express. None where `export` needs no such request.
        shell: a shell command that prints the body of a request, for the model card.
    """

    inputs: dict[str, tf.TensorSpec]
    call: Callable[..., dict[str, tf.Tensor]]
    method: str = PREDICT
    example: Callable[[Arrays, Arrays], tuple[Arrays, Arrays] | None] | None = None
    shell: str = ""


def named_specs(tensors: Iterable[Any]) -> dict[str, tf.TensorSpec]:
    """Specs of symbolic tensors, by their names."""
    return {
        tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
        for tensor in tensors
    }
