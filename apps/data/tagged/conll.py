"""Files of columns: one token a line with its tag, blank lines between sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from apps import environment
from apps.data.files import check_decoded, open_text
from apps.data.tagged.schemes import is_tag, scheme_of, spans_of
from apps.errors import UserError

SUFFIXES = frozenset((".conll", ".conllu", ".iob", ".iob1", ".iob2", ".bio", ".bioes", ".bilou"))
_OTHER_FORMATS = frozenset((".csv", ".json", ".jsonl", ".ndjson"))
_LOOKED_AT = 400
# So large a share of a column must be tags for it to be the column of tags.
_MOST = 0.5
_DOCUMENT = "-DOCSTART-"

Span = tuple[int, int, str]


class Sentences(NamedTuple):
    """What a file of columns holds.

    Attributes:
        texts: the tokens of each sentence with spaces between.
        spans: of each sentence, offsets in code points.
        places: where each sentence begins.
    """

    texts: list[str]
    spans: list[tuple[Span, ...]]
    places: list[str]


class _Line(NamedTuple):
    number: int
    fields: list[str]


class _Layout(NamedTuple):
    """Which column holds what, counted from 0."""

    columns: int
    word: int
    tag: int


def read_conll(path: Path, is_header: Callable[[Sequence[str]], bool]) -> Sentences | None:
    """Read a file of columns; the scheme of its tags is found out and said.

    Args:
        path: a file, gzip-compressed or not.
        is_header: whether fields are those of a table's header.

    Returns:
        Its sentences, or None where the file is something else.

    Raises:
        UserError: a line has another number of columns, a tag is none, or the first column holds
            the tags.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    suffix = suffixes[-1] if suffixes else ""
    if suffix in _OTHER_FORMATS:
        return None
    with open_text(path) as stream:
        head = list(islice(_content(stream, path), _LOOKED_AT))
    if head and suffix not in SUFFIXES and is_header(head[0].fields):
        return None
    layout = _layout(head, path, certain=suffix in SUFFIXES)
    if layout is None:
        return None
    with open_text(path) as stream:
        return _sentences(_lines(stream, path), layout, path)


def _lines(stream: Iterable[str], path: Path) -> Iterator[_Line]:
    """Lines with their fields, none where the line is blank, and none of comments."""
    tabs = None
    for number, text in enumerate(stream, 1):
        line = text.rstrip("\r\n")
        check_decoded(line, path, f"{path} line {number}")
        if not line.strip():
            yield _Line(number, [])
            continue
        if tabs is None:
            tabs = "\t" in line
        fields = line.split("\t") if tabs else line.split()
        if line.startswith("#") and not is_tag(fields[-1].strip()):
            continue
        yield _Line(number, [field.strip() for field in fields])


def _content(stream: Iterable[str], path: Path) -> Iterator[_Line]:
    """Lines that hold a token."""
    for line in _lines(stream, path):
        if line.fields and line.fields[0] != _DOCUMENT:
            yield line


def _layout(head: Sequence[_Line], path: Path, *, certain: bool) -> _Layout | None:
    """Which column holds tags and which words, from the first lines; None where none holds tags."""
    counts = Counter(len(line.fields) for line in head)
    columns = counts.most_common(1)[0][0] if counts else 0
    rows = [line.fields for line in head if len(line.fields) == columns]
    shares = [sum(is_tag(row[i]) for row in rows) / len(rows) for i in range(columns)]
    tagged = [i for i, share in enumerate(shares) if share >= _MOST]
    if columns < 2 or not tagged:
        if not certain:
            return None
        raise UserError(
            f"{path}: no column holds tags such as O, B-TYPE and I-TYPE; write a token and its tag "
            "on each line, with a blank line between sentences"
        )
    if tagged == [0]:
        raise UserError(
            f"{path} line {head[0].number}: the first column holds tags and the last one words; "
            "put the word first and its tag last"
        )
    numbered = columns > 2 and all(row[0].isdigit() for row in rows)
    if len(tagged) > 1 and tagged[-1] - 1 in tagged:
        environment.say(
            f"{path}: columns {' and '.join(str(i + 1) for i in tagged)} hold tags; "
            f"the last one is used"
        )
    return _Layout(columns, int(numbered), tagged[-1])


def _sentences(lines: Iterable[_Line], layout: _Layout, path: Path) -> Sentences:
    """All sentences, their tags turned into spans."""
    found, tags = Sentences([], [], []), []
    words: list[str] = []
    open_tags: list[str] = []
    start = 0

    def close() -> None:
        if words:
            found.texts.append(" ".join(words))
            found.spans.append(_in_text(words, open_tags))
            found.places.append(f"{path} line {start}")
            tags.append(list(open_tags))
        words.clear()
        open_tags.clear()

    for number, fields in lines:
        if not fields or fields[0] == _DOCUMENT:
            close()
            continue
        place = f"{path} line {number}"
        if len(fields) != layout.columns:
            raise UserError(
                f"{place} has {len(fields)} columns, the others {layout.columns}; "
                "write a token and its tag on each line, with a blank line between sentences"
            )
        word, tag = fields[layout.word], fields[layout.tag]
        if not is_tag(tag):
            raise UserError(
                f"{place}: '{tag}' is no tag of IOB1, IOB2 or BIOES; "
                "write O, or a prefix and a type such as B-place"
            )
        if not word:
            raise UserError(f"{place}: the word is missing; write one before its tag")
        start = start if words else number
        words.append(re.sub(r"\s+", " ", word))
        open_tags.append(tag)
    close()
    _say_scheme(tags, found, path)
    return found


def _in_text(words: Sequence[str], tags: Sequence[str]) -> tuple[Span, ...]:
    """Spans of tokens as offsets in the text that has the words with spaces between."""
    starts, offset = [], 0
    for word in words:
        starts.append(offset)
        offset += len(word) + 1
    return tuple(
        (starts[first], starts[last] + len(words[last]), kind)
        for first, last, kind in spans_of(tags)
    )


def _say_scheme(tags: Sequence[Sequence[str]], found: Sentences, path: Path) -> None:
    if not any(tag != "O" for row in tags for tag in row):
        return
    scheme = scheme_of(tags)
    spans = sum(map(len, found.spans))
    odd = ""
    if scheme.inside:
        odd = (
            f"; {scheme.inside:,} begin with a tag that continues nothing (the first in the "
            f"sentence at {found.places[scheme.first]}) and are read as spans all the same"
        )
    environment.say(f"{path}: {len(tags):,} sentences, {spans:,} spans in {scheme.name}{odd}")
