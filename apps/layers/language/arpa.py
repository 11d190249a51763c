"""N-gram models as ARPA files, plain or compressed with gzip."""

from __future__ import annotations

import gzip
import math
import os
import re
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from apps.atomic import write_atomically
from apps.errors import UserError

UNKNOWN, BEGIN, END = 0, 1, 2
SPECIAL = ("<unk>", "<s>", "</s>")

# The log10 that stands for probability 0 in ARPA files.
NEVER = -99.0

_GZIP = b"\x1f\x8b"
_COUNT = re.compile(rb"ngram\s+(\d+)\s*=\s*(\d+)")
_SECTION = re.compile(rb"\\(\d+)-grams:")


@dataclass(frozen=True, eq=False)
class Ngrams:
    """The n-grams of one order, sorted by context, then word.

    Attributes:
        contexts: `(n,)` int32, the index of the words before the last among the n-grams of the
            order below; 0 for single words.
        words: `(n,)` int32, the id of the last word; for single words 0, 1, 2, ….
        log10: `(n,)` float32, log10 of the probability of the last word after the others.
        backoff: `(n,)` float32, log10 of the back-off weight, 0 where nothing follows.
    """

    contexts: np.ndarray
    words: np.ndarray
    log10: np.ndarray
    backoff: np.ndarray

    def __len__(self) -> int:
        return len(self.words)

    def places(self, contexts: np.ndarray, words: np.ndarray, vocabulary: int) -> np.ndarray:
        """Indices of n-grams, `(m,)` int64; -1 for those that are missing."""
        keys = self.contexts.astype(np.int64) * vocabulary + self.words
        wanted = contexts.astype(np.int64) * vocabulary + words
        places = np.searchsorted(keys, wanted)
        places[places == len(keys)] = 0
        return np.where(keys[places] == wanted, places, -1) if len(keys) else places - 1


def read_arpa(path: str | os.PathLike[str]) -> tuple[tuple[str, ...], tuple[Ngrams, ...]]:
    """Read the words and n-grams of an ARPA file, in log10 as written there.

    `<unk>`, `<s>` and `</s>` get the ids 0, 1 and 2, and log10 probability -99 if the file
    lacks them. Fields are separated by tabs or spaces; a missing back-off weight is 0.

    Raises:
        UserError: the file is missing, damaged or not an ARPA file; the message names the line.
    """
    path = Path(path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == _GZIP
            raw.seek(0)
            return _Reader(path, gzip.open(raw) if packed else raw).read()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; name an n-gram model in ARPA format") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path}: cannot be read ({error}); give the whole file") from None


class _Reader:
    """Reads one ARPA file from top to bottom.

    Args:
        path: the file's name for messages.
        stream: its lines, uncompressed.
    """

    def __init__(self, path: Path, stream: Iterator[bytes]) -> None:
        self.path = path
        self.lines = enumerate(stream, 1)
        self.number = 0
        self.ids = {word.encode(): place for place, word in enumerate(SPECIAL)}

    def read(self) -> tuple[tuple[str, ...], tuple[Ngrams, ...]]:
        counts = self._header()
        levels: list[Ngrams] = []
        for order, count in enumerate(counts, 1):
            levels.append(self._section(order, count, levels))
        if self._line() != b"\\end\\":
            raise self._error("'\\end\\' expected")
        return self._words(), tuple(levels)

    def _line(self) -> bytes:
        """The next line that is not blank, stripped; b"" at the end of the file."""
        for number, line in self.lines:
            self.number = number
            if text := line.strip():
                return text
        return b""

    def _error(self, what: str) -> UserError:
        return UserError(f"{self.path}: line {self.number}: {what}; give a complete ARPA file")

    def _header(self) -> list[int]:
        line = self._line()
        while line != b"\\data\\":
            if not line:
                raise self._error("no '\\data\\' in the file")
            line = self._line()
        counts: list[int] = []
        while match := _COUNT.fullmatch(line := self._line()):
            if int(match[1]) != len(counts) + 1:
                raise self._error(f"'ngram {len(counts) + 1}=…' expected")
            counts.append(int(match[2]))
        if not counts or not counts[0]:
            raise self._error("no count of single words under '\\data\\'")
        self._check_title(line, 1)
        return counts

    def _check_title(self, line: bytes, order: int) -> None:
        match = _SECTION.fullmatch(line)
        if match is None or int(match[1]) != order:
            raise self._error(f"'\\{order}-grams:' expected")

    def _section(self, order: int, count: int, lower: Sequence[Ngrams]) -> Ngrams:
        if order > 1:
            self._check_title(self._line(), order)
        words, numbers = array("i"), array("q")
        log10, backoff = array("f"), array("f")
        for _ in range(count):
            fields = self._line().split()
            if not order < len(fields) <= order + 2:
                raise self._error(f"one of {count} {order}-grams expected, with its log10")
            log10.append(self._number(fields[0], most=1e-4))
            words.extend(self._word(word, order) for word in fields[1 : order + 1])
            backoff.append(self._number(fields[-1]) if len(fields) == order + 2 else 0.0)
            numbers.append(self.number)
        rows = np.array(words, np.int32).reshape(count, order)
        scores, weights = np.array(log10, np.float32), np.array(backoff, np.float32)
        if order == 1:
            return self._single_words(rows[:, 0], scores, weights, np.array(numbers))
        contexts = rows[:, 0].astype(np.int64)
        for place, level in enumerate(lower[1:], 1):
            contexts = level.places(contexts, rows[:, place], len(self.ids))
            if (contexts < 0).any():
                self.number = numbers[int(np.argmin(contexts))]
                raise self._error(f"the first {place + 1} words are no {place + 1}-gram")
        key = contexts * len(self.ids) + rows[:, -1]
        sorting = np.argsort(key, kind="stable")
        self._refuse_repeats(key[sorting], sorting, np.array(numbers))
        return Ngrams(
            contexts[sorting].astype(np.int32),
            rows[sorting, -1],
            scores[sorting],
            weights[sorting],
        )

    def _single_words(
        self, ids: np.ndarray, scores: np.ndarray, weights: np.ndarray, numbers: np.ndarray
    ) -> Ngrams:
        sorting = np.argsort(ids, kind="stable")
        self._refuse_repeats(ids[sorting], sorting, numbers)
        log10 = np.full(len(self.ids), NEVER, np.float32)
        backoff = np.zeros(len(self.ids), np.float32)
        log10[ids], backoff[ids] = scores, weights
        places = np.arange(len(self.ids), dtype=np.int32)
        return Ngrams(np.zeros_like(places), places, log10, backoff)

    def _refuse_repeats(self, keys: np.ndarray, sorting: np.ndarray, numbers: np.ndarray) -> None:
        repeated = np.flatnonzero(keys[1:] == keys[:-1])
        if len(repeated):
            self.number = int(numbers[sorting[repeated[0] + 1]])
            raise self._error("the same n-gram a second time")

    def _word(self, word: bytes, order: int) -> int:
        if word == b"<UNK>":
            word = b"<unk>"
        if order == 1:
            return self.ids.setdefault(word, len(self.ids))
        if word not in self.ids:
            raise self._error(f"'{word.decode(errors='replace')}' is not among the 1-grams")
        return self.ids[word]

    def _number(self, field: bytes, most: float = math.inf) -> float:
        try:
            number = float(field)
        except ValueError:
            number = math.nan
        if math.isnan(number) or number > most or number == math.inf:
            raise self._error(f"'{field.decode(errors='replace')}' is no log10 of this column")
        return max(number, NEVER)

    def _words(self) -> tuple[str, ...]:
        try:
            return tuple(word.decode() for word in self.ids)
        except UnicodeDecodeError:
            raise UserError(f"{self.path}: not in UTF-8; convert it, with `iconv` say") from None


def write_arpa(
    path: str | os.PathLike[str], words: Sequence[str], levels: Sequence[Ngrams]
) -> None:
    """Write an ARPA file atomically, compressed if its name ends in `.gz`.

    Numbers have nine digits, so that `read_arpa` gives the same float32.
    """
    path = Path(path)

    def write(stream: IO[bytes]) -> None:
        lines = (line.encode() for line in _lines(words, levels))
        if path.suffix == ".gz":
            with gzip.GzipFile("", "wb", fileobj=stream, mtime=0) as packed:
                packed.writelines(lines)
        else:
            stream.writelines(lines)

    write_atomically(path, write)


def _lines(words: Sequence[str], levels: Sequence[Ngrams]) -> Iterator[str]:
    yield "\\data\\\n"
    for order, level in enumerate(levels, 1):
        yield f"ngram {order}={len(level)}\n"
    texts: list[str] = []
    for order, level in enumerate(levels, 1):
        yield f"\n\\{order}-grams:\n"
        texts = [
            f"{texts[context]} {words[word]}" if order > 1 else words[word]
            for context, word in zip(level.contexts.tolist(), level.words.tolist(), strict=True)
        ]
        for text, score, weight in zip(texts, level.log10, level.backoff, strict=True):
            yield f"{score:.9g}\t{text}" + (f"\t{weight:.9g}\n" if weight else "\n")
    yield "\n\\end\\\n"
