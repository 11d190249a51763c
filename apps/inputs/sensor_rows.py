"""Rows of sensors as they come from a file or a pipe, cut into cells and read."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment
from apps.configuration import Options, fixed
from apps.data.files import explained, open_text
from apps.data.foreign import GZIP_MAGIC
from apps.data.panels import naming
from apps.data.panels.cells import HOLES
from apps.data.panels.clock import read_times
from apps.data.panels.numerals import read_numerals
from apps.data.panels.ordering import localised
from apps.errors import UserError, nearest

_BYTES = 1 << 16
_DELIMITERS = (",", ";", "\t", "|")
_STATED = re.compile(r'"?sep=([,;\t|])"?\s*', re.IGNORECASE)
_PLAIN = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[-+]?\d{1,3}(\.\d{3})+(,\d*)?", re.ASCII)


@dataclass(frozen=True)
class SensorOptions(Options):
    """How a table of sensors is followed.

    `delimiter` stands between its cells; it is taken from the first line unless given. `decimal`
    stands before decimals; it is that of the data that were learnt from unless given.
    """

    delimiter: str | None = fixed(None, choices=_DELIMITERS)
    decimal: str | None = fixed(None, choices=(".", ","))


@dataclass(frozen=True, eq=False)
class Block:
    """Rows that came together.

    Attributes:
        lines: their numbers in the source from 1.
        times: as they were written, or the numbers of the rows.
        moments: `(rows,)` float64: seconds since 1970, or numbers.
        values: `(rows, channels)` float64, NaN for holes.
    """

    lines: Sequence[int]
    times: Sequence[str]
    moments: np.ndarray
    values: np.ndarray


class SensorRows:
    """The rows of a table, as many at a time as have come.

    Args:
        source: a file, or the stream of bytes of one, whose first line names the columns.
        metadata: `channels`, and how times and numbers are written.
        options: how cells are told apart and numbers are written.
    """

    def __init__(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: SensorOptions
    ) -> None:
        self.name = str(source) if isinstance(source, Path) else "standard input"
        self._source, self._about, self._between = source, metadata, options.delimiter
        self._decimal = options.decimal or metadata["decimal"] or "."
        self._channels: list[str] = metadata["channels"]["targets"]
        self._header: list[str] = []
        self._line = self._read = self._again = 0
        self._series: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator[Block]:
        """Blocks of rows.

        Raises:
            UserError: the first line lacks a channel, a row is not as wide as that, a cell is no
                number or no time, or there is no row at all; names the line.
        """
        for lines in _lines(self._source):
            yield from self._whole_rows(lines)
        if not self._header:
            raise UserError(f"{self.name} has no line; its first one must name the columns")
        if not self._read:
            raise UserError(f"{self.name} has a header but no rows; rows must follow it")
        if self._again:
            environment.say(
                f"{self.name}: {naming.counted(self._again, 'row')} passed over, the header once "
                "more"
            )

    def _whole_rows(self, lines: Sequence[str]) -> Iterator[Block]:
        """The rows of some lines; those before one that is wrong come before the error."""
        rows: list[tuple[int, list[str]]] = []
        wrong: UserError | None = None
        try:
            for line in lines:
                if (cells := self._cells(line)) is not None:
                    rows.append(cells)
        except UserError as error:
            wrong = error
        right, count = None, len(rows)
        try:
            right = self._block(rows) if rows else None
        except UserError as error:
            wrong, low = error, 0
            while count - low > 1:
                middle = (low + count) // 2
                try:
                    right, low = self._block(rows[:middle]), middle
                except UserError:
                    count = middle
        if right is not None:
            self._read += len(right.lines)
            yield right
        if wrong is not None:
            raise wrong

    def _cells(self, line: str) -> tuple[int, list[str]] | None:
        """Number and cells of a line that is a row."""
        self._line += 1
        if not line.strip():
            return None
        if not self._header:
            stated = _STATED.fullmatch(line)
            if stated:
                self._between = self._between or stated[1]
                return None
            if not self._begun(line):
                return None
        cells = next(csv.reader([line], delimiter=self._between or ","))
        width = len(self._header)
        if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
            remedy = "complete the row, or remove it"
            if len(cells) > width:
                remedy = f"put quotes around a cell that holds '{self._between}'"
            raise UserError(
                f"{self.name} line {self._line} has {naming.counted(len(cells), 'cell')}, the "
                f"header {width}; {remedy}"
            )
        if cells[self._places[0]].strip() == self._header[self._places[0]] and (
            [cell.strip() for cell in cells[:width]] == self._header
        ):
            self._again += 1
            return None
        return (self._line, cells) if any(map(str.strip, cells)) else None

    def _begun(self, line: str) -> bool:
        """Take the first line; whether it is a row, as of numbers without a header."""
        counts = {mark: line.count(mark) for mark in _DELIMITERS}
        self._between = self._between or max(counts, key=lambda mark: counts[mark])
        header = [cell.strip() for cell in next(csv.reader([line], delimiter=self._between))]
        about = self._about["channels"]
        alone = len(header) == len(self._channels) == 1 and not about["time"]
        if alone and _PLAIN.fullmatch(header[0]):
            self._header, self._places, self._clock, self._ids = ["value"], [0], [], []
            return True
        self._header = header
        for name in header:
            if name and header.count(name) > 1:
                raise UserError(
                    f"{self.name} line {self._line}: the column '{name}' is there twice; rename one"
                )
        self._places = [
            self._place(name, "a channel of the data that were learnt from")
            for name in self._channels
        ]
        self._clock = self._clock_of(about["time"])
        named = (naming.alike(name, header) for name in about["id"])
        self._ids = [header.index(name) for name in named if name is not None]
        return False

    def _clock_of(self, time: str) -> list[int]:
        """The columns of the time; those of a date and a clock are parted by "+"."""
        parts = time.split("+")
        if len(parts) > 1 and naming.alike(time, self._header) is None:
            return [self._place(name, "a part of the time") for name in parts]
        return [self._place(time, "the time of the data that were learnt from")] if time else []

    def _place(self, name: str, what: str) -> int:
        found = naming.alike(name, self._header)
        if found is None:
            raise UserError(
                f"{self.name} line {self._line}: no column '{name}', {what}"
                f"{nearest(name, self._header)}; the first line must name the columns"
            )
        return self._header.index(found)

    def _block(self, numbered: Sequence[tuple[int, list[str]]]) -> Block:
        lines, rows = zip(*numbered, strict=True)
        for line, cells in zip(lines, rows, strict=True):
            series = tuple(cells[place].strip() for place in self._ids)
            if self._series is None:
                self._series = series
            if series != self._series:
                raise UserError(
                    f"{self.name} line {line} is of the series '{'/'.join(series)}', the rows "
                    f"before of '{'/'.join(self._series)}'; stream each series by itself"
                )
        if self._clock:
            times = [" ".join(row[at].strip() for at in self._clock) for row in rows]
            moments = self._moments(times, lines)
        else:
            numbers = range(self._read, self._read + len(rows))
            times = list(map(str, numbers))
            moments = np.array(numbers, np.float64) * float(self._about["channels"]["step"]["size"])
        values = [
            self._values(channel, lines, [row[place].strip() for row in rows])
            for channel, place in zip(self._channels, self._places, strict=True)
        ]
        return Block(lines, times, moments, np.stack(values, 1))

    def _moments(self, times: Sequence[str], lines: Sequence[int]) -> np.ndarray:
        import pyarrow as pa

        order, zone = self._about["date_order"], self._about["timezone"]
        found = read_times(
            pa.array(times, pa.large_string()),
            lambda row: f"{self.name} line {lines[row]}",
            self._about["channels"]["time"],
            order,
            order,
        )
        dated = self._about["channels"]["step"]["dated"]
        if found is None or found.dated != dated:
            kind = "date" if dated else "number"
            raise UserError(
                f"{self.name} line {lines[0]}: the time '{times[0][:40]}' is no {kind}, as those "
                "of the data that were learnt from are; correct it, or remove the row"
            )
        if zone and dated and not found.zoned:
            return localised(found.values, zone, np.ones(len(times), bool))
        return found.values

    def _values(self, channel: str, lines: Sequence[int], texts: Sequence[str]) -> np.ndarray:
        found = np.full(len(texts), np.nan)
        for row, text in enumerate(texts):
            if text.lower() not in HOLES:
                found[row] = self._number(text)
                if not np.isfinite(found[row]):
                    what, remedy = "a finite number", "correct it, or empty the cell"
                    other = "," if self._decimal == "." else "."
                    if other in text and _PLAIN.fullmatch(text.replace(other, ".")):
                        what = f"a number with decimals after '{self._decimal}'"
                        remedy = f"say how numbers are written: --decimal '{other}'"
                    raise UserError(
                        f"{self.name} line {lines[row]}: '{channel}' is '{text[:40]}', not {what}; "
                        f"{remedy}"
                    )
        return found

    def _number(self, text: str) -> float:
        """What a cell says, not finite if it is no number."""
        plain = text
        if self._decimal == ",":
            if "." in text and not _THOUSANDS.fullmatch(text):
                return float("nan")
            plain = text.replace(".", "").replace(",", ".")
        return float(plain) if _PLAIN.fullmatch(plain) else self._written(text)

    def _written(self, text: str) -> float:
        """A number with a currency, a percent sign or marks for thousands, NaN if it is none."""
        import pandas

        found = read_numerals({"cell": pandas.Series([text])}, self._decimal, self._decimal)["cell"]
        return float("nan") if found.wrong.any() else float(found.values[0])


def _lines(source: Path | io.RawIOBase) -> Iterator[list[str]]:
    """What has arrived, cut into lines."""
    if not isinstance(source, Path):
        yield from _whole(source)
    elif source.is_file():
        with open_text(source) as text:
            yield from _whole(text.buffer)
    else:
        with explained(source), source.open("rb", buffering=0) as pipe:
            yield from _whole(pipe)


def _whole(file: Any) -> Iterator[list[str]]:
    utf_8 = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    decoder = io.IncrementalNewlineDecoder(utf_8, translate=True)
    rest, first = "", True
    while piece := file.read(_BYTES):
        if first:
            first = False
            if piece.startswith(GZIP_MAGIC):
                raise UserError("standard input is compressed by gzip; unpack it: gunzip -c FILE |")
            if piece.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise UserError("standard input is UTF-16; convert it: iconv -f UTF-16 -t UTF-8 |")
        *lines, rest = (rest + decoder.decode(piece)).split("\n")
        if lines:
            yield lines
    *lines, rest = (rest + decoder.decode(b"", final=True)).split("\n")
    if rest.strip():
        lines.append(rest)
    if lines:
        yield lines
