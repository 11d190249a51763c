"""Schemes that write spans of tokens as one tag a token, and back.

IOB1 begins a span with I, and with B only right behind a span of its type (Ramshaw & Marcus 1995);
IOB2 begins every span with B (Tjong Kim Sang & Veenstra 1999); BIOES also marks ends and spans of
one token, under the letters E and S or, in BILOU and BMES, L, U and M.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

OUTSIDE = "O"
SCHEMES = ("IOB1", "IOB2", "BIOES")
_TAG = re.compile(r"O|[BIESLUM][-_]\S+")
_PREFIXES = {"L": "E", "U": "S", "M": "I"}


class TokenSpan(NamedTuple):
    """A span from the token `first` to the token `last`, both inclusive."""

    first: int
    last: int
    type: str


class Scheme(NamedTuple):
    """What the tags of a source show.

    Attributes:
        name: of the scheme.
        inside: number of spans that begin with a tag which the scheme allows inside one only.
        first: index of the sentence in which the first of them stands.
    """

    name: str
    inside: int = 0
    first: int = 0


def is_tag(text: str) -> bool:
    """Whether a text is a tag of one of the schemes."""
    return _TAG.fullmatch(text) is not None


def spans_of(tags: Sequence[str]) -> list[TokenSpan]:
    """The spans that tags of any scheme mean.

    A tag that continues nothing begins a span, as in the shared task's scorer, conlleval, and in
    seqeval's default mode.

    Args:
        tags: of one sentence, each as `is_tag` accepts it.
    """
    found: list[TokenSpan] = []
    before, type_before, first = OUTSIDE, "", 0
    for place, tag in enumerate([*tags, OUTSIDE]):
        prefix, kind = _parts(tag)
        opens = prefix in "BS" or before in "OES" or kind != type_before
        if before != OUTSIDE and (prefix == OUTSIDE or opens):
            found.append(TokenSpan(first, place - 1, type_before))
        if prefix != OUTSIDE and opens:
            first = place
        before, type_before = prefix, kind
    return found


def tags_of(spans: Iterable[TokenSpan], count: int, scheme: str) -> list[str]:
    """One tag for each of `count` tokens; `spans` do not overlap.

    Args:
        spans: in any order.
        count: tokens of the sentence.
        scheme: one of `SCHEMES`.
    """
    tags = [OUTSIDE] * count
    end, type_before = -1, ""
    for first, last, kind in sorted(spans):
        size = last - first + 1
        prefixes = ["B", *"I" * (size - 1)]
        if scheme == "IOB1" and not (first == end + 1 and kind == type_before and end >= 0):
            prefixes[0] = "I"
        elif scheme == "BIOES":
            prefixes = ["S"] if size == 1 else ["B", *"I" * (size - 2), "E"]
        tags[first : last + 1] = [f"{prefix}-{kind}" for prefix in prefixes]
        end, type_before = last, kind
    return tags


def scheme_of(sentences: Sequence[Sequence[str]]) -> Scheme:
    """The scheme that the tags of all sentences follow."""
    prefixes = {_parts(tag)[0] for tags in sentences for tag in tags}
    spans = [(row, tags, span) for row, tags in enumerate(sentences) for span in spans_of(tags)]
    by_inside = [row for row, tags, span in spans if _parts(tags[span.first])[0] in "IE"]
    if prefixes & {"E", "S"}:
        return _scheme("BIOES", by_inside)
    adjacent = sum(
        span.first > 0 and _parts(tags[span.first - 1])[1] == span.type for _, tags, span in spans
    )
    if by_inside and len(spans) - len(by_inside) == adjacent:
        return Scheme("IOB1")
    return _scheme("IOB2", by_inside)


def _scheme(name: str, by_inside: Sequence[int]) -> Scheme:
    return Scheme(name, len(by_inside), by_inside[0] if by_inside else 0)


def _parts(tag: str) -> tuple[str, str]:
    """Prefix and type of a tag; the type of O is empty."""
    return _PREFIXES.get(tag[0], tag[0]), tag[2:]
