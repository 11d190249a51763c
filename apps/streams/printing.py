"""What `stream` prints: a line for each decision, text as it settles, or JSON."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TextIO

import numpy as np

from apps import strict_json
from apps.following import Decision, Follower

_START_OF_LINE, _REST_OF_LINE = "\r", "\x1b[K"


class Printer(ABC):
    """Prints what a follower decides.

    Args:
        follower: of one stream.
        out: takes what is decided.
        as_json: print each decision as an object on a line of its own.
        live: takes what is undecided, in a line that is written again and again; None for nowhere.
    """

    def __init__(
        self, follower: Follower, out: TextIO, *, as_json: bool, live: TextIO | None
    ) -> None:
        self._follower = follower
        self._out = out
        self._as_json = as_json
        self._live = live
        self._undecided = ""

    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> None:
        """Take the answer to a chunk, and where the stream is behind it."""
        decided = self._print(self._follower.push(answer, end))
        undecided = self._follower.undecided
        if self._live is not None and (decided or undecided != self._undecided):
            self._rewrite(undecided)
        self._undecided = undecided

    def finish(self) -> None:
        """Print what is left, as the stream ends."""
        self._print(self._follower.finish())
        if self._live is not None:
            self._rewrite("")

    def _print(self, decisions: Iterable[Decision]) -> bool:
        """Print decisions; whether there was any for a person."""
        any_text = False
        for decision in decisions:
            any_text |= bool(decision.text)
            if self._as_json:
                self._print_line(strict_json.dumps(decision.fields))
            elif decision.text:
                self._print_text(decision.text)
        return any_text

    def _print_line(self, line: str) -> None:
        print(line, file=self._out, flush=True)

    @abstractmethod
    def _print_text(self, text: str) -> None: ...

    def _rewrite(self, undecided: str) -> None:
        assert self._live is not None
        self._live.write(_START_OF_LINE + _fitting(undecided) + _REST_OF_LINE)
        self._live.flush()


class LinePrinter(Printer):
    """One line for each decision; `live` is another stream than `out`."""

    def _print_line(self, line: str) -> None:
        if self._live is not None:
            self._rewrite("")
        super()._print_line(line)

    def _print_text(self, text: str) -> None:
        self._print_line(text)


class RunningPrinter(Printer):
    """Decisions with spaces between them; where `live` is given, it is `out`."""

    _line = ""

    def finish(self) -> None:
        super().finish()
        if not self._as_json:
            print(file=self._out, flush=True)

    def _print_text(self, text: str) -> None:
        between = self._follower.between if self._line else ""
        if self._live is None:
            self._line = text
            self._out.write(between + text)
            self._out.flush()
            return
        # A line that wraps cannot be written again.
        if self._line and len(self._line) + len(text) + 2 > _columns():
            self._rewrite("")
            print(file=self._out)
            self._line = between = ""
        self._line += between + text

    def _rewrite(self, undecided: str) -> None:
        between = " " if self._line and undecided else ""
        super()._rewrite(self._line + between + undecided)


def new_printer(
    follower: Follower, out: TextIO, errors: TextIO, *, as_json: bool, live: bool | None
) -> Printer:
    """The printer that suits a follower.

    Args:
        follower: of one stream.
        out: takes what is decided.
        errors: takes what is undecided, where decisions are lines.
        as_json: print objects.
        live: whether to show what is undecided; None for where a terminal shows it.
    """
    if follower.running:
        # A text that brings its spaces along may bring line ends, which cannot be written again.
        shown = bool(follower.between) and not as_json and (out.isatty() if live is None else live)
        return RunningPrinter(follower, out, as_json=as_json, live=out if shown else None)
    shown = errors.isatty() if live is None else live
    return LinePrinter(follower, out, as_json=as_json, live=errors if shown else None)


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _fitting(line: str) -> str:
    """As much of a line as a terminal shows without wrapping, its end if it is too long."""
    width = _columns() - 1
    return line if len(line) <= width else "…" + line[len(line) - width + 1 :]
