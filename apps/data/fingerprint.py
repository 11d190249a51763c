"""A digest of the content of data, by which a run recognises them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from apps.data.columns import Column
from apps.data.content import Update, feed
from apps.data.examples import Examples

_DIGITS = 16
_END = b"\xff" * 8


def fingerprint(*parts: Examples, columns: Mapping[str, Column]) -> str:
    """Digest of all values of some rows.

    Args:
        parts: rows, such as those for training and for validation. Neither their source nor the
            order of their columns makes a difference.
        columns: the application's columns, whose kinds feed their values into the digest. A column
            that is not among them holds plain values or arrays.

    Returns:
        16 hexadecimal digits, which depend on the names, the values, the order of rows and where
        each part ends.
    """
    digest = hashlib.sha256()
    update = framed(digest)
    for part in parts:
        update(f"{len(part)} rows, {len(part.columns)} columns".encode())
        for name in sorted(part.columns):
            update(name.encode("utf-8", "surrogatepass"))
            feed_value = columns[name].kind.digest if name in columns else feed
            for value in part[name]:
                feed_value(value, update)
                digest.update(_END)
    return digest.hexdigest()[:_DIGITS]


def row_digests(rows: Examples, columns: Mapping[str, Column]) -> list[bytes]:
    """Digest of the content of each row in some columns; rows of equal content have equal ones."""
    found = []
    for row in range(len(rows)):
        digest = hashlib.sha256()
        for name, column in columns.items():
            column.kind.digest(rows[name][row], framed(digest))
            digest.update(_END)
        found.append(digest.digest())
    return found


def framed(digest: Any) -> Update:
    """Feeds bytes into a digest such that no two sequences of values give the same bytes.

    Each length stands before its bytes; the caller puts an end mark after each value.
    """

    def update(content: bytes) -> None:
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)

    return update
