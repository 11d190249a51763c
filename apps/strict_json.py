"""JSON as every reader takes it: no NaN, no infinities."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any


def dumps(value: Any, **options: Any) -> str:
    """`json.dumps`, with `null` for each figure that is not finite.

    Args:
        value: what `json.dumps` takes.
        **options: arguments of `json.dumps`.
    """
    return json.dumps(_finite(value), **{"ensure_ascii": False, "allow_nan": False, **options})


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
