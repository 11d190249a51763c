"""Python values to the arrays of a request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from apps.errors import UserError
from apps.serving.client.metadata import Signature, TensorSpec


def columns(inputs: Any, signature: Signature) -> tuple[dict[str, np.ndarray], int]:
    """The arrays of a request for a batch of inputs.

    Args:
        inputs: a list or array with one raw value per input, for a signature of one input; a list
            of dicts of named values; or a dict of named columns.
        signature: what the served model takes.

    Returns:
        Arrays by name, `(batch, …)` of the signature's types, and the size of the batch.

    Raises:
        UserError: names, types or shapes that the signature does not take.
    """
    named = _named(inputs, list(signature.inputs))
    arrays = as_arrays(named, signature)
    sizes = {name: array.shape[0] if array.ndim else None for name, array in arrays.items()}
    counts = set(sizes.values())
    if len(counts) != 1 or None in counts:
        raise UserError(f"inputs: every input needs one value per row; sizes are {sizes}")
    return arrays, counts.pop() or 0


def as_arrays(named: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    """Named values as arrays of the signature's types.

    Raises:
        UserError: missing or unknown names, or values that cannot become such an array.
    """
    missing = sorted(set(signature.inputs) - set(named))
    extra = sorted(set(named) - set(signature.inputs))
    if missing or extra:
        wanted = ", ".join(signature.inputs)
        given = ", ".join(map(str, named)) or "nothing"
        raise UserError(f"inputs: the model takes {wanted}; given were {given}")
    return {name: _array(name, named[name], spec) for name, spec in signature.inputs.items()}


def zeros(spec: TensorSpec) -> np.ndarray:
    """Zeros of a tensor's shape, with 1 for each unknown size; empty texts for strings."""
    shape = tuple(1 if size is None else size for size in spec.shape or ())
    if spec.dtype == np.object_:
        return np.full(shape, b"", np.object_)
    return np.zeros(shape, spec.dtype)


def _named(inputs: Any, names: list[str]) -> Mapping[str, Any]:
    if isinstance(inputs, Mapping):
        return inputs
    if isinstance(inputs, (str, bytes)) or not isinstance(inputs, (Sequence, np.ndarray)):
        raise UserError("inputs: give a list with one entry per input, or a dict of columns")
    rows = inputs
    if any(isinstance(row, Mapping) for row in rows):
        if not all(isinstance(row, Mapping) and set(row) == set(rows[0]) for row in rows):
            raise UserError("inputs: every row needs the same names")
        return {name: [row[name] for row in rows] for name in rows[0]}
    if len(names) != 1:
        raise UserError(f"inputs: the model takes {', '.join(names)}; give a dict for each row")
    return {names[0]: rows}


def _array(name: str, value: Any, spec: TensorSpec) -> np.ndarray:
    if spec.dtype is None:
        raise UserError(f"input '{name}': its data type is not known to this client")
    texts = spec.dtype == np.object_
    array = _texts(name, value) if texts else _numbers(name, value, spec.dtype)
    if spec.shape is not None and array.size and array.ndim != len(spec.shape):
        shape = tuple("?" if size is None else size for size in spec.shape)
        raise UserError(
            f"input '{name}': the model takes shape {_shown(shape)}, given was {array.shape}"
        )
    return array


def _texts(name: str, value: Any) -> np.ndarray:
    array = np.array(value, np.object_)
    encoded = np.empty(array.shape, np.object_)
    for place, text in np.ndenumerate(array):
        if isinstance(text, str):
            try:
                text = text.encode()
            except UnicodeEncodeError:
                raise UserError(f"input '{name}': a text holds half a surrogate pair") from None
        elif not isinstance(text, bytes):
            raise UserError(f"input '{name}': the model takes texts, given was {text!r:.60}")
        encoded[place] = text
    return encoded


def _numbers(name: str, value: Any, dtype: np.dtype) -> np.ndarray:
    try:
        given = np.asarray(value)
        if given.size and not np.can_cast(given.dtype, dtype, casting="same_kind"):
            smaller = given.dtype.kind in "iu" and dtype.kind in "iu"
            if not smaller:
                raise UserError(f"input '{name}': the model takes {dtype}, given was {given.dtype}")
        if dtype.kind in "iu" and given.size:
            limits = np.iinfo(dtype)
            if given.min() < limits.min or given.max() > limits.max:
                raise UserError(f"input '{name}': a number does not fit into {dtype}")
        return np.ascontiguousarray(given.astype(dtype)).reshape(given.shape)
    except UserError:
        raise
    except (ValueError, TypeError, OverflowError):
        raise UserError(
            f"input '{name}': rows of different lengths, or no numbers; the model takes {dtype}"
        ) from None


def _shown(shape: Iterable[Any]) -> str:
    return f"({', '.join(map(str, shape))})"
