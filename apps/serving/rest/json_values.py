"""JSON as TensorFlow Serving reads and writes it: documents, base64 values, numbers, strings."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.serving.errors import ServingError, invalid

EXCERPT = 200  # characters of a value that an error message repeats

_TYPE_NAMES = {
    type(None): "Null",
    dict: "Object",
    list: "Array",
    str: "String",
}
_SPECIAL = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_WHITESPACE = {ord(blank): None for blank in " \t\r\n\f\v"}
_text = json.JSONEncoder(ensure_ascii=False).encode


class Infinite(float):
    """What the tokens Infinity and -Infinity give; a decimal that overflows gives plain `float`."""


def parse(body: bytes) -> dict[str, Any]:
    """The JSON object of a request.

    Args:
        body: UTF-8 text; the tokens NaN, Infinity and -Infinity are numbers.

    Raises:
        ServingError: INVALID_ARGUMENT, with what is wrong and its byte offset.
    """
    if not body.strip():
        raise invalid("JSON Parse error: The document is empty")
    try:
        text = body.decode("utf-8-sig")
        document = json.loads(text, object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise invalid(f"JSON Parse error: Invalid UTF-8 at offset: {error.start}") from None
    except json.JSONDecodeError as error:
        offset = len(text[: error.pos].encode())
        raise invalid(f"JSON Parse error: {error.msg} at offset: {offset}") from None
    except RecursionError:
        raise invalid("JSON Parse error: Nested too deeply") from None
    except ServingError:  # a key given twice
        raise
    except ValueError:  # Python converts no whole number of more than 4,300 digits
        raise invalid("JSON Parse error: Number too big to be stored in double.") from None
    if not isinstance(document, dict):
        raise invalid(f"JSON Value: {excerpt(document)} Is not object")
    return document


def signature_name(document: Mapping[str, Any]) -> str:
    """The signature that a request names; `serving_default` where it names none."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid(
            f"JSON Value: {excerpt(document)} not formatted correctly. "
            "'signature_name' key must be a string value."
        )
    return name or "serving_default"


def excerpt(value: Any) -> str:
    """The beginning of a JSON value, for an error message."""
    shown = ""
    for part in json.JSONEncoder().iterencode(value):
        shown += part[: EXCERPT + 1]
        if len(shown) > EXCERPT:
            return shown[:EXCERPT] + "…"
    return shown


def json_type(value: Any) -> str:
    """JSON's name of a value's type, as TensorFlow Serving spells it."""
    return str(value) if isinstance(value, bool) else _TYPE_NAMES.get(type(value), "Number")


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "…"}` and nothing else."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get("b64"), str)


def decode_base64(value: Mapping[str, str]) -> bytes:
    """The bytes of `{"b64": …}`; white space and missing padding are forgiven."""
    text = value["b64"].translate(_WHITESPACE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise invalid("Unable to base64 decode") from None


def encode_text(text: str) -> bytes:
    """UTF-8 of a JSON string, whose escapes may hold half of a surrogate pair."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid(
            f"JSON Value: {excerpt(text)}: The surrogate pair in string is invalid."
        ) from None


def _constant(token: str) -> float:
    return float(token) if token == "NaN" else Infinite(token)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise invalid(f"JSON Parse error: key {excerpt(twice)} is given twice in one object")
    return members


def float_tokens(values: np.ndarray) -> list[str]:
    """JSON of floats `(n,)`: the shortest decimal that reads back as the same number.

    NaN, Infinity and -Infinity stand for what JSON has no number for, as in TensorFlow Serving.
    """
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32)
    tokens = values.astype(str).tolist()
    if not np.isfinite(values).all():
        tokens = [_SPECIAL.get(token, token) for token in tokens]
    return tokens


def string_token(value: bytes | str, binary: bool) -> str:
    """JSON of a string tensor's element: text, or `{"b64": …}` if `binary` or not UTF-8."""
    raw = value if isinstance(value, bytes) else str(value).encode()
    if not binary:
        try:
            return _text(raw.decode())
        except UnicodeDecodeError:
            pass
    return '{"b64": "' + base64.b64encode(raw).decode() + '"}'


def text_token(text: str) -> str:
    """A string as JSON."""
    return _text(text)
