"""TensorFlow Serving's tensors on the wire: `TensorProto` to NumPy and back."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.tensor_pb2 import TensorProto

from apps.serving.errors import invalid

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int64: "int64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.half: "half_val",
    tf.bfloat16: "half_val",
    tf.complex64: "scomplex_val",
    tf.complex128: "dcomplex_val",
} | dict.fromkeys((tf.int8, tf.int16, tf.int32, tf.uint8, tf.uint16), "int_val")


def from_proto(name: str, proto: TensorProto, most_bytes: int) -> np.ndarray:
    """The array of a message, in either of its forms: `tensor_content` or typed values.

    Args:
        name: the input's alias, for the error message.
        proto: a tensor with a known shape.
        most_bytes: the largest array to make; a few bytes of message can ask for any size.

    Returns:
        An array of the message's type and shape; strings as bytes in an object array.

    Raises:
        ServingError: INVALID_ARGUMENT where the message holds no such tensor.
    """
    sizes = [dim.size for dim in proto.tensor_shape.dim]
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
        if dtype not in _FIELDS:
            raise invalid(f'input "{name}": tensors of type {dtype.name} cannot be sent')
        if proto.tensor_shape.unknown_rank or min(sizes, default=0) < 0:
            raise invalid(f'input "{name}": the shape of a tensor must be known, not {sizes}')
        wanted = math.prod(sizes) * np.dtype(dtype.as_numpy_dtype).itemsize
        if wanted > most_bytes:
            raise invalid(
                f'input "{name}": a tensor of shape {sizes} needs {wanted} bytes; '
                f"at most {most_bytes} are allowed"
            )
        return _decode(proto, dtype, sizes)
    except (TypeError, ValueError, tf.errors.OpError):
        raise invalid(f'input "{name}": Tensor parsing error: not a tensor of {sizes}') from None


def _decode(proto: TensorProto, dtype: tf.DType, sizes: list[int]) -> np.ndarray:
    if dtype == tf.string and len(proto.string_val) == math.prod(sizes):
        array = np.empty(len(proto.string_val), dtype=object)
        array[:] = proto.string_val
        return array.reshape(sizes)
    try:
        return tf.make_ndarray(proto)
    except (TypeError, ValueError):
        # Only the C++ decoder knows strings in tensor_content, and no values for zeros.
        return tf.io.parse_tensor(proto.SerializeToString(), dtype).numpy()


def to_proto(array: np.ndarray) -> TensorProto:
    """The message of an array, with typed values: where clients of TensorFlow Serving look."""
    text = array.dtype.kind in "OSU"
    dtype = tf.string if text else tf.dtypes.as_dtype(array.dtype)
    proto = TensorProto(dtype=dtype.as_datatype_enum)
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    flat: Any = array.ravel()
    if dtype in (tf.half, tf.bfloat16):
        flat = flat.view(np.uint16)
    elif dtype.is_complex:
        flat = flat.view(np.float32 if dtype == tf.complex64 else np.float64)
    getattr(proto, _FIELDS[dtype]).extend(map(tf.compat.as_bytes, flat) if text else flat.tolist())
    return proto
