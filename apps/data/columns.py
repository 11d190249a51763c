"""What an application asks of a data source: named columns, their kinds, and where to find them."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from apps.data.kind import Kind
from apps.errors import UserError, nearest


@dataclass(frozen=True)
class Column:
    """One column that an application reads; made by the functions in `kinds`.

    Attributes:
        kind: what the values are.
        required: whether a source without this column is refused.
        aliases: names that sources use for such a column, tried in this order after its own name
            and before the aliases of its kind.
        limit_bytes: longest admissible value, in bytes of UTF-8; that of its kind if None.
    """

    kind: Kind
    required: bool = True
    aliases: tuple[str, ...] = ()
    limit_bytes: int | None = None


# A number, many words, or the name of a file.
_LIKE_DATA = re.compile(r"\s*-?[\d.,:]+\s*|(\S+\s+){3}.*|\S+\.[a-z][a-z0-9]{2,3}", re.DOTALL)


def _alike(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def quoted(names: Iterable[object], most: int = 8) -> str:
    """The names in quotes with commas between, cut after `most` of them."""
    listed = [f"'{name}'" for name in names]
    tail = [f"… ({len(listed)} in all)"] if len(listed) > most else []
    return ", ".join(listed[:most] + tail)


def parse_rename(text: str, columns: Mapping[str, Column]) -> dict[str, str]:
    """Read the command line's `--columns text=review,label=stars`.

    Args:
        text: comma-separated `column=name in the source`.
        columns: the application's column names and what each holds.

    Returns:
        The application's column name to the source's.

    Raises:
        UserError: an entry is malformed, unknown or given twice.
    """
    rename: dict[str, str] = {}
    for entry in text.split(","):
        column, equals, name = (part.strip() for part in entry.partition("="))
        if not (column and equals and name):
            raise UserError(
                f"--columns {text}: '{entry.strip()}' is not COLUMN=NAME; "
                f"write for example --columns {next(iter(columns))}=NAME"
            )
        if column in rename:
            raise UserError(f"--columns {text}: '{column}' is given twice; name it once")
        rename[column] = name
    _check_rename(rename, columns)
    return rename


def _check_rename(rename: Mapping[str, str], columns: Mapping[str, Column]) -> None:
    for column in rename:
        if column not in columns:
            raise UserError(
                f"--columns: there is no column '{column}' to rename{nearest(column, columns)}"
            )
    for column, name in rename.items():
        if not columns[column].kind.by_name:
            continue
        # A column that keeps rows together, such as the speaker, may be wanted for itself as well.
        others = [
            other
            for other in columns
            if rename.get(other, other) == name and not columns[other].kind.keeps_rows_together
        ]
        if len(others) > 1 and column in others:
            raise UserError(
                f"--columns {column}={name}: {quoted(others)} would both be read from '{name}'; "
                "name another column for one"
            )


@dataclass(frozen=True)
class Schema:
    """The columns to read from a source: which, under which names, and which may be missing.

    Attributes:
        columns: the application's column names and what each holds, in the order of tuples.
        rename: column name to its name in the source, where they differ.
        optional: columns that may be missing this time although the application needs them.
        in_python: whether the source is a Python object, so that remedies speak of arguments.
    """

    columns: Mapping[str, Column]
    rename: Mapping[str, str] = field(default_factory=dict)
    optional: Collection[str] = ()
    in_python: bool = False

    def __post_init__(self) -> None:
        _check_rename(self.rename, self.columns)

    def requires(self, column: str) -> bool:
        """Whether a source without this column is refused: it is needed or was renamed."""
        named = column in self.rename and self.columns[column].kind.by_name
        wanted = self.columns[column].required or named
        return wanted and column not in self.optional

    @property
    def required(self) -> list[str]:
        """The names of the columns that a source must have."""
        return [name for name in self.columns if self.requires(name)]

    def first(self, asked: Callable[[Kind], bool]) -> str | None:
        """The first required column whose kind passes, else the first that passes, or None."""
        found = [name for name, column in self.columns.items() if asked(column.kind)]
        return next((name for name in found if self.requires(name)), next(iter(found), None))

    def beside(self, fields: Iterable[str], taken: Collection[str]) -> list[str]:
        """The fields that are not `taken` by a column but that some kind sees."""
        kinds = [column.kind for column in self.columns.values()]
        return [f for f in fields if f not in taken and any(kind.sees(f) for kind in kinds)]

    def find(self, column: str, fields: Iterable[str], source: str) -> str | None:
        """The source's field that holds a column.

        Args:
            column: the application's column name.
            fields: the names in the source; matched exactly, else regardless of case and of how
                letters with marks are composed, else by the aliases of a column that is not
                renamed.
            source: what is being read, for the message.

        Returns:
            The field's name, or None where the source has none.

        Raises:
            UserError: several fields are alike and none is exactly a name of the column.
        """
        names = list(fields)
        for name in self._names(column):
            if name in names:
                return name
            alike = [other for other in names if _alike(other) == _alike(name)]
            if len(alike) > 1:
                raise UserError(
                    f"{source}: {quoted(alike)} could each be the column '{name}'; "
                    f"say which: {self.naming(column, alike[0])}"
                )
            if alike:
                return alike[0]
        return None

    def _names(self, column: str) -> list[str]:
        """The names a source may use for a column; an alias gives way to a column of that name."""
        if column in self.rename:
            return [self.rename[column]]
        taken = {*self.columns, *self.rename.values()}
        aliases = (*self.columns[column].aliases, *self.columns[column].kind.aliases)
        return [column, *(alias for alias in aliases if alias not in taken)]

    def match(self, fields: Sequence[str], source: str) -> dict[str, str]:
        """Find every column among the fields of a source.

        Args:
            fields: the names in the source.
            source: what is being read, for the message.

        Returns:
            Column name to field name, for the columns that the source has.

        Raises:
            UserError: a required column is missing, or two fields have one name.
        """
        times = Counter(unicodedata.normalize("NFC", field) for field in fields)
        twice = [field for field in times if field and times[field] > 1]
        if twice:
            raise UserError(f"{source}: the column '{twice[0]}' is there twice; rename one of them")
        found: dict[str, str] = {}
        for column in self.columns:
            name = self.find(column, fields, source)
            if name is not None:
                found[column] = name
            elif self.requires(column):
                raise self.missing(column, fields, source)
        return found

    def missing(self, column: str, fields: Iterable[str], source: str) -> UserError:
        """The error that lists the fields there are and says how to name the right one."""
        fields = list(fields)
        hint = ""
        if any(map(_LIKE_DATA.fullmatch, fields)):
            hint = "if that is a row of data, put a row of names above it; else "
        return UserError(
            f"{source} has no column '{self.rename.get(column, column)}'; "
            f"its columns are {quoted(fields) or 'none'}; {hint}"
            f"say which one holds the {column}: {self.naming(column)}"
        )

    def naming(self, column: str, name: str = "NAME") -> str:
        """What a user writes to say which field of a source holds a column."""
        return (
            f"columns={{'{column}': '{name}'}}" if self.in_python else f"--columns {column}={name}"
        )
