"""README.md and the pages of docs/: their blocks, and the commands in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
DOCS = CHECKOUT / "docs"
FILES = [CHECKOUT / "README.md", *sorted(DOCS.glob("*.md"))]
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in FILES}
_IN_SENTENCES = re.compile(r"`((?:\.venv/bin/)?python -m [^`\n]+)`")
_PLACEHOLDER = re.compile(r"[\[|…]")


def blocks(name: str, language: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", TEXTS[name], re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """What lines of shell start with `python -m`: the module and its arguments."""
    lines = text.replace("\\\n", " ").splitlines()
    started = [words for line in lines if "python -m" in line for words in _programs(line)]
    return [
        words[words.index("-m") + 1 :]
        for words in started
        if "-m" in words and words[words.index("-m") - 1].endswith("python")
    ]


def all_commands(name: str) -> list[list[str]]:
    """The commands of a page, in its blocks and within its sentences."""
    told = [one for one in _IN_SENTENCES.findall(TEXTS[name]) if not _PLACEHOLDER.search(one)]
    named = [command for one in told for command in commands(one)]
    # `python -m apps compare` names a command and gives none.
    whole = [one for one in named if one[2:] or one[0] not in ("apps", "tuning")]
    return [*commands("".join(blocks(name, "sh"))), *whole]


def _programs(line: str) -> Iterator[list[str]]:
    """The words of each program that a line starts."""
    found: list[str] = []
    for word in [*shlex.split(line, comments=True), "|"]:
        if word in ("|", "&&", ";"):
            yield found
            found = []
        else:
            found.append(word)
