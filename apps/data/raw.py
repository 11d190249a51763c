"""Rows and columns as a reader found them, before their values are checked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.errors import UserError


@dataclass(frozen=True)
class Raw:
    """Rows of a source, column by column; every reader makes this, and `validate` takes it.

    Attributes:
        columns: the application's column names to unchecked values, all of one length.
        places: where each row stands, ready for a message: `"reviews.csv row 17"`.
        source: what the rows were read from, ready for a message.
        beside: fields that a kind sees although they are not read as columns; see `Kind.sees`.
    """

    columns: Mapping[str, Sequence[Any]]
    places: Sequence[str]
    source: str
    beside: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def plain(value: Any) -> Any:
    """The Python value of a numpy or TensorFlow scalar; None for NaN and missing values of pandas.

    Raises:
        ValueError: the value is an array, or bytes that are not UTF-8.
    """
    if type(value) is str:
        return value
    if hasattr(value, "numpy") and not isinstance(value, np.generic):
        value = value.numpy()
    if isinstance(value, np.datetime64):
        value = value.astype("datetime64[us]")
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, np.ndarray):
        raise ValueError(
            f"holds {len(value)} values; pass single rows "
            "(of a batched tf.data.Dataset: .unbatch())"
        )
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        return str(value)
    # Compared by name so that pandas need not be imported.
    absent = type(value).__name__ in ("NAType", "NaTType")
    return None if absent or (isinstance(value, float) and math.isnan(value)) else value


@dataclass(frozen=True)
class RawColumn:
    """One column as a reader found it, its values unchecked.

    Attributes:
        name: what the application calls it.
        values: one for each row.
        places: where each row stands, ready for a message.
        source: what the rows were read from, ready for a message.
        folder: where relative paths start; the process's own folder if None.
        limit_bytes: longest admissible value, in bytes of UTF-8; None where there is no limit.
        naming: what a user writes to say which field of the source is the column, for a remedy.
        beside: fields of the same rows for which `Kind.sees` is true, by their names in the source.
    """

    name: str
    values: Sequence[Any]
    places: Sequence[str]
    source: str = "data"
    folder: Path | None = None
    limit_bytes: int | None = None
    naming: str = ""
    beside: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def each(self, form: Callable[[Any], Any]) -> list[Any]:
        """Apply a form to every value that is not missing.

        Args:
            form: takes what `plain` gives and returns the checked value, or None for a missing one.
                The message of its `ValueError` continues "the NAME" and ends with the remedy: "is
                of type int, not a text; make it a string".

        Returns:
            The checked values, None where one is missing.

        Raises:
            UserError: the form, or `plain`, refused a value; names the row.
        """
        checked: list[Any] = []
        for place, raw in zip(self.places, self.values, strict=True):
            try:
                value = plain(raw)
                checked.append(None if value is None else form(value))
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{place}: the {self.name} is not UTF-8 "
                    f"(byte 0x{error.object[error.start]:02x} at position {error.start}); "
                    "decode it before it is passed on"
                ) from None
            except ValueError as error:
                raise UserError(f"{place}: the {self.name} {error}") from None
        return checked
