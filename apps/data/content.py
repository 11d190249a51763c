"""The content of a value, as bytes for a hash."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Update = Callable[[bytes], object]


def feed(value: Any, update: Update) -> None:
    """Feed the content of a plain value, an array, or a list or mapping of such into a hash.

    Raises:
        TypeError: the value is of another type; its kind must define a digest.
    """
    if isinstance(value, str):
        update(b"text")
        update(value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        update(b"bytes")
        update(value)
    elif value is None or isinstance(value, bool | int):
        update(repr(value).encode())
    elif isinstance(value, float):
        update(b"float")
        # All NaNs count as equal.
        update(struct.pack("<d", math.nan if math.isnan(value) else value))
    elif isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        array = np.asarray(value)
        array = np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(array.shape)
        update(f"array {array.dtype.str} {array.shape}".encode())
        update(array.tobytes())
    elif isinstance(value, list | tuple | np.ndarray):
        update(f"list {len(value)}".encode())
        for one in value:
            feed(one, update)
    elif isinstance(value, Mapping):
        update(f"mapping {len(value)}".encode())
        for key in sorted(value):
            feed(key, update)
            feed(value[key], update)
    else:
        raise TypeError(f"a {type(value).__name__} has no digest; define Kind.digest")
