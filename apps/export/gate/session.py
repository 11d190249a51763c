"""A version run with the loader and the session that TensorFlow Serving uses."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from apps.export.gate.answers import Answer
from apps.export.gate.graph import SERVE, Version
from apps.export.gate.requests import Request
from apps.export.gate.verdict import RefusedError


def answers_in_session(
    version: Version, requests: Sequence[Request], asking: Callable[[str], None]
) -> list[Answer]:
    """Load a version and run requests, one after the other.

    Args:
        version: the opened version.
        requests: what to ask.
        asking: called with the next step in words, in case this process does not survive it.

    Returns:
        An answer for each request.

    Raises:
        RefusedError: the version cannot be loaded.
    """
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        asking("loading the model")
        try:
            tf.compat.v1.saved_model.load(session, [SERVE], os.fspath(version.folder))
        # The loader's Python and C++ parts raise errors of several kinds: OpError, ValueError,
        # KeyError.
        except Exception as error:
            raise RefusedError(*_load_failure(error)) from error
        answers = []
        for request in requests:
            asking(str(request))
            answers.append(_run(session, request))
        return answers


def _run(session: tf.compat.v1.Session, request: Request) -> Answer:
    try:
        values = session.run(request.outputs, request.inputs)
    except tf.errors.OpError as error:
        return Answer(code=error.error_code, message=error.message)
    except (TypeError, ValueError) as error:
        return Answer(code=tf.errors.INVALID_ARGUMENT, message=str(error))
    return Answer({name: _array(value) for name, value in values.items()})


def _array(value: object) -> np.ndarray:
    # A session gives a single text as `bytes`, which NumPy would turn into a fixed-width array.
    return np.array(value, dtype=object) if isinstance(value, bytes) else np.asarray(value)


def _load_failure(error: Exception) -> tuple[str, str]:
    message = error.message if isinstance(error, tf.errors.OpError) else str(error)
    reason = " ".join(message.split())[:300]
    if "Op type not registered" in message:
        operation = message.partition("'")[2].partition("'")[0]
        return (
            f"uses the operation {operation}, which TensorFlow does not have",
            "build the model from TensorFlow's own operations",
        )
    return f"cannot be loaded: {reason}", "export or copy the model again"
