"""Lists of names that a tagger knows before it sees a text: packaged ones, or the user's own."""

from __future__ import annotations

import functools
import importlib.resources
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from apps import environment
from apps.data import label, read
from apps.errors import UserError
from apps.layers.phrases import MOST_LISTS
from apps.layers.token_features import folded_phrases
from apps.layers.unicode_form import composed

PACKAGED = "names"
# Of each list: Mimesis's file of a locale that has it, and where it stands in there.
_SOURCES = {
    "first name": ("person", ("names",)),
    "surname": ("person", ("surnames",)),
    "city": ("address", ("city",)),
    "country": ("address", ("country", "state.name", "continent")),
    "company": ("finance", ("company.name", "banks")),
}
_MOST_NAMES = 500_000
# More tokens than this are hardly ever met; letters as tokens make names longer.
_LONGEST, _LONGEST_IN_LETTERS = 6, 16
# A name of one letter is met in every text and says nothing.
_SHORTEST = 2
_ALWAYS = "0123456789 "

# Each list with its names.
Names = tuple[tuple[str, frozenset[str]], ...]


def known_names(
    source: str | None, texts: Sequence[str], *, letters: bool
) -> dict[str, Any] | None:
    """Arguments of `Phrases`, said in one line; None where there are no lists.

    Names with a character that the training texts lack, which are mostly those of other scripts,
    are left out.

    Args:
        source: `PACKAGED`, a file of names and types, or None.
        texts: the training texts.
        letters: whether every letter is a token.

    Raises:
        UserError: the file is missing or malformed, or has too many names or types.
    """
    if source is None:
        return None
    names = _packaged() if source == PACKAGED else _own(source)
    characters = frozenset(_ALWAYS).union(*(composed(text).lower() for text in texts))
    lines, used = _lines(names, characters, letters)
    left = sum(len(held) for _, held in names) - sum(used)
    found = ", ".join(f"{n:,} of {name}" for n, (name, _) in zip(used, names, strict=True))
    environment.say(
        f"lists ({source}; --set lists=none uses none): {found}; {left:,} left out (of letters "
        "that no training text holds, of one letter, or of too many words)"
    )
    if not lines:
        return None
    return {"lists": [name for name, _ in names], "lines": lines}


@functools.cache
def _packaged() -> Names:
    """The names that Mimesis has for its locales."""
    from mimesis.datasets.int.datetime import TIMEZONES

    names: dict[str, set[str]] = {name: set() for name in _SOURCES}
    for locale in (importlib.resources.files("mimesis") / "datasets").iterdir():
        for name, (file, keys) in _SOURCES.items():
            content = locale / f"{file}.json"
            if content.is_file():
                held = json.loads(content.read_text(encoding="utf-8"))
                for key in keys:
                    names[name].update(_texts(held, key))
    # Capitals of the world, which a locale's cities lack: Europe/London.
    names["city"].update(zone.rpartition("/")[2].replace("_", " ") for zone in TIMEZONES)
    return tuple((name, frozenset(held)) for name, held in names.items())


def _texts(held: Any, key: str) -> Iterator[str]:
    """All texts at a place such as `company.name`, however deep."""
    for part in filter(None, key.split(".")):
        held = held.get(part, ()) if isinstance(held, Mapping) else ()
    if isinstance(held, str):
        yield held
    elif isinstance(held, Mapping):
        for inner in held.values():
            yield from _texts(inner, "")
    else:
        for inner in held:
            yield from _texts(inner, "")


def _own(file: str) -> Names:
    """The names of a user's file by type."""
    try:
        rows = read(file, {"name": label(), "type": label()})
    except UserError as error:
        # What --columns says is about the examples.
        what, names_columns, _ = str(error).partition("--columns")
        if not names_columns:
            raise
        what = what.partition(";")[0]
        raise UserError(f"{what}; give a table with the columns 'name' and 'type'") from None
    if len(rows) > _MOST_NAMES:
        raise UserError(f"{rows.source}: {len(rows):,} names; give at most {_MOST_NAMES:,}")
    names: dict[str, set[str]] = {}
    for name, kind in zip(rows["name"], rows["type"], strict=True):
        names.setdefault(kind, set()).add(name)
    if len(names) > MOST_LISTS:
        raise UserError(f"{rows.source}: {len(names):,} types; give at most {MOST_LISTS}")
    return tuple((kind, frozenset(names[kind])) for kind in sorted(names))


@functools.lru_cache(4)
def _lines(names: Names, characters: frozenset[str], letters: bool) -> tuple[str, list[int]]:
    """Lines as `Phrases` takes them, in order, and how many names each list gave."""
    longest = _LONGEST_IN_LETTERS if letters else _LONGEST
    members: defaultdict[str, list[str]] = defaultdict(list)
    used = [0] * len(names)
    for number, (_, held) in enumerate(names):
        possible = [name for name in sorted(held) if characters.issuperset(composed(name).lower())]
        for phrase in folded_phrases(possible, letters=letters):
            if len(phrase) >= _SHORTEST and phrase.count(" ") < longest:
                used[number] += 1
                if str(number) not in members[phrase]:
                    members[phrase].append(str(number))
    return "".join(f"{phrase}\t{','.join(members[phrase])}\n" for phrase in sorted(members)), used
