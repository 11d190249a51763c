"""A sentence in which spans are marked: a text kept to the letter, or a list of tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.kind import Collector, Corpus, Files, Kind
from apps.data.kinds.spans import Spans
from apps.data.kinds.text import checked_text
from apps.data.raw import RawColumn, plain
from apps.data.tagged.conll import read_conll


class Words(str):
    """A text made of tokens with spaces between.

    Attributes:
        tokens: as they were given.
    """

    tokens: tuple[str, ...]

    def __new__(cls, tokens: Sequence[str]) -> Words:
        made = super().__new__(cls, " ".join(tokens))
        made.tokens = tuple(tokens)
        return made


def sentence() -> Column:
    """A column of texts, kept as they stand since spans count their characters, or of tokens."""
    return Column(Sentence())


@dataclass(frozen=True)
class Sentence(Kind):
    """A text; values are `str`, and `Words` where tokens were given."""

    aliases: ClassVar[tuple[str, ...]] = ("sentence", "tokens", "words", "content", "data")
    limit_bytes: ClassVar[int] = 1 << 20
    files: ClassVar[Files] = Files((".txt",), "texts")

    def parse(self, column: RawColumn) -> Sequence[str]:
        def form(value: Any) -> str:
            if isinstance(value, list | tuple):
                tokens = [str(plain(token)) for token in value]
                if any(not token.strip() for token in tokens):
                    raise ValueError("holds a token without characters; remove it")
                value = Words(tokens)
            if not isinstance(value, str):
                raise ValueError(
                    f"is of type {type(value).__name__}; give a text, or a list of tokens"
                )
            checked_text(value, column.limit_bytes, "split it into several rows")
            return value

        listed = [value.tolist() if hasattr(value, "tolist") else value for value in column.values]
        given = RawColumn(column.name, listed, column.places, limit_bytes=column.limit_bytes)
        return ["" if value is None else value for value in given.each(form)]

    def is_value(self, value: Any) -> bool:
        """A list of strings is one sentence, given as tokens."""
        return super().is_value(value) or (
            isinstance(value, list) and all(isinstance(token, str) for token in value)
        )

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """A file of columns: a token and its tag on each line."""
        found = None if path.is_dir() else read_conll(path, is_header)
        if found is None:
            return None
        return Corpus(
            {"text": found.texts, "spans": found.spans},
            found.places,
            path,
            "a file of columns",
            {
                "text": lambda kind: isinstance(kind, Sentence),
                "spans": lambda kind: isinstance(kind, Spans),
            },
        )

    def tfds(self, feature: Any) -> Collector:
        """A collector of texts or lists of tokens."""
        return Collector(lambda value: value.tolist() if hasattr(value, "tolist") else value)
