"""One side of a pair of texts, such as a sentence in one of two languages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from apps import environment
from apps.data.columns import Column
from apps.data.files import check_decoded, open_text
from apps.data.kind import Corpus, Files, Kind
from apps.data.kinds.text import Text
from apps.data.lines import text_lines
from apps.errors import UserError

_TABS = (".tsv", ".tab")
_FORMATS = frozenset(".csv .tsv .tab .txt .gz .zip .xls .xml .pdf .bz2 .xz .zst".split())
# Names of languages as data sets write them: en, de-AT, pt_BR, eng.
_LANGUAGE = re.compile(r"[a-z]{2,3}([-_][A-Za-z]{2,4})?")
_NAMES = frozenset("source target src tgt trg english german french spanish".split())


def sides(source: str, target: str) -> dict[str, Column]:
    """Columns of both sides, the target being missing where a user only asks."""
    roles = ((source, ("src",)), (target, ("tgt", "trg")))
    return {
        name: Column(Side(number=number, names=(source, target)), True, aliases)
        for number, (name, aliases) in enumerate(roles)
    }


@dataclass(frozen=True)
class Side(Text):
    """A text; values are `str`.

    Attributes:
        number: 0 of the source, 1 of the target.
        names: of the columns of both.
    """

    number: int = 0
    names: tuple[str, str] = ("source", "target")
    # A file for each text would not say which two are a pair.
    files: ClassVar[Files | None] = None  # type: ignore[assignment]

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """A table of two columns that are not named as the columns are, or lines of a language."""
        suffix = Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()
        if path.is_dir() or self.number:
            return None
        if _LANGUAGE.fullmatch(suffix[1:]) and suffix not in _FORMATS:
            return self._lines(path)
        return self._table(path, is_header) if suffix in _TABS else None

    def _lines(self, path: Path) -> Corpus:
        """A file whose suffix is a language: one text a line, of the source."""
        texts = text_lines(path)
        places = [f"{path} row {row}" for row in range(1, len(texts) + 1)]
        layout = f"a file of one language (name both: {path.name},OTHER)"
        return Corpus({self.names[0]: texts}, places, path, layout, {self.names[0]: _holder(0)})

    def _table(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        rows: list[list[str]] = []
        numbers: list[int] = []
        with open_text(path) as stream:
            for number, line in enumerate(stream, 1):
                fields = line.rstrip("\r\n").split("\t")
                if not rows and (is_header(fields) or len(fields) < 2):
                    return None
                if not rows and len(fields) > 2:
                    raise UserError(
                        f"{path} has {len(fields)} columns; say in a first row what they are, and "
                        f"which are the two: --columns {self.names[0]}=NAME,{self.names[1]}=NAME"
                    )
                if not line.strip():
                    continue
                if len(fields) != 2:
                    raise UserError(
                        f"{path} line {number} has {len(fields)} columns, not 2; correct it there"
                    )
                for field in fields:
                    check_decoded(field, path, f"{path} line {number}")
                rows.append(fields)
                numbers.append(number)
        if not rows:
            return None
        first = rows[0]
        if _are_names(first):
            rows, numbers = rows[1:], numbers[1:]
            environment.say(f"{path}: from '{first[0]}' to '{first[1]}'")
        else:
            environment.say(f"{path}: without names of columns: the first one is the source")
        columns = list(zip(*rows, strict=True)) or [(), ()]
        places = [f"{path} row {row}" for row in range(1, len(rows) + 1)]
        return Corpus(
            dict(zip(self.names, columns, strict=True)),
            places,
            path,
            "a table of two columns",
            {name: _holder(number) for number, name in enumerate(self.names)},
        )


def _holder(number: int) -> Callable[[Kind], bool]:
    return lambda kind: isinstance(kind, Side) and kind.number == number


def _are_names(fields: Sequence[str]) -> bool:
    """Whether two fields name languages or sides, rather than being a pair of texts."""
    named: Any = [field.strip() for field in fields]
    return len(set(named)) == len(named) and all(
        _LANGUAGE.fullmatch(field) or field.casefold() in _NAMES for field in named
    )
