"""Typed spans of a text."""

from __future__ import annotations

import itertools
import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.kind import Collector, Kind
from apps.data.raw import RawColumn, plain
from apps.data.tagged.schemes import is_tag

Span = tuple[int, int, str]
# The names that annotation tools give to the parts of a span.
_STARTS = ("start", "start_offset", "begin", "from")
_ENDS = ("end", "end_offset", "stop", "to")
_TYPES = ("type", "label", "entity_group", "entity", "tag")
_HOLDERS = ("entities", "spans", "labels")


class Tags(tuple[str, ...]):
    """Tags of a sentence's tokens, in place of spans."""


def spans() -> Column:
    """A column of spans `[start, end, type]`, or of tags, one for each token."""
    return Column(Spans())


@dataclass(frozen=True)
class Spans(Kind):
    """Spans of a text in code points, the end exclusive; values are sorted tuples, or `Tags`."""

    aliases: ClassVar[tuple[str, ...]] = (
        *("entities", "labels", "label", "annotations", "tags", "ner_tags", "ner"),
    )

    def parse(self, column: RawColumn) -> Sequence[tuple[Span, ...] | Tags | None]:
        listed = [value.tolist() if hasattr(value, "tolist") else value for value in column.values]
        return RawColumn(column.name, listed, column.places).each(_form)

    def tfds(self, feature: Any) -> Collector:
        """A collector of tags, numbers turned into their names."""
        names = getattr(getattr(feature, "feature", None), "names", None)
        if names is None:
            return Collector()
        return Collector(lambda numbers: [names[number] for number in numbers])


def _form(value: Any) -> tuple[Span, ...] | Tags | None:
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return None
        if text[0] not in "[{":
            return _tags(text.replace(",", " ").split())
        try:
            value = json.loads(text)
        except ValueError as error:
            raise ValueError(f'are not JSON ({error}); write [[0, 4, "place"]]') from None
    if isinstance(value, Mapping):
        held = next((value[name] for name in _HOLDERS if name in value), None)
        if held is None:
            raise ValueError("are an object without 'entities'; write [[0, 4, \"place\"]]")
        value = held
    if not isinstance(value, list | tuple):
        raise ValueError(
            f'are of type {type(value).__name__}; write [[0, 4, "place"]], or a tag a token'
        )
    if value and all(isinstance(plain(one), str) for one in value):
        return _tags([str(plain(one)) for one in value])
    found = sorted({_span(one) for one in value})
    for one, other in itertools.pairwise(found):
        if other[0] < one[1]:
            raise ValueError(f"{list(one)} and {list(other)} overlap; keep one of them")
    return tuple(found)


def _tags(tags: Sequence[str]) -> Tags:
    for tag in tags:
        if not is_tag(tag):
            raise ValueError(
                f"hold '{tag}', no tag of IOB1, IOB2 or BIOES; write O, or a prefix and a type "
                "such as B-place"
            )
    return Tags(tags)


def _span(given: Any) -> Span:
    if isinstance(given, Mapping):
        parts = [_first(given, names) for names in (_STARTS, _ENDS, _TYPES)]
    elif isinstance(given, list | tuple) and len(given) == 3:
        parts = list(given)
    else:
        raise ValueError(f"hold {given!r:.60}; write each as [start, end, type]")
    start, end, kind = map(plain, parts)
    if isinstance(kind, list | tuple) and len(kind) == 1:
        kind = kind[0]
    whole = all(isinstance(one, int) and not isinstance(one, bool) for one in (start, end))
    if not whole or not isinstance(kind, str) or not kind.strip():
        raise ValueError(
            f'hold {given!r:.60}; a span has two whole numbers and a type: [0, 4, "place"]'
        )
    if not 0 <= start < end:
        raise ValueError(
            f"hold {[start, end, kind]}; a span starts at 0 or later and ends behind its start"
        )
    return start, end, unicodedata.normalize("NFC", kind.strip())


def _first(given: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in given:
            return given[name]
    raise ValueError(f"hold {dict(given)!r:.80}, which has no '{names[0]}'; add it")
