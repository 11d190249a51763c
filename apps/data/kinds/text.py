"""Free text."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from apps.data.columns import Column
from apps.data.kind import Collector, Files, Kind
from apps.data.raw import RawColumn

_SURROGATE = re.compile("[\ud800-\udfff]")
# What manifests of NeMo, Common Voice, Hugging Face and TFDS call the words of a recording.
_TRANSCRIPT_ALIASES = ("text", "sentence", "transcription", "normalized_text")


def text(
    *,
    required: bool = True,
    aliases: Iterable[str] = (),
    limit_bytes: int | None = None,
    as_sent: bool = False,
) -> Column:
    """A column of free text in Unicode's form NFC; an empty or missing one becomes `""`.

    Args:
        required: whether a source without this column is refused.
        aliases: names that sources use for such a column.
        limit_bytes: longest admissible value, in bytes of UTF-8; that of the kind if None.
        as_sent: keep the form that the source has, where answers count its characters.
    """
    return Column(Text(as_sent), required, tuple(aliases), limit_bytes)


def transcript(*, required: bool = True) -> Column:
    """The words of a recording: free text, under the names that speech corpora give it."""
    return text(required=required, aliases=_TRANSCRIPT_ALIASES)


@dataclass(frozen=True)
class Text(Kind):
    """Free text; values are `str`.

    Attributes:
        as_sent: whether values keep the Unicode form that the source has; else they are in NFC.
    """

    as_sent: bool = False
    limit_bytes: ClassVar[int] = 1 << 20
    files: ClassVar[Files] = Files((".txt",), "texts")

    def parse(self, column: RawColumn) -> Sequence[str]:
        def form(value: Any) -> str:
            if not isinstance(value, str):
                raise ValueError(f"is of type {type(value).__name__}, not a text; make it a string")
            found = checked_text(value, column.limit_bytes, "split it into several rows")
            return value if self.as_sent else found

        return ["" if value is None else value for value in column.each(form)]

    def tfds(self, feature: Any) -> Collector:
        """A collector of texts; classes become their names, sequences are joined with spaces."""
        names = getattr(getattr(feature, "feature", None), "names", None)
        if names is not None:
            return Collector(lambda numbers: " ".join(names[number] for number in numbers))
        return class_names(feature)


def checked_text(value: str, limit_bytes: int | None, remedy: str) -> str:
    """The text in NFC.

    Raises:
        ValueError: it is not Unicode, or it is longer than the limit; then the remedy is named.
    """
    if not value.isascii() and _SURROGATE.search(value):
        raise ValueError(
            "has half of a surrogate pair (\\ud800 to \\udfff), "
            "which is not Unicode text; write the whole pair or remove it"
        )
    # A character takes at most 4 bytes, and counting characters costs nothing.
    if limit_bytes is not None and 4 * len(value) > limit_bytes:
        size = len(value.encode())
        if size > limit_bytes:
            raise ValueError(
                f"has {size:,} bytes, more than the limit of {limit_bytes:,}; {remedy}"
            )
    return unicodedata.normalize("NFC", value)


def class_names(feature: Any) -> Collector:
    """A collector that turns class numbers into names, negative ones into None; others as is."""
    names = getattr(feature, "names", None)
    if names is None:
        return Collector()
    return Collector(lambda number: names[number] if number >= 0 else None)
