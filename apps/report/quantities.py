"""How figures are named and written: metrics with direction and unit, sizes, times."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from numbers import Integral, Real
from typing import Any, Literal, Self

THIN_SPACE = "\u202f"
MISSING = "–"


@dataclass(frozen=True)
class Metric:
    """A figure that a task measures, declared with the task.

    Attributes:
        name: its key in `metrics.json` and in what `evaluate` prints.
        title: its name in words, as it stands inside a sentence.
        better: which direction is better; `"neither"` where a target value is to be met.
        rate: whether it is a fraction, written in per cent.
        unit: unit of measure, written after the figure.
    """

    name: str
    title: str
    better: Literal["higher", "lower", "neither"]
    rate: bool = False
    unit: str = ""

    @classmethod
    def unknown(cls, name: str) -> Self:
        """A metric without a direction, of which only the name is known."""
        return cls(name, words(name), "neither")

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The metric that `to_dict` wrote."""
        return cls(**fields)

    def to_dict(self) -> dict[str, Any]:
        """The fields by name, ready for JSON."""
        return asdict(self)

    def beats(self, value: float, than: float | None) -> bool:
        """Whether one value is better than another; any is than None, and any number than NaN."""
        if than is None or math.isnan(than):
            return than is None or not math.isnan(value)
        return value > than if self.better == "higher" else value < than

    def written(self, value: Any) -> str:
        """The value with its unit, `"91.3 %"`; a dash if it is not a finite number."""
        if not finite(value):
            return MISSING
        if self.rate:
            return percent(value)
        return decimal(value) + (f"{THIN_SPACE}{self.unit}" if self.unit else "")

    def difference(self, value: float) -> str:
        """The absolute difference between two values, `"4.2 points"`."""
        if self.rate:
            return f"{100 * abs(value):.1f}{THIN_SPACE}points"
        return self.written(abs(value))


LOSS = Metric("loss", "loss", "lower")


def finite(value: Any) -> bool:
    """Whether the value is a number, and neither infinite nor NaN."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def percent(value: float, digits: int = 1) -> str:
    """A fraction in per cent: 0.913 is `"91.3 %"`; a dash if it is not a finite number."""
    return f"{100 * value:.{digits}f}{THIN_SPACE}%" if finite(value) else MISSING


def decimal(value: Any) -> str:
    """A number with about four significant digits and grouped thousands; a dash if not finite."""
    if not finite(value):
        return MISSING
    if isinstance(value, Integral) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if value == 0 or abs(value) >= 0.01:
        return f"{value:.3f}" if abs(value) < 100 else f"{value:.1f}"
    return f"{value:.3g}"


def duration(seconds: Any) -> str:
    """Seconds as `"41 s"`, `"12.5 min"` or `"3.2 h"`; a dash if not finite."""
    if not finite(seconds):
        return MISSING
    for size, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f}{THIN_SPACE}{unit}"
    return f"{seconds:.0f}{THIN_SPACE}s"


def words(name: str) -> str:
    """An identifier as words: `"bag_of_words"` is `"bag of words"`."""
    return name.replace("_", " ").strip()


def capital(text: str) -> str:
    """The text with its first letter in upper case and the others as they are."""
    return text[:1].upper() + text[1:]


def excerpt(text: Any, limit: int) -> str:
    """One line of at most `limit` characters that any file format can hold.

    Args:
        text: anything; it is read with `str`.
        limit: longest result in characters, the ellipsis included.

    Returns:
        The text with runs of white space as one space, characters that neither HTML nor XML may
        hold replaced by U+FFFD, and cut near the end of a word where it is too long.
    """
    # Bounds the work: a text may be a megabyte long, and only its start is shown.
    start = str(text)[: 8 * limit]
    line = " ".join("".join(map(_representable, start)).split())
    if len(line) <= limit:
        return line
    cut = line[: limit - 1]
    space = cut.rfind(" ", limit // 2)
    return (cut[:space] if space > 0 else cut).rstrip() + "…"


def _representable(character: str) -> str:
    if character.isspace():
        return " "
    # Cc: controls, Cs: lone surrogates; code points ending in FFFE or FFFF are not characters.
    if unicodedata.category(character) in ("Cc", "Cs") or ord(character) & 0xFFFE == 0xFFFE:
        return "\ufffd"
    return character
