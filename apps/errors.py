"""What the package raises when the user's input, not the program, is at fault."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """One line that names the file, row or option at fault and the remedy.

    The command line prints it on stderr and exits with code 2.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


def nearest(word: str, known: Iterable[str]) -> str:
    """Phrase that suggests the known word nearest to a mistyped one.

    Args:
        word: what the user wrote.
        known: the words that would have been accepted.

    Returns:
        `"; did you mean 'units'?"`, or `"; known: a, b"` where nothing is near.
    """
    options = sorted(known)
    near = difflib.get_close_matches(word, options, n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(options)}"
