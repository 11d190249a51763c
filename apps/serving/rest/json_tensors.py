"""TensorFlow Serving's JSON and tensors: predict requests in, answers out, row and column form."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo

from apps.serving.errors import Code, ServingError, invalid, unimplemented
from apps.serving.rest.json_values import (
    Infinite,
    decode_base64,
    encode_text,
    excerpt,
    float_tokens,
    is_base64,
    json_type,
    string_token,
    text_token,
)

Form = Literal["row", "column"]
Inputs = Mapping[str, TensorInfo]

MAX_RANK = 64  # NumPy's limit; TensorFlow's own is 254

_NUMBERS = {int, float, Infinite}
_DTYPE_NAMES = {tf.float32: "float", tf.float64: "double"}


def read_inputs(document: Mapping[str, Any], inputs: Inputs) -> tuple[dict[str, np.ndarray], Form]:
    """The input tensors of a predict request.

    Args:
        document: the parsed body, with `instances` (row form) or `inputs` (column form).
        inputs: the signature's inputs by alias.

    Returns:
        Arrays by alias (strings as bytes in object arrays) and the form that the answer must have.

    Raises:
        ServingError: INVALID_ARGUMENT where the values are no tensors of the signature's types.
    """
    if not inputs:
        raise invalid("Failed to get input map for signature: it has no inputs")
    has_rows, has_columns = "instances" in document, "inputs" in document
    if has_rows and has_columns:
        raise invalid(
            f"JSON Value: {excerpt(document)} Not formatted correctly expecting only one of "
            "'inputs' or 'instances' keys to exist"
        )
    if has_rows:
        return _from_rows(document, inputs), "row"
    if has_columns:
        return _from_columns(document["inputs"], inputs), "column"
    raise invalid("Missing 'inputs' or 'instances' key")


def write_outputs(outputs: Mapping[str, np.ndarray], form: Form) -> bytes:
    """The body of a predict answer.

    Args:
        outputs: arrays by alias; a single one is written without its name.
        form: `row` gives `{"predictions": [one entry a row]}`, `column` gives `{"outputs": …}`.

    Returns:
        JSON as UTF-8. Strings of an alias that ends in `_bytes`, and those that are not UTF-8, are
        written as `{"b64": …}`; floats as the shortest decimal that gives the same number.

    Raises:
        ServingError: INVALID_ARGUMENT where the outputs do not share a batch size (row form) or
            have a type that JSON cannot hold.
    """
    if form == "column":
        columns = {name: _nest(name, array, 0)[0] for name, array in outputs.items()}
        return _keyed("outputs", columns.popitem()[1] if len(columns) == 1 else _members(columns))
    batch: int | None = None
    for name, array in outputs.items():
        if not array.ndim:
            raise invalid(f"Tensor name: {name} has no shape information")
        if batch not in (None, len(array)):
            raise invalid(
                f"Tensor name: {name} has inconsistent batch size: {len(array)} expecting: {batch}"
            )
        batch = len(array)
    parts = [_nest(name, array, 1) for name, array in outputs.items()]
    rows: Iterable[str] = parts[0]
    if len(parts) > 1:
        keys = list(outputs)
        rows = (_members(dict(zip(keys, row, strict=True))) for row in zip(*parts, strict=True))
    return _keyed("predictions", "[" + ", ".join(rows) + "]")


def _from_rows(document: Mapping[str, Any], inputs: Inputs) -> dict[str, np.ndarray]:
    rows = document["instances"]
    if not isinstance(rows, list):
        raise invalid(f"JSON Value: {excerpt(document)} Excepting 'instances' to be an list/array")
    if not rows:
        raise invalid(f"JSON Value: {excerpt(document)} No values in 'instances' array")
    named = _is_named(rows[0])
    if not named and len(inputs) > 1:
        raise invalid(
            "instances is a plain list, but expecting list of objects as multiple input tensors "
            "required as per tensorinfo_map"
        )
    for place, row in enumerate(rows):
        if _is_named(row) != named:
            expected, got = ("object", "list") if named else ("value/list", "object")
            raise invalid(f"Expecting {expected} but got {got} at item {place} of input list")
        if named and row.keys() != inputs.keys():
            raise invalid(
                f"Failed to process element: {place} of 'instances' list. JSON object: "
                f"{excerpt(row)} keys must be equal to: {','.join(sorted(inputs))}"
            )
    tensors = {}
    for name, info in inputs.items():
        column = [row[name] for row in rows] if named else rows
        try:
            tensors[name] = to_array(column, info)
        except ServingError as error:
            if error.code is not Code.INVALID_ARGUMENT:
                raise
            raise _blame_row(column, info, f" key: {name}" if named else "", error) from None
    return tensors


def _blame_row(
    column: Sequence[Any], info: TensorInfo, key: str, error: ServingError
) -> ServingError:
    """The complaint of TensorFlow Serving about the first row that does not fit."""
    size, shape = 0, ""
    for place, value in enumerate(column):
        try:
            array = to_array(value, info)
        except ServingError as own:
            reason = own.message
        else:
            form = "[" + ",".join(map(str, array.shape)) + "]"
            if not place:
                size, shape = array.size, form
            if array.size != size:
                reason = f"Expecting tensor size: {size} but got: {array.size}"
            elif form != shape:
                reason = f"Expecting shape {shape} but got: {form}"
            else:
                continue
        return invalid(
            f"Failed to process element: {place}{key} of 'instances' list. "
            f"Error: INVALID_ARGUMENT: {reason}"
        )
    return error


def _from_columns(value: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    if not _is_named(value):
        if len(inputs) > 1:
            raise invalid(
                "inputs is a plain value/list, but expecting an object as multiple input tensors "
                "required as per tensorinfo_map"
            )
        (name,) = inputs
        return {name: to_array(value, inputs[name])}
    for name in inputs:
        if name not in value:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    if extra := sorted(value.keys() - inputs.keys()):
        raise invalid(
            f"input size does not match signature: {len(value)}!={len(inputs)}. "
            f"Sent extra: {{{','.join(map(excerpt, extra))}}}. Missing but required: {{}}."
        )
    return {name: to_array(value[name], info) for name, info in inputs.items()}


def _is_named(value: Any) -> bool:
    return isinstance(value, dict) and not is_base64(value)


def to_array(value: Any, info: TensorInfo) -> np.ndarray:
    """A JSON value, nested to any depth, as an array of a signature's type.

    Raises:
        ServingError: INVALID_ARGUMENT where lists are ragged or a value is of another type or out
            of range; UNIMPLEMENTED for a type that JSON cannot carry.
    """
    # Level by level instead of value by value: each step runs in C over all of them, and
    # no depth of nesting reaches the interpreter's stack.
    shape: list[int] = []
    level = [value]
    while list in (types := set(map(type, level))):
        if len(types) > 1:
            raise _mixed_level(level, len(shape))
        size = len(level[0])
        if set(map(len, level)) != {size}:
            wrong = next(len(part) for part in level if len(part) != size)
            raise invalid(
                f"Encountered list at unexpected size: {wrong} at level: {len(shape)} "
                f"expected size: {size}"
            )
        shape.append(size)
        if len(shape) > MAX_RANK:
            raise invalid(f"Lists are nested deeper than {MAX_RANK} levels")
        level = list(itertools.chain.from_iterable(level))
    return _convert(level, types, tf.dtypes.as_dtype(info.dtype)).reshape(shape)


def _mixed_level(level: Sequence[Any], depth: int) -> ServingError:
    if not isinstance(level[0], list):
        return invalid(f"Encountered list at unexpected level: {depth} expected < {depth}")
    stray = next(part for part in level if not isinstance(part, list))
    return invalid(
        f"JSON Value: {excerpt(stray)} found at incorrect level: {depth + 1} in the JSON DOM. "
        f"Expected at level: {depth + 2}"
    )


def _convert(values: list[Any], types: set[type], dtype: tf.DType) -> np.ndarray:
    """A flat list as an array; `types` are those that occur in it."""
    if dtype == tf.string:
        return _strings(values, types)
    if dtype == tf.bool:
        _check(values, types, {bool}, dtype)
        return np.array(values, dtype=np.bool_)
    if dtype in (tf.float32, tf.float64):
        _check(values, types, _NUMBERS, dtype)
        return _floats(values, types, dtype)
    if dtype.is_integer and not dtype.is_quantized and dtype.size in (1, 2, 4, 8):
        _check(values, types, {int}, dtype)
        try:
            wide = np.array(values, dtype=np.uint64 if dtype == tf.uint64 else np.int64)
            if not wide.size or (wide.min() >= dtype.min and wide.max() <= dtype.max):
                return wide.astype(dtype.as_numpy_dtype, copy=False)
        except OverflowError:
            pass
        raise _type_error(next(v for v in values if not dtype.min <= v <= dtype.max), dtype)
    shown = excerpt(values[0]) if values else "[]"
    raise unimplemented(f"Conversion of JSON Value: {shown} to type: {dtype.name}")


def _strings(values: list[Any], types: set[type]) -> np.ndarray:
    _check(values, types, {str, dict}, tf.string)
    array = np.empty(len(values), dtype=object)
    if dict not in types:
        try:
            array[:] = [value.encode() for value in values]
            return array
        except UnicodeEncodeError:
            pass
    for place, value in enumerate(values):
        if isinstance(value, str):
            array[place] = encode_text(value)
        elif is_base64(value):
            array[place] = decode_base64(value)
        else:
            raise invalid(f"JSON Value: {excerpt(value)} not formatted correctly for base64 data")
    return array


def _floats(values: list[Any], types: set[type], dtype: tf.DType) -> np.ndarray:
    name = _DTYPE_NAMES[dtype]
    largest = float(dtype.max)
    whole = 2 ** (np.finfo(dtype.as_numpy_dtype).nmant + 1) - 1  # every integer up to it is exact
    for value in values if int in types else ():
        if isinstance(value, int) and abs(value) > whole:
            raise _lossy(value, name)
    array = np.array(values, dtype=np.float64)
    if any(type(values[place]) is float for place in np.flatnonzero(np.isinf(array))):
        raise invalid("JSON Parse error: Number too big to be stored in double.")
    beyond = np.isfinite(array) & (np.abs(array) > largest)
    if beyond.any():
        raise _lossy(values[int(beyond.argmax())], name)
    return array.astype(dtype.as_numpy_dtype, copy=False)


def _check(values: list[Any], types: set[type], allowed: set[type], dtype: tf.DType) -> None:
    if not types <= allowed:
        raise _type_error(next(v for v in values if type(v) not in allowed), dtype)


def _type_error(value: Any, dtype: tf.DType) -> ServingError:
    return invalid(
        f"JSON Value: {excerpt(value)} Type: {json_type(value)} is not of expected type: "
        f"{_DTYPE_NAMES.get(dtype, dtype.name)}"
    )


def _lossy(value: float, target: str) -> ServingError:
    return invalid(
        f"Cannot convert JSON value: {excerpt(value)} to {target} without loss of precision."
    )


def _nest(name: str, array: np.ndarray, axis: int) -> list[str]:
    """JSON of every part of an array along its first `axis` axes."""
    parts = _tokens(name, array)
    for depth in range(array.ndim - 1, axis - 1, -1):
        size = array.shape[depth]
        parts = [
            "[" + ", ".join(parts[start * size : (start + 1) * size]) + "]"
            for start in range(math.prod(array.shape[:depth]))
        ]
    return parts


def _tokens(name: str, array: np.ndarray) -> list[str]:
    """JSON of every element, in order."""
    flat = array.ravel()
    kind = flat.dtype.kind
    if kind in "OSU":
        return [string_token(value, name.endswith("_bytes")) for value in flat.tolist()]
    if kind == "b":
        return ["true" if value else "false" for value in flat.tolist()]
    if kind in "iu":
        return list(map(str, flat.tolist()))
    if kind == "f" or flat.dtype == tf.bfloat16.as_numpy_dtype:
        return float_tokens(flat)
    raise invalid(
        f"Failed to write JSON value for tensor type: {tf.dtypes.as_dtype(flat.dtype).name}"
    )


def _members(columns: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{text_token(name)}: {value}" for name, value in columns.items()) + "}"


def _keyed(key: str, value: str) -> bytes:
    return f'{{"{key}": {value}}}'.encode()
