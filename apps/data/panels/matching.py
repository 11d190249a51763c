"""Which of some keys, each the name of a series or of its file, a series has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from apps.data.columns import quoted
from apps.errors import UserError

_TABLES = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json")


@dataclass(frozen=True, order=True)
class Match:
    """How well a key fits a series; the greater, the better.

    Attributes:
        named: whether it is the name of the series.
        parts: how many parts of the path, from its end, are those of the key.
        whole: whether these are all parts of the key.
        exact: whether the suffix of the file is that of the key.
        key: the key.
    """

    named: bool
    parts: int
    whole: bool
    exact: bool
    key: str


def match(name: str, source: str, keys: Iterable[str], where: str) -> Match | None:
    """The key that fits a series best.

    Args:
        name: of the series, "" where it has none.
        source: its file.
        keys: each a name of a series, of a file with or without suffix, or the end of a path. A
            file in another folder than the key says fits too where no key fits better.
        where: the keys stand, for the message.

    Returns:
        The match, None where no key fits.

    Raises:
        UserError: several keys fit as well.
    """
    found = [one for key in keys if (one := _fit(key, name, source)) is not None]
    if not found:
        return None
    best = max(found)
    alike = [one.key for one in found if _rank(one) == _rank(best)]
    if len(alike) > 1:
        raise UserError(
            f"{where}: {quoted(alike)} fit {source} alike; give it a key of its own, with its "
            "folder"
        )
    return best


def _rank(one: Match) -> tuple[bool, int, bool, bool]:
    return one.named, one.parts, one.whole, one.exact


def _fit(key: str, name: str, source: str) -> Match | None:
    if name and key == name:
        return Match(True, 0, True, True, key)
    wanted = PurePosixPath(key.replace("\\", "/")).parts[::-1]
    there = Path(source).absolute().parts[::-1]
    if not wanted or not there:
        return None
    last, file = (PurePosixPath(parts[0].removesuffix(".gz")) for parts in (wanted, there))
    stem = last.stem if last.suffix.lower() in _TABLES else last.name
    if last.name != file.name and stem != file.stem:
        return None
    parts = 1
    for one, other in zip(wanted[1:], there[1:], strict=False):
        if one != other:
            break
        parts += 1
    return Match(False, parts, parts == len(wanted), last.name == file.name, key)
