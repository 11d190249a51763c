"""Documents: whole texts, as a language model reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from apps.data.columns import Column
from apps.data.files import explained
from apps.data.kind import Corpus, Files, Kind
from apps.data.kinds.text import Text
from apps.errors import UserError

# Files that hold a text in each row.
_TABLES = frozenset((".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json"))
_TEXTS = (".txt", ".text", ".md")


def document(*, aliases: Iterable[str] = ()) -> Column:
    """A column of whole texts in NFC, white space as it is."""
    return Column(Document(), aliases=tuple(aliases))


@dataclass(frozen=True)
class Document(Text):
    """A whole text; values are `str`. A plain file is one, a folder of them several."""

    limit_bytes: ClassVar[int] = 1 << 30
    files: ClassVar[Files] = Files(_TEXTS, "texts")
    file_is_value: ClassVar[bool] = True

    def corpus(self, path: Path, is_header: Callable[[Sequence[str]], bool]) -> Corpus | None:
        """A file that is no table, or all files of text in a folder, at any depth."""
        if path.is_dir():
            found = sorted(file for file in path.rglob("*") if _is_text(file, path))
            if not found:
                raise UserError(
                    f"{path} holds no text ({', '.join(_TEXTS)}, each also .gz); add some"
                )
            files = found
        elif _suffix(path) in _TABLES:
            return None
        else:
            files = [path]
        texts = []
        for file in files:
            with explained(file):
                texts.append(self.read_file(file))
        places = [str(file) for file in files]
        holders = {"text": _is_document}
        return Corpus({"text": texts}, places, path, "plain text", holders)


def _is_document(kind: Kind) -> bool:
    return isinstance(kind, Document)


def _suffix(path: Path) -> str:
    return Path(path.stem if path.suffix.lower() == ".gz" else path.name).suffix.lower()


def _is_text(file: Path, folder: Path) -> bool:
    hidden = any(part.startswith((".", "__MACOSX")) for part in file.relative_to(folder).parts)
    return file.is_file() and not hidden and _suffix(file) in _TEXTS
