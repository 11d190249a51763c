"""What looks wrong with rows although each of them can be used; said before training."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from apps.data.columns import Column, quoted
from apps.data.examples import Examples
from apps.data.kinds.text import Text
from apps.errors import UserError

# With fewer rows each may well have a label of its own.
_FEWEST_ROWS = 10
_FEW_VALUES = 0.2
_NAMED = 3
_MISSING = frozenset({"nan", "none", "null", "na", "n/a", "#n/a", "nil", "<na>"})
_NUMBER = re.compile(r"\s*[-+]?\d+([.,]\d+)?\s*")
_PATH = re.compile(r"\s*[^\s]+\.(wav|mp3|flac|ogg|txt|csv|jpg|png)\s*", re.IGNORECASE)


def check_labels(rows: Examples, columns: Mapping[str, Column]) -> None:
    """Refuse labels of which no two rows share one.

    Raises:
        UserError: names the column, and the other one where the two look swapped.
    """
    for name, _ in _columns(rows, columns, lambda kind: kind.names_classes):
        if len(rows) < _FEWEST_ROWS or len(set(rows[name])) < len(rows):
            continue
        remedy = f"is it the right column? say which: --columns {name}=NAME"
        for other, _ in _columns(rows, columns, lambda kind: isinstance(kind, Text)):
            if len(set(rows[other])) <= _FEW_VALUES * len(rows):
                remedy = f"are the two swapped? then add --columns {name}={other},{other}={name}"
        raise UserError(
            f"{rows.source}: each of {len(rows)} rows has another {name}, such as "
            f"'{rows[name][0][:40]}'; {remedy}"
        )


def remarks(
    training: Examples, validation: Examples, columns: Mapping[str, Column], inputs: Sequence[str]
) -> Iterator[str]:
    """Lines to tell the user.

    Args:
        training: rows to learn from.
        validation: rows to choose by.
        columns: the application's columns.
        inputs: names of those that the answer is made from.
    """
    for name, _ in _columns(training, columns, lambda kind: isinstance(kind, Text)):
        yield from _about_texts(training, name)
    content = _content(training, inputs)
    for name, column in _columns(training, columns, lambda kind: kind.names_classes):
        if column.required:
            yield from _about_labels(training, name)
            if content is not None:
                yield from _contradictions(training, name, content)
    others = _content(validation, inputs)
    if content is not None and others is not None:
        shared = int(np.isin(others, content).sum())
        if shared:
            yield (
                f"{shared} of {len(others)} validation rows are among the training rows too, so "
                "that they measure memory; remove the repetitions, or give them one group"
            )


def _columns(
    rows: Examples, columns: Mapping[str, Column], asked: Any
) -> Iterator[tuple[str, Column]]:
    return ((name, one) for name, one in columns.items() if name in rows and asked(one.kind))


def _about_texts(rows: Examples, name: str) -> Iterator[str]:
    for pattern, what in ((_NUMBER, "a number"), (_PATH, "the name of a file")):
        if len(rows) > 1 and all(pattern.fullmatch(text) for text in rows[name]):
            yield (
                f"{rows.source}: each {name} is {what}, such as '{rows[name][0].strip()}'; if that "
                f"is the wrong column, say which: --columns {name}=NAME"
            )


def _about_labels(rows: Examples, name: str) -> Iterator[str]:
    counts = Counter(rows[name])
    if len(rows) >= _FEWEST_ROWS and 2 * len(counts) > len(rows):
        yield (
            f"{rows.source}: {len(counts)} labels for {len(rows)} rows; if that is the wrong "
            f"column, say which: --columns {name}=NAME"
        )
        return
    spellings: dict[str, list[str]] = defaultdict(list)
    for label in counts:
        spellings[" ".join(re.split(r"[\s_-]+", label.casefold()))].append(label)
    alike = [labels for labels in spellings.values() if len(labels) > 1]
    for labels in alike[:_NAMED]:
        named = ", ".join(f"'{label}' ({counts[label]} rows)" for label in sorted(labels))
        yield f"{rows.source}: labels that are spelt alike count as different ones: {named}"
    missing = sorted(label for label in counts if label.casefold() in _MISSING)
    if missing:
        lost = sum(counts[label] for label in missing)
        yield (
            f"{rows.source}: {quoted(missing)} is a label like the others ({lost} rows); remove "
            "those rows if it means that there is none"
        )


def _contradictions(rows: Examples, name: str, content: np.ndarray) -> Iterator[str]:
    """A line where equal inputs have different labels."""
    _, same = np.unique(content, return_inverse=True)
    labels = np.unique(np.asarray(rows[name], object).astype(str), return_inverse=True)[1]
    pairs = np.unique(np.stack([same, labels]), axis=1)[0]
    several = np.flatnonzero(np.bincount(pairs) > 1)
    if len(several):
        first = int(np.argmax(np.isin(same, several)))
        equal = np.flatnonzero(same == same[first]).tolist()
        other = next(row for row in equal if rows[name][row] != rows[name][first])
        yield (
            f"{rows.source}: {len(several)} inputs stand there with more than one {name}, such as "
            f"{rows.places[first]} ('{rows[name][first]}') and {rows.places[other]} "
            f"('{rows[name][other]}')"
        )


def _content(rows: Examples, inputs: Sequence[str]) -> np.ndarray | None:
    """A hash of each row's inputs, `(rows,)` int64; None where they are not texts or recordings.

    Equal within the process only, which is all that a comparison needs.
    """
    columns = [rows[name] for name in inputs if name in rows]
    if not columns or not len(rows):
        return None
    if not all(isinstance(one[0], str) or hasattr(one[0], "digest") for one in columns):
        return None
    found = (hash(tuple(map(_key, row))) for row in zip(*columns, strict=True))
    return np.fromiter(found, np.int64, len(rows))


def _key(value: Any) -> str:
    return value if isinstance(value, str) else value.digest
