"""The elements of a page or of a part of one, found by tag, identifier and class."""

from __future__ import annotations

import html.parser
from dataclasses import dataclass, field

_VOID = {"br", "hr", "img", "input", "link", "meta", "source"}


@dataclass
class Element:
    """An element with its attributes, and all text inside it, in pieces."""

    tag: str
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)
    inside: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """White space as one space."""
        return " ".join("".join(self.pieces).replace("\u202f", " ").replace("\xa0", " ").split())

    def rows(self) -> list[list[str]]:
        """The texts of a table's cells."""
        return [
            [cell.text for cell in row.inside if cell.tag in ("td", "th")]
            for row in self.inside
            if row.tag == "tr"
        ]


class Outline(html.parser.HTMLParser):
    """Reads markup.

    Args:
        markup: a page, or a part of one.
    """

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.whole = Element("", {})
        self._open = [self.whole]
        self.feed(markup)
        self.close()

    @property
    def text(self) -> str:
        """All text but that of style sheets."""
        return self.whole.text

    @property
    def tables(self) -> list[list[list[str]]]:
        """The texts of all tables' cells."""
        return [table.rows() for table in self.find("table")]

    def find(self, tag: str = "", **attributes: str) -> list[Element]:
        """Elements of a tag whose attributes hold these values; `class_` is one of the classes."""
        wanted = {name.rstrip("_"): value for name, value in attributes.items()}
        return [
            one
            for one in self.whole.inside
            if tag in ("", one.tag)
            and all(
                value in one.attributes.get(name, "").split()
                if name == "class"
                else one.attributes.get(name) == value
                for name, value in wanted.items()
            )
        ]

    def values(self, names: set[str]) -> list[str]:
        """The values of some attributes of all elements."""
        return [v for one in self.whole.inside for k, v in one.attributes.items() if k in names]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in _VOID:
            self._open.append(self._open[-1].inside[-1])

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        for one in self._open:
            one.pieces.append(" ")
            one.inside.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> inside <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open[-1].tag != "style":
            for one in self._open:
                one.pieces.append(data)
