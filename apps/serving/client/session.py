"""A stream fed chunk by chunk, its state carried from one request to the next."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

from apps.answers import answers
from apps.errors import UserError
from apps.serving.client.calls import CallError
from apps.serving.client.metadata import ModelMetadata, Signature
from apps.serving.client.values import columns, zeros

STATE = "state_"
Arrays = dict[str, np.ndarray]
Ask = Callable[[Arrays], Arrays]


class StreamingSession:
    """One stream; the server keeps nothing of it between two chunks.

    The version that the session begins with answers all of it: the state of one version means
    nothing to another. A chunk whose answer was lost may be sent again, since the state moves on
    only with an answer. One thread at a time.

    Args:
        ask: gives the output arrays for input arrays, from the version and signature below.
        metadata: of the version that answers.
        signature: takes a chunk and states named `state_…`, gives answers and the new states.

    Raises:
        UserError: the signature does not stream.
    """

    def __init__(self, ask: Ask, metadata: ModelMetadata, signature: str) -> None:
        taken = metadata.signature(signature)
        states = [name for name in taken.inputs if name.startswith(STATE)]
        lost = [name for name in states if name not in taken.outputs]
        place = f"{metadata.model} version {metadata.version}: signature '{signature}'"
        if not states:
            raise UserError(f"{place} carries no state; use predict")
        if lost:
            raise UserError(f"{place} takes {lost[0]} but does not give it back; export it again")
        self.model, self.version = metadata.model, metadata.version
        self._ask = ask
        chunk = {name: spec for name, spec in taken.inputs.items() if name not in states}
        self._chunk = Signature(chunk, {})
        self._states = {name: zeros(taken.inputs[name]) for name in states}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._states = {}

    @property
    def states(self) -> dict[str, np.ndarray]:
        """The states after the last answer, by name, `(1, …)`; zeros before the first."""
        return dict(self._states)

    def send(self, chunk: Any) -> dict[str, Any]:
        """The answer to the next chunk of the stream.

        Args:
            chunk: one value without a batch axis for a signature of one input beside its states,
                `(time, …)`; else a dict of named values.

        Returns:
            Python values by name.

        Raises:
            UserError: a chunk that the signature does not take.
            CallError: the server refused, or did not answer in time; `NOT_FOUND` when it no longer
                has the version, which ends the stream.
        """
        if not self._states:
            raise UserError(f"{self.model}: the stream is closed; start a new session")
        inputs, _ = columns([chunk], self._chunk)
        try:
            outputs = self._ask({**inputs, **self._states})
        except CallError as error:
            if error.code != "NOT_FOUND":
                raise
            raise CallError(
                "NOT_FOUND",
                f"{self.model} version {self.version}, which this stream began with, is no longer "
                f"served ({error.message}); start a new session",
            ) from None
        states = {name: outputs.pop(name) for name in self._states}
        self._states = states
        return answers(outputs, 1)[0]
