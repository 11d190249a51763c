"""A model's answers to a batch as Python values, row by row: the one place that defines them.

`predict`, the local server's callers, the client and the report all read answers through it,
whether they come from a run, a SavedModel or a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

COUNTS = "counts"
_DIGITS = 6


def answers(outputs: Mapping[str, np.ndarray], rows: int) -> list[dict[str, Any]]:
    """One dict of Python values per row.

    `labels` together with `probabilities` become a dict of probabilities by label, rounded to six
    digits. Where `counts` says how many entries of each row's lists are real, the padding behind
    them is left out; `X_counts` does the same for the lists whose names begin with `X_`, and where
    they are several and no answer is called `X` they become it: a list of dicts, one for each
    entry, keyed by the rest of those names. A number that is not finite becomes None, since JSON
    cannot hold it. An output that has no row for each input is repeated for every row.

    Args:
        outputs: arrays by name, texts as objects of `bytes` or `str`.
        rows: the size of the batch.
    """
    values = {name: _python(array) for name, array in outputs.items()}
    by_row = {name: array.ndim > 0 and len(array) == rows for name, array in outputs.items()}
    found = []
    for row in range(rows):
        answer = {name: value[row] if by_row[name] else value for name, value in values.items()}
        labels, probabilities = answer.get("labels"), answer.get("probabilities")
        if isinstance(labels, list) and isinstance(probabilities, list):
            del answer["labels"]
            rounded = [p if p is None else round(p, _DIGITS) for p in probabilities]
            answer["probabilities"] = dict(zip(labels, rounded, strict=True))
        found.append(_without_padding(answer))
    return found


def _without_padding(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with the padding cut off its lists."""
    counts = {
        name.removesuffix(COUNTS): value
        for name, value in answer.items()
        if name.endswith(COUNTS) and isinstance(value, int)
    }
    # Longest first: where several prefixes match a name, the most specific one counts.
    prefixes = sorted(counts, key=len, reverse=True)
    trimmed: dict[str, Any] = {}
    records = [p for p in prefixes if p and p[:-1] not in answer and len(_lists(answer, p)) > 1]
    for prefix in records:
        trimmed[prefix[:-1]] = _records(answer, prefix, counts[prefix])
    for name, value in answer.items():
        own = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
        if own is None:
            trimmed[name] = value
        elif own not in records and name != own + COUNTS:
            trimmed[name] = value[: counts[own]] if isinstance(value, list) else value
    return trimmed


def _records(answer: Mapping[str, Any], prefix: str, count: int) -> list[dict[str, Any]]:
    """The lists whose names begin with a prefix as one dict for each entry."""
    fields = _lists(answer, prefix)
    return [
        {name: _rounded(values[place]) for name, values in fields.items()} for place in range(count)
    ]


def _lists(answer: Mapping[str, Any], prefix: str) -> dict[str, list[Any]]:
    """The lists whose names begin with a prefix, by the rest of their names."""
    return {
        name.removeprefix(prefix): value
        for name, value in answer.items()
        if name.startswith(prefix) and isinstance(value, list)
    }


def _rounded(value: Any) -> Any:
    return round(value, _DIGITS) if isinstance(value, float) else value


def _python(array: np.ndarray) -> Any:
    if array.dtype == np.object_:
        decoded = np.empty(array.shape, np.object_)
        for place, text in np.ndenumerate(array):
            decoded[place] = _text(text)
        return decoded.tolist()
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        values = array.astype(np.object_)
        values[~np.isfinite(array)] = None
        return values.tolist()
    return array.tolist()


def _text(value: Any) -> Any:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value
