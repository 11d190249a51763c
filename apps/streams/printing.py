"""What listening prints: a line for each word, text as it settles, or JSON."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Protocol, TextIO

import numpy as np

from apps.streams.detection import Detector
from apps.streams.transcript import LiveTranscript

_START_OF_LINE, _REST_OF_LINE = "\r", "\x1b[K"
_METER_WIDTH = 20
_METER_SECONDS = 0.1


class Printer(Protocol):
    """Prints what a stream's answers decide."""

    def hear(self, answer: Mapping[str, np.ndarray], seconds: float) -> None:
        """Take the answer to a chunk, with the seconds heard so far."""
        ...

    def finish(self) -> None:
        """Print what is left, as the stream ends."""
        ...


class KeywordPrinter:
    """One line for each word that is decided.

    Args:
        detector: decides.
        out: takes the lines.
        hidden: classes of which nothing is printed.
        as_json: print objects with `start`, `end`, `label` and `probability`.
        meter: takes a line with the likeliest class, written again and again; None for no meter.
    """

    def __init__(
        self,
        detector: Detector,
        out: TextIO,
        *,
        hidden: Sequence[str],
        as_json: bool,
        meter: TextIO | None,
    ) -> None:
        self._detector = detector
        self._hidden = hidden
        self._out = out
        self._as_json = as_json
        self._meter = meter
        self._metered = 0.0

    def hear(self, answer: Mapping[str, np.ndarray], seconds: float) -> None:
        for found in self._detector.push(answer["probabilities"][: int(answer["steps"])]):
            if found.label in self._hidden:
                continue
            self._clear_meter()
            if self._as_json:
                line = json.dumps(asdict(found), ensure_ascii=False)
            else:
                line = f"{found.end:8.2f} s  {found.label}  {found.probability:.2f}"
            print(line, file=self._out, flush=True)
        if self._meter is not None and seconds >= self._metered + _METER_SECONDS:
            self._metered = seconds
            self._write_meter(seconds)

    def finish(self) -> None:
        self._clear_meter()

    def _write_meter(self, seconds: float) -> None:
        averages = self._detector.averages
        best = int(averages.argmax())
        bar = "#" * round(float(averages[best]) * _METER_WIDTH)
        shown = f"{seconds:8.1f} s  {bar:{_METER_WIDTH}}  {self._detector.labels[best]}"
        assert self._meter is not None
        self._meter.write(_START_OF_LINE + _fitting(shown) + _REST_OF_LINE)
        self._meter.flush()

    def _clear_meter(self) -> None:
        if self._meter is not None:
            self._meter.write(_START_OF_LINE + _REST_OF_LINE)
            self._meter.flush()


class TranscriptPrinter:
    """Text as it settles; on a terminal, with what may still change behind it.

    Args:
        transcript: puts words together.
        out: takes the text.
        as_json: print an object for each settled word, `start`, `end`, `text`, `confidence` and
            `settled` true, and one with `settled` false whenever the text behind it changes.
        live: rewrite the last line with the text that has not settled.
    """

    def __init__(
        self, transcript: LiveTranscript, out: TextIO, *, as_json: bool, live: bool
    ) -> None:
        self._transcript = transcript
        self._out = out
        self._as_json = as_json
        self._live = live
        self._line = ""
        self._partial = ""

    def hear(self, answer: Mapping[str, np.ndarray], seconds: float) -> None:
        words = self._transcript.push(answer)
        for word in words:
            self._print_word(asdict(word))
        partial = self._transcript.partial
        if partial == self._partial and not (words and self._live):
            return
        self._partial = partial
        if self._as_json:
            start = self._transcript.settled_until
            unsettled = {"start": start, "end": round(seconds, 3), "text": partial}
            self._print_object({**unsettled, "settled": False})
        elif self._live:
            self._rewrite(partial)

    def finish(self) -> None:
        for word in self._transcript.finish():
            self._print_word(asdict(word))
        if self._as_json:
            return
        if self._live:
            self._rewrite("")
        print(file=self._out, flush=True)

    def _print_word(self, word: dict[str, Any]) -> None:
        if self._as_json:
            self._print_object({**word, "settled": True})
            return
        between = " " if self._line else ""
        if self._live:
            # A line that wraps cannot be written again.
            if len(self._line) + len(word["text"]) + 2 > _columns() and self._line:
                self._rewrite("")
                print(file=self._out)
                self._line = between = ""
            self._line += between + word["text"]
            return
        self._line = word["text"]
        self._out.write(between + word["text"])
        self._out.flush()

    def _print_object(self, fields: Mapping[str, Any]) -> None:
        print(json.dumps(fields, ensure_ascii=False), file=self._out, flush=True)

    def _rewrite(self, partial: str) -> None:
        shown = f"{self._line} {partial}" if partial and self._line else self._line + partial
        self._out.write(_START_OF_LINE + _fitting(shown) + _REST_OF_LINE)
        self._out.flush()


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _fitting(line: str) -> str:
    """As much of a line as a terminal shows without wrapping, its end if it is too long."""
    width = _columns() - 1
    return line if len(line) <= width else "…" + line[len(line) - width + 1 :]
