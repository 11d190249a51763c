"""Arrays as TensorFlow's `TensorProto`, without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.serving.client.messages import ENUMS, TensorProto

_NUMBERS = ENUMS["DataType"]
_DTYPES = {
    "DT_FLOAT": (np.float32, "float_val"),
    "DT_DOUBLE": (np.float64, "double_val"),
    "DT_INT32": (np.int32, "int_val"),
    "DT_UINT8": (np.uint8, "int_val"),
    "DT_INT16": (np.int16, "int_val"),
    "DT_INT8": (np.int8, "int_val"),
    "DT_STRING": (np.object_, "string_val"),
    "DT_INT64": (np.int64, "int64_val"),
    "DT_BOOL": (np.bool_, "bool_val"),
    "DT_UINT16": (np.uint16, "int_val"),
    "DT_HALF": (np.float16, "half_val"),
    "DT_UINT32": (np.uint32, "uint32_val"),
    "DT_UINT64": (np.uint64, "uint64_val"),
}
_BY_NUMBER = {_NUMBERS[name]: (np.dtype(kind), field) for name, (kind, field) in _DTYPES.items()}
_BY_DTYPE = {dtype: number for number, (dtype, _) in _BY_NUMBER.items()}


def dtype_of(number: int) -> np.dtype | None:
    """The NumPy type of a TensorFlow data type; strings are objects, None where there is none."""
    known = _BY_NUMBER.get(number)
    return known[0] if known else None


def encode(array: np.ndarray) -> Any:
    """An array as a `TensorProto`.

    Args:
        array: numbers, or objects that are `bytes`, of any shape.
    """
    tensor = TensorProto(dtype=_BY_DTYPE[array.dtype])
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    if array.dtype == np.object_:
        tensor.string_val.extend(array.ravel().tolist())
    else:
        tensor.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return tensor


def decode(tensor: Any) -> np.ndarray:
    """The array in a `TensorProto`, in either of its two forms.

    Raises:
        ValueError: a data type that this client does not know, or values that do not fill it.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    known = _BY_NUMBER.get(tensor.dtype)
    if known is None:
        raise ValueError(f"data type {tensor.dtype} is not known to this client")
    dtype, field = known
    if tensor.tensor_content:
        little = np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<"))
        return little.astype(dtype).reshape(shape)
    values = getattr(tensor, field)
    if dtype == np.float16:
        filled = np.array(values, np.uint16).view(np.float16)
    else:
        filled = np.empty(len(values), dtype)
        filled[:] = values
    missing = int(np.prod(shape)) - len(filled)
    if missing > 0:
        # TensorFlow leaves out what equals the last value, and everything where all is zero.
        last = filled[-1] if len(filled) else (b"" if dtype == np.object_ else 0)
        rest = np.empty(missing, dtype)
        rest[:] = last
        filled = np.concatenate([filled, rest])
    return filled.reshape(shape)
