"""What a report shows of tagging, made from rows of `predictions.jsonl` alone.

A row holds `place`, `input` (the text), `truth` (lists of start, end and type), `spans` (dicts of
`start`, `end`, `type` and `score`) and `unseen`, start and end of words that training never held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from apps.report.quantities import excerpt
from apps.report.sections import Section
from apps.report.templates import render

_TEMPLATE = "tasks/tagging/sections.html.j2"
_SENTENCES = 12
_PAIRS = 15
_MOST_TYPES = 12
_AROUND = 160

Span = tuple[int, int, str]


class Piece(NamedTuple):
    """A part of a sentence: text outside spans has no verdict.

    Attributes:
        text: it itself.
        verdict: `found`, `missed`, `invented`, or empty.
        type: what it is or is said to be.
        score: of the answer; None where there is none.
    """

    text: str
    verdict: str = ""
    type: str = ""
    score: float | None = None


class _Row(NamedTuple):
    place: str
    text: str
    truth: set[Span]
    said: dict[Span, float | None]
    unseen: Sequence[tuple[int, int]]

    @property
    def wrong(self) -> set[Span]:
        return self.truth ^ self.said.keys()


def tagging_sections(rows: Sequence[Mapping[str, Any]], types: Sequence[str]) -> list[Section]:
    """Figures of each type, types that are taken for others, unseen words, sentences.

    Args:
        rows: all rows of `predictions.jsonl`.
        types: what the model knows.
    """
    read = [_read(row) for row in rows]
    named = {kind for row in read for _, _, kind in row.truth}
    every = [*types, *sorted(named - {*types})]
    return [
        Section("Spans by type", _render("types", rows=list(_by_type(read, every)))),
        Section("Types taken for others", _confusions(read, every)),
        Section("Words never seen", _render("unseen", rows=_by_novelty(read))),
        Section("Spans in their sentences", _sentences(read)),
    ]


def _render(part: str, **values: Any) -> str:
    return render(_TEMPLATE, part=part, **values)


def _read(row: Mapping[str, Any]) -> _Row:
    said = {(span["start"], span["end"], span["type"]): span["score"] for span in row["spans"]}
    truth = {(start, end, kind) for start, end, kind in row["truth"]}
    return _Row(row["place"], row["input"], truth, said, [(a, b) for a, b in row["unseen"]])


def _by_type(rows: Sequence[_Row], types: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Counts of each type with precision, recall and F1; None where nothing can be divided."""
    counts = {
        "true": Counter(kind for row in rows for _, _, kind in row.truth),
        "said": Counter(kind for row in rows for _, _, kind in row.said),
        "found": Counter(kind for row in rows for *_, kind in row.truth & row.said.keys()),
    }
    for kind in types:
        true, said, found = (counts[name][kind] for name in ("true", "said", "found"))
        yield {
            "type": kind,
            "true": true,
            "said": said,
            "precision": found / said if said else None,
            "recall": found / true if true else None,
            "f1": 2 * found / (true + said) if true + said else None,
        }


def _confusions(rows: Sequence[_Row], types: Sequence[str]) -> str:
    """How often a true span of one type was answered as another, elsewhere, or not at all."""
    pairs: Counter[tuple[str, str]] = Counter()
    borders = 0
    for row in rows:
        answered = {(start, end): kind for start, end, kind in row.said}
        for start, end, kind in row.truth:
            same = answered.get((start, end))
            touching = [k for (a, b), k in answered.items() if a < end and start < b]
            if same is None and touching:
                borders += kind in touching
                same = kind if kind in touching else touching[0]
            pairs[kind, same or ""] += 1
        true = [(start, end) for start, end, _ in row.truth]
        for start, end, kind in row.said:
            if not any(a < end and start < b for a, b in true):
                pairs["", kind] += 1
    names = [*types, ""]
    wrong = [(*pair, count) for pair, count in pairs.most_common() if pair[0] != pair[1]]
    return _render(
        "confusions",
        names=names if len(types) <= _MOST_TYPES else [],
        pairs=pairs,
        totals={name: sum(pairs[name, other] for other in names) for name in names},
        frequent=wrong[:_PAIRS],
        borders=borders,
    )


def _by_novelty(rows: Sequence[_Row]) -> list[dict[str, Any]]:
    """True spans and answers with and without words that the training rows lack."""
    found = []
    for title, novel in (("all words seen in training", False), ("with a word never seen", True)):
        true = said = right = 0
        for row in rows:
            parts = [span for span in row.truth if _novel(span, row.unseen) == novel]
            answers = [span for span in row.said if _novel(span, row.unseen) == novel]
            true, said = true + len(parts), said + len(answers)
            right += sum(span in row.said for span in parts)
        found.append(
            {
                "title": title,
                "true": true,
                "said": said,
                "recall": right / true if true else None,
                "precision": right / said if said else None,
            }
        )
    return found


def _novel(span: Span, unseen: Sequence[tuple[int, int]]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in unseen)


def _sentences(rows: Sequence[_Row]) -> str:
    """Sentences with most mistakes, and some in which all spans were found."""
    worst = sorted((row for row in rows if row.wrong), key=lambda row: -len(row.wrong))
    right = sorted(
        (row for row in rows if row.truth and not row.wrong), key=lambda r: -len(r.truth)
    )
    groups = [
        (title, [(row.place, _pieces(row)) for row in members[:_SENTENCES]], len(members))
        for title, members in (("Most mistakes", worst), ("All found", right))
    ]
    return _render("sentences", groups=groups, total=len(rows))


def _pieces(row: _Row) -> list[Piece]:
    """The sentence cut at its spans; an answer that overlaps a true span stands behind it."""
    spans = [(*span, "found" if span in row.said else "missed") for span in row.truth]
    spans += [(*span, "invented") for span in row.said if span not in row.truth]
    spans.sort(key=lambda span: (span[0], span[3] == "invented", span[1]))
    pieces: list[Piece] = []
    place = 0
    for start, end, kind, verdict in spans:
        if start >= len(row.text):
            break
        pieces.append(Piece(_shortened(row.text[place:start], first=not pieces)))
        score = row.said.get((start, end, kind))
        pieces.append(Piece(row.text[start:end], verdict, kind, score))
        place = max(place, end)
    return [*pieces, Piece(excerpt(row.text[place:], _AROUND))]


def _shortened(text: str, *, first: bool) -> str:
    """Text between spans without its middle, or without its start before the first span."""
    if len(text) <= 2 * _AROUND:
        return text
    return f"…{text[-_AROUND:]}" if first else f"{text[:_AROUND]} … {text[-_AROUND:]}"
