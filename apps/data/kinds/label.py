"""Name of a class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.kind import Collector, Kind
from apps.data.kinds.text import checked_text, class_names
from apps.data.raw import RawColumn

_WHOLE_FLOAT = re.compile(r"-?\d+\.0")
_MISSING = frozenset({"", "NaN"})


def label(*, required: bool = True, aliases: Iterable[str] = ()) -> Column:
    """A column of class names: stripped, in Unicode's form NFC, neither empty nor "NaN"; 1 and 1.0
    are "1"."""
    return Column(Label(), required, tuple(aliases))


@dataclass(frozen=True)
class Label(Kind):
    """Name of a class; values are stripped, non-empty `str`."""

    limit_bytes: ClassVar[int] = 1 << 10
    names_classes: ClassVar[bool] = True

    def parse(self, column: RawColumn) -> Sequence[str | None]:
        remedy = f"is it the right column? say which: {column.naming}"

        def form(value: Any) -> str | None:
            if not isinstance(value, str | int | float):
                raise ValueError(f"is of type {type(value).__name__}, not a text; make it a string")
            name = str(value).strip()
            if _WHOLE_FLOAT.fullmatch(name):
                name = name[:-2]
            return checked_text(name, column.limit_bytes, remedy) if name not in _MISSING else None

        return column.each(form)

    def tfds(self, feature: Any) -> Collector:
        return class_names(feature)
