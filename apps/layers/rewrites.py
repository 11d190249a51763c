"""Rewrites of texts for programs that lack TensorFlow: RE2's patterns in the syntax of `re`."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import tensorflow as tf


def python_rewrites(rewrites: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """RE2 rewrites in the syntax of Python's `re`, for `re.sub` one after another.

    Classes of characters are spelt out as TensorFlow has them: Python lacks scripts, and its
    version of Unicode is another one.
    """
    return [(_PARTS.sub(_spelt_out, pattern), replacement) for pattern, replacement in rewrites]


_PARTS = re.compile(r"(?P<class>\\p(\{\w+\}|\w))|\\x\{(?P<code>\w+)\}|(?P<space>\\s)|(?P<end>\$)")


def _spelt_out(part: re.Match[str]) -> str:
    if part["class"]:
        return _ranges(part["class"])
    if part["code"]:
        return _escaped(int(part["code"], 16))
    return r" \t\n\f\r" if part["space"] else r"\Z"


@functools.cache
def _ranges(kind: str) -> str:
    """All characters of a class, as ranges for the inside of brackets."""
    kept = tf.strings.regex_replace(_every_character(), f"[^{kind}]+", "").numpy().decode()
    ranges: list[list[int]] = []
    for code in map(ord, kept):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
        for first, last in ranges
    )


@functools.cache
def _every_character() -> str:
    """Every character in the order of its code; surrogates are none."""
    return "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
