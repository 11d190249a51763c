"""Kinds of column values: one class per kind holds all that readers need to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from apps.data.content import Update, feed
from apps.data.examples import Examples
from apps.data.files import check_decoded, open_text
from apps.data.raw import RawColumn


@dataclass(frozen=True)
class Files:
    """The files of a folder per class that hold one value each.

    Attributes:
        suffixes: in lower case, with their dots.
        called: what messages call several such values.
        depth: how many folders may lie between a class and a file: 1 where each speaker has one.
        is_one: whether a folder is a value itself, as one that holds the frames of a clip.
    """

    suffixes: tuple[str, ...]
    called: str
    depth: int = 0
    is_one: Callable[[Path], bool] = lambda folder: False


@dataclass(frozen=True)
class Corpus:
    """The content of a corpus whose layout a kind knows.

    Attributes:
        fields: names of fields to their unchecked values, one for each row.
        places: where each row stands.
        source: the folder or file.
        layout: what messages call its layout.
        holders: fields that go to a column of the right kind, whatever the column is called; each
            with a test for that kind.
    """

    fields: Mapping[str, Sequence[Any]]
    places: Sequence[str]
    source: Path
    layout: str
    holders: Mapping[str, Callable[[Kind], bool]] = field(default_factory=dict)


class Collector:
    """Values of a feature of TensorFlow Datasets, taken one row after the other.

    Args:
        convert: makes the raw value that `Kind.parse` takes from the value that TFDS gives.
    """

    def __init__(self, convert: Callable[[Any], Any] | None = None) -> None:
        self._convert = convert
        self._values: list[Any] = []

    def add(self, value: Any) -> None:
        """Take the value of the next row."""
        self._values.append(value if self._convert is None else self._convert(value))

    def values(self) -> Sequence[Any]:
        """The raw values of all rows."""
        return self._values


class Kind(ABC):
    """What a column's values are. A new kind is a class in a file of its own.

    Attributes:
        aliases: names that sources give to such columns.
        limit_bytes: longest admissible value, in bytes of UTF-8; None where there is no limit.
        files: the files in a folder per class that hold its values; None where it has none.
        names_classes: whether its values name the folders of a folder per class.
        keeps_rows_together: whether rows of equal value stay on the same side of a split.
        by_path: whether a user may name a file, as a `str`, where a value is asked for.
        slow: whether parsing takes long, so that the other columns are checked first.
        by_name: whether a column of a source is read for having its name.
        file_is_value: whether a plain text is one value where rows are learnt from or measured on;
            where it asks, each line is a value.
    """

    aliases: ClassVar[tuple[str, ...]] = ()
    limit_bytes: ClassVar[int | None] = None
    files: ClassVar[Files | None] = None
    names_classes: ClassVar[bool] = False
    keeps_rows_together: ClassVar[bool] = False
    by_path: ClassVar[bool] = False
    slow: ClassVar[bool] = False
    by_name: ClassVar[bool] = True
    file_is_value: ClassVar[bool] = False

    @abstractmethod
    def parse(self, column: RawColumn) -> Sequence[Any]:
        """Check the values of a column and convert them.

        Args:
            column: the values as the reader found them.

        Returns:
            A value for each row, None where it is missing.

        Raises:
            UserError: a value is not of this kind; names row and remedy.
        """

    def sees(self, field: str) -> bool:
        """Whether `parse` uses a field of the source that is not read as a column."""
        return False

    def is_value(self, value: Any) -> bool:
        """Whether a row passed in from Python is a single value, not several."""
        return not isinstance(value, Mapping | tuple | list)

    def place(self, value: Any) -> str | None:
        """What to call a row that is a single raw value; None for its number."""
        return None

    def read_file(self, path: Path) -> Any:
        """The raw value in one of `files`: its text, unless a kind reads it otherwise.

        Raises:
            UserError: the file cannot be read.
        """
        with open_text(path) as stream:
            content = stream.read()
        check_decoded(content, path, str(path))
        return content

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """Read a corpus whose layout this kind knows.

        Args:
            path: a folder, or a file with the suffix of a table.
            is_header: whether some fields are those of a header, which name a column of this kind.

        Returns:
            What it holds, or None where it is not such a corpus.

        Raises:
            UserError: it is such a corpus, but something in it is malformed.
        """
        return None

    def read(self, source: Any, rename: Mapping[str, str]) -> Examples | None:
        """Read a whole source where a value of this kind is a table.

        Args:
            source: as `sources.read` takes it, the sample aside.
            rename: column to its name in the source.

        Returns:
            The rows, or None where the source is read column by column.

        Raises:
            UserError: it is such a source, but something in it is malformed.
        """
        return None

    def tfds(self, feature: Any) -> Collector:
        """A collector for the values of a feature of TensorFlow Datasets."""
        return Collector()

    def digest(self, value: Any, update: Update) -> None:
        """Feed the content of a checked value into a hash.

        Args:
            value: what `parse` made.
            update: takes bytes and separates calls from each other, so that content needs no size
                before it.
        """
        feed(value, update)
