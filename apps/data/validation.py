"""Checks of raw values: what enters is whatever a source held, what leaves is ready for use."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps.data.columns import Kind, Schema
from apps.data.examples import Examples
from apps.errors import UserError

_SURROGATE = re.compile("[\ud800-\udfff]")
_WHOLE_FLOAT = re.compile(r"-?\d+\.0")


def validate(raw: Examples, schema: Schema, folder: Path | None = None) -> Examples:
    """Check the values of every column and bring them to their form.

    Args:
        raw: values as a reader found them, under the application's column names.
        schema: the columns that are wanted; one that is optional for this reading is
            dropped when any of its values is missing.
        folder: where relative paths of recordings start; the process's own folder if None.

    Returns:
        Texts as `str` (missing ones as `""`); labels and groups as stripped, non-empty `str`;
        recordings as `audio.Clip`.

    Raises:
        UserError: there are no rows, or a value is missing, too long or of the wrong kind.
    """
    if not len(raw):
        raise UserError(f"{raw.source} is empty; give at least one row")
    checked: dict[str, Sequence[Any]] = {}
    present = [name for name in schema.columns if name in raw]
    # Decoding takes long: whatever else is wrong shows before.
    for name in sorted(present, key=lambda name: schema.columns[name].kind is Kind.AUDIO):
        values = _values(raw, name, schema, folder)
        absent = [i for i, value in enumerate(values) if value is None]
        if not absent:
            checked[name] = values
        elif name not in schema.optional:
            raise UserError(
                f"{raw.places[absent[0]]}: the {name} is empty "
                f"({len(absent)} of {len(values)} rows); fill it in or remove the row"
            )
    columns = {name: checked[name] for name in present if name in checked}
    return Examples(columns, raw.places, raw.source)


def _values(raw: Examples, name: str, schema: Schema, folder: Path | None) -> Sequence[Any]:
    kind = schema.columns[name].kind
    if kind is Kind.AUDIO:
        # Applications without audio do without its libraries.
        from apps.data.audio_column import read_clips

        return read_clips(raw, name, folder)
    return _formed(raw, name, schema, _text if kind is Kind.TEXT else _name)


def _formed(
    raw: Examples, name: str, schema: Schema, form: Callable[[Any], str | None]
) -> list[str | None]:
    """Apply a form to each value of a column and check the text that comes out."""
    values: list[str | None] = []
    for place, value in zip(raw.places, raw[name], strict=True):
        try:
            text = form(value)
        except UnicodeDecodeError as error:
            raise UserError(
                f"{place}: the {name} is not UTF-8 (byte 0x{error.object[error.start]:02x} "
                f"at position {error.start}); decode it before it is passed on"
            ) from None
        except TypeError:
            raise UserError(
                f"{place}: the {name} is of type {type(value).__name__}, not a text; "
                "make it a string"
            ) from None
        if text:
            _check_text(text, name, schema, place)
        values.append(text)
    return values


def _check_text(text: str, name: str, schema: Schema, place: str) -> None:
    column = schema.columns[name]
    if text.isascii():
        size = len(text)
    elif _SURROGATE.search(text):
        raise UserError(
            f"{place}: the {name} has half of a surrogate pair (\\ud800 to \\udfff), "
            "which is not Unicode text; write the whole pair or remove it"
        )
    else:
        size = len(text.encode())
    if size > column.limit_bytes:
        remedy = (
            "split it into several rows"
            if column.kind is Kind.TEXT
            else f"is it the right column? say which: {schema.naming(name)}"
        )
        raise UserError(
            f"{place}: the {name} has {size:,} bytes, more than the limit of "
            f"{column.limit_bytes:,}; {remedy}"
        )


def _scalar(value: Any) -> Any:
    """Plain Python value of numpy and TensorFlow scalars; None for what pandas calls missing."""
    if hasattr(value, "numpy") and not isinstance(value, np.generic):
        value = value.numpy()
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    # Known by name so that pandas need not be imported.
    return None if type(value).__name__ in ("NAType", "NaTType") else value


def _text(value: Any) -> str:
    value = value if isinstance(value, str) else _scalar(value)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return str(value)


def _name(value: Any) -> str | None:
    """Stripped text of a label or group; None where it is missing or spelt NaN."""
    value = value if isinstance(value, str) else _scalar(value)
    if value is None:
        return None
    if not isinstance(value, str | int | float):
        raise TypeError
    text = str(value).strip()
    if _WHOLE_FLOAT.fullmatch(text):
        text = text[:-2]
    return text if text not in ("", "NaN") else None
