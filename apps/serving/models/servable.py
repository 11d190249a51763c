"""One loaded version of a model: a SavedModel in a session, as TensorFlow Serving holds it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.types_pb2 import DataType
from tensorflow.core.protobuf import config_pb2
from tensorflow.core.protobuf.meta_graph_pb2 import MetaGraphDef, SignatureDef
from tensorflow.python.framework.ops import dismantle_graph
from tensorflow.python.util.deprecation import silence

from apps.errors import UserError
from apps.export.golden import MOST_RECORDS, WARM_UP, read_records
from apps.serving.errors import (
    ServingError,
    code_of,
    exhausted,
    internal,
    invalid,
    not_found,
    precondition,
    unavailable,
)

DEFAULT_SIGNATURE = "serving_default"
_METHODS = {f"tensorflow/serving/{method}" for method in ("predict", "classify", "regress")}


@dataclass(frozen=True)
class Request:
    """A request that a servable has checked.

    Attributes:
        signature: the signature's name.
        inputs: an array for every input of the signature, in the order of their names.
        outputs: the names of the outputs that are asked for.
    """

    signature: str
    inputs: dict[str, np.ndarray]
    outputs: tuple[str, ...]


class Servable:
    """A version that answers requests from many threads at once.

    Attributes:
        name: the model's name.
        version: the version's number.
        signatures: the SavedModel's signatures by name.
    """

    def __init__(
        self, name: str, version: int, folder: Path, session: Any, meta: MetaGraphDef
    ) -> None:
        self.name = name
        self.version = version
        self.signatures: Mapping[str, SignatureDef] = dict(meta.signature_def)
        self._folder = folder
        self._session = session
        self._callables: dict[tuple[str, tuple[str, ...]], Callable[..., list[np.ndarray]]] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: str | os.PathLike[str], name: str, version: int) -> Servable:
        """Load a version through the loader that TensorFlow Serving uses.

        Args:
            folder: a SavedModel with the tag `serve`.
            name: the model's name.
            version: the version's number.

        Raises:
            ServingError: the folder holds no SavedModel that can be loaded.
        """
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph)
        try:
            with graph.as_default(), silence():
                meta = tf.compat.v1.saved_model.load(
                    session, [tf.saved_model.SERVING], os.fspath(folder)
                )
            return cls(name, version, Path(folder), session, meta)
        except Exception as error:
            session.close()
            dismantle_graph(graph)
            if isinstance(error, OSError | ValueError | RuntimeError):
                raise not_found(f"{folder}: {error}") from error
            raise _failure(error) from error

    def check(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> Request:
        """Check a request against its signature, as TensorFlow Serving does.

        Args:
            signature: the signature's name; "" is `serving_default`.
            inputs: arrays by input; texts as object arrays of `bytes`.
            outputs: the outputs to give; none or empty for all.

        Raises:
            ServingError: with TensorFlow Serving's code for what does not fit.
        """
        key = signature or DEFAULT_SIGNATURE
        if key not in self.signatures:
            raise precondition(f'Serving signature key "{key}" not found.')
        found = self.signatures[key]
        if found.method_name not in _METHODS:
            raise internal(
                "Expected prediction signature method_name to be one of "
                f"{{{', '.join(sorted(_METHODS))}}}. Was: {found.method_name}"
            )
        _check_names(found, inputs)
        given = {
            name: inputs[name] if name in inputs else tf.make_ndarray(found.defaults[name])
            for name in sorted(found.inputs)
        }
        _check_tensors(found, given)
        return Request(key, given, _wanted(found, outputs or ()))

    def compute(self, request: Request) -> dict[str, np.ndarray]:
        """Run a checked request; blocks, and lets other threads run meanwhile.

        Returns:
            The outputs by name; texts as object arrays of `bytes`.

        Raises:
            ServingError: what TensorFlow says against it; `INTERNAL` for anything unforeseen.
        """
        try:
            run = self._callable(request.signature, request.outputs)
            results = run(*request.inputs.values())
        except Exception as error:
            raise _failure(error) from error
        tensors = self.signatures[request.signature].outputs
        at = {name: n for n, name in enumerate(_fetches(tensors, request.outputs))}
        return {name: results[at[tensors[name].name]] for name in request.outputs}

    def run(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """Check a request and compute it; see `check` and `compute`."""
        return self.compute(self.check(signature, inputs, outputs))

    def warm_up(self) -> int:
        """Run the version's own warm-up requests, where it carries any.

        Returns:
            How many there were.

        Raises:
            ServingError: a record is damaged, fails, or is one too many; TensorFlow Serving would
                refuse the version.
        """
        file = self._folder / WARM_UP
        number = 0
        if not file.is_file():
            return number
        try:
            for log in read_records(file):
                number += 1
                if number > MOST_RECORDS:
                    raise invalid(
                        f"Number of warmup records exceeds the maximum ({MOST_RECORDS}) at {file}"
                    )
                asked = log.predict_log.request
                arrays = {name: tf.make_ndarray(proto) for name, proto in asked.inputs.items()}
                self.run(asked.model_spec.signature_name, arrays, asked.output_filter)
        except UserError as error:
            raise ServingError(code_of(tf.errors.DATA_LOSS), str(error)) from error
        return number

    def close(self) -> None:
        """Release the memory; running requests are cancelled, later ones are refused."""
        with self._lock:
            self._callables.clear()
            session, self._session = self._session, None
        if session is not None:
            session.close()
            # A graph refers to itself; to collect it as garbage would stop all threads for 0.3 s.
            dismantle_graph(session.graph)

    def _callable(
        self, signature: str, outputs: tuple[str, ...]
    ) -> Callable[..., list[np.ndarray]]:
        key = (signature, outputs)
        with self._lock:
            if key not in self._callables:
                if self._session is None:
                    raise unavailable(f"version {self.version} of {self.name} is unloaded")
                tensors = self.signatures[signature]
                options = config_pb2.CallableOptions(
                    feed=[tensors.inputs[name].name for name in sorted(tensors.inputs)],
                    fetch=_fetches(tensors.outputs, outputs),
                )
                # Costs a fifth of Session.run or Session.make_callable per request.
                self._callables[key] = self._session._make_callable_from_options(options)
            return self._callables[key]


def _fetches(tensors: Mapping[str, Any], outputs: Sequence[str]) -> list[str]:
    """The tensors of outputs, each once: a session refuses to give one twice."""
    return list(dict.fromkeys(tensors[name].name for name in outputs))


def _check_names(signature: SignatureDef, inputs: Mapping[str, np.ndarray]) -> None:
    known, sent = set(signature.inputs), set(inputs)
    extra, missing = sorted(sent - known), sorted(known - sent - set(signature.defaults))
    if extra or missing:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(known)} "
            f"len({{{','.join(sorted(sent))}}}) != len({{{','.join(sorted(known))}}}). "
            f"Sent extra: {{{','.join(extra)}}}. Missing but required: {{{','.join(missing)}}}."
        )


def _check_tensors(signature: SignatureDef, inputs: Mapping[str, np.ndarray]) -> None:
    # The session numbers its arguments in the order of the tensors' names.
    by_tensor = sorted(inputs, key=lambda name: signature.inputs[name].name)
    for number, name in enumerate(by_tensor):
        wanted = signature.inputs[name].dtype
        given = inputs[name].dtype
        got = tf.string if given.kind in "OSU" else tf.as_dtype(given)
        if got.as_datatype_enum != wanted:
            raise invalid(
                f"Expects arg[{number}] to be {_name(wanted)} but "
                f'{_name(got.as_datatype_enum)} is provided (input "{name}")'
            )
        shape = tf.TensorShape(signature.inputs[name].tensor_shape)
        if not shape.is_compatible_with(inputs[name].shape):
            raise invalid(
                f'input "{name}" must have shape {shape}; {inputs[name].shape} is provided'
            )


def _name(datatype: int) -> str:
    """TensorFlow's own name of a data type: `float`, where Python says `float32`."""
    return DataType.Name(datatype).removeprefix("DT_").lower()


def _wanted(signature: SignatureDef, outputs: Sequence[str]) -> tuple[str, ...]:
    for number, name in enumerate(outputs):
        if name not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {name} Outputs expected to be in "
                f"the set {{{','.join(sorted(signature.outputs))}}}."
            )
        if name in outputs[:number]:
            raise invalid(f"duplicate output tensor alias: {name}")
    return tuple(outputs) or tuple(sorted(signature.outputs))


def _failure(error: Exception) -> ServingError:
    if isinstance(error, ServingError):
        return error
    if isinstance(error, tf.errors.OpError):
        return ServingError(code_of(error.error_code), error.message)
    if isinstance(error, MemoryError):
        return exhausted(f"not enough memory for the request: {error}")
    return internal(f"{type(error).__name__}: {error}")
