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


def cause_of(error: BaseException, limit: int = 300) -> str:
    """The innermost cause of an error in one line.

    Libraries wrap an error into others, whose messages may begin with a page of configuration.

    Args:
        error: what was caught.
        limit: most characters of the message.

    Returns:
        `"ValueError: negative dimension"`: the type and message of the last error in the chain
        that says something, without escape codes and line breaks.
    """
    found, told = error, error
    seen = {id(error)}
    while True:
        inner = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
        if inner is None or id(inner) in seen:
            break
        seen.add(id(inner))
        found = inner
        # A lone word is a key that was looked up in vain, which the error around it explains.
        if " " in str(found).strip():
            told = found
    message = str(told)
    for before in ("Exception encountered: ", "\x1b[1m"):
        message = message.rpartition(before)[2]
    for after in ("\x1b[0m", "Full object config: "):
        message = message.partition(after)[0]
    message = " ".join(message.split())
    if len(message) > limit:
        message = message[: limit - 1] + "…"
    return f"{type(told).__name__}: {message}".removesuffix(": ")


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
