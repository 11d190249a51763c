"""Spans of characters as spans of tokens."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.kinds.sentence import Words
from apps.data.kinds.spans import Span, Tags
from apps.data.tagged.schemes import TokenSpan, spans_of
from apps.errors import UserError
from apps.layers.token_features import folded_tokens


def aligned(examples: Examples, text: str, spans: str, *, letters: bool) -> Examples:
    """The examples with spans that begin and end where tokens do.

    Args:
        examples: rows with both columns.
        text: the column of texts.
        spans: the column of spans or tags.
        letters: whether every letter is a token.

    Returns:
        The same rows. A span that cuts a token is widened to the whole of it, which is said.

    Raises:
        UserError: a span reaches beyond its text or holds no token, two of them share a token, or
            tags and tokens differ in number.
    """
    found, widened, first = [], 0, ""
    rows = zip(examples.places, examples[text], examples[spans], strict=True)
    tokens = folded_tokens(examples[text], letters=letters)
    for (place, sentence, given), (_, places) in zip(rows, tokens, strict=True):
        own = _of_tags(given, sentence, place) if isinstance(given, Tags) else given
        whole = [_whole(span, sentence, places, place) for span in own]
        found.append(_distinct([span for span in whole if span], own, place))
        cut = sum(_cuts(old, new, sentence) for old, new in zip(own, whole, strict=True) if new)
        if cut and not widened:
            first = place
        widened += cut
    if widened:
        remedy = "" if letters else "; --set tokens=letters cuts words into letters"
        environment.say(
            f"{examples.source}: {widened:,} spans begin or end within a word (the first at "
            f"{first}) and were widened to whole words{remedy}"
        )
    return Examples({**examples.columns, spans: found}, examples.places, examples.source)


def token_spans(
    texts: Sequence[str], spans: Sequence[Sequence[Span]] | None, *, letters: bool
) -> Iterator[tuple[list[str], list[TokenSpan]]]:
    """Words of each text, and its spans counted in words.

    Args:
        texts: any number of them.
        spans: as `aligned` leaves them; None where there are none.
        letters: whether every letter is a token.
    """
    given = spans if spans is not None else [()] * len(texts)
    for (words, places), own in zip(folded_tokens(texts, letters=letters), given, strict=True):
        yield (
            words,
            [
                TokenSpan(
                    int(np.searchsorted(places[:, 0], start)),
                    int(np.searchsorted(places[:, 1], end)),
                    kind,
                )
                for start, end, kind in own
            ],
        )


def _whole(span: Span, text: str, places: np.ndarray, place: str) -> Span | None:
    """The span from the start of its first token to the end of its last; None without tokens."""
    start, end, kind = span
    if end > len(text):
        raise UserError(
            f"{place}: span {list(span)} ends behind the text, which has {len(text)} characters; "
            "count in Unicode code points, not in bytes or UTF-16"
        )
    touched = np.flatnonzero((places[:, 1] > start) & (places[:, 0] < end))
    if not len(touched):
        if text[start:end].strip(" "):
            return None
        raise UserError(
            f"{place}: span {list(span)} holds nothing but space; correct its start and end"
        )
    return int(places[touched[0], 0]), int(places[touched[-1], 1]), kind


def _cuts(old: Span, new: Span, text: str) -> bool:
    """Whether a span was widened by more than the space at its ends."""
    return text[new[0] : new[1]] != text[old[0] : old[1]].strip() and (
        new[0] < old[0] or new[1] > old[1]
    )


def _distinct(spans: Sequence[Span], given: Sequence[Span], place: str) -> tuple[Span, ...]:
    kept = sorted({*spans})
    for one, other in itertools.pairwise(kept):
        if other[0] < one[1]:
            old = [list(span) for span in given if span[0] < one[1] and span[1] > other[0]]
            raise UserError(
                f"{place}: spans {old[0]} and {old[-1]} lie in one word; correct them, or "
                "train with --set tokens=letters"
            )
    return tuple(kept)


def _of_tags(tags: Tags, text: str, place: str) -> list[Span]:
    """Spans of characters that tags mean."""
    tokens = text.tokens if isinstance(text, Words) else text.split()
    if len(tokens) != len(tags):
        raise UserError(
            f"{place} has {len(tags)} tags for {len(tokens)} words; give each word one tag"
        )
    starts, offset = [], 0
    for token in tokens:
        offset = text.index(token, offset)
        starts.append(offset)
        offset += len(token)
    return [
        (starts[first], starts[last] + len(tokens[last]), kind)
        for first, last, kind in spans_of(tags)
    ]
