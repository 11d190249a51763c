"""The command that follows a sound as it comes."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.errors import UserError

if TYPE_CHECKING:
    from apps.streams.printing import Printer
    from apps.streams.sound import Sound
    from apps.streams.streaming_model import StreamingModel

_STANDARD_INPUT = "-"
_OF_RAW_SAMPLES = ("rate", "format", "channels")
_OF_DETECTOR = ("on", "off", "smooth_ms", "refractory_ms")
_OF_KEYWORDS = (*_OF_DETECTOR, "all")
_LONGEST_CHUNK_MS = 10_000.0


def add_to(commands: Any) -> None:
    """Add the command to the parser's subparsers."""
    listen = commands.add_parser(
        "listen", help="print words as they are heard in a file or in standard input"
    )
    listen.add_argument("run", metavar="RUN|SAVED_MODEL")
    listen.add_argument("sound", metavar="FILE|-", help="a recording, or - for standard input")
    listen.add_argument("--json", action="store_true", help="print one JSON object a line")
    listen.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        help="also show what is not decided yet; on a terminal unless --no-live",
    )
    listen.add_argument(
        "--chunk-ms", type=float, default=20.0, metavar="MS", help="milliseconds a step; 20"
    )
    raw = listen.add_argument_group("raw samples from standard input; a WAV stream says its own")
    raw.add_argument("--rate", type=int, metavar="HZ", help="samples a second; the model's")
    raw.add_argument("--format", choices=("s16le", "f32le"), help="of each sample; s16le")
    raw.add_argument("--channels", type=int, metavar="N", help="samples side by side; 1")
    words = listen.add_argument_group("keywords")
    words.add_argument("--on", type=float, metavar="P", help="decide at this posterior; 0.7")
    words.add_argument("--off", type=float, metavar="P", help="again after it was below; 0.4")
    words.add_argument("--smooth-ms", type=float, metavar="MS", help="average over so much; 100")
    words.add_argument(
        "--refractory-ms", type=float, metavar="MS", help="least time between two words; 300"
    )
    words.add_argument(
        "--all", action="store_true", default=None, help="print silence and unknown words too"
    )
    listen.set_defaults(run_command=_listen)


def _listen(options: argparse.Namespace) -> None:
    _check(options)
    from apps.streams import sound as sounds
    from apps.streams.streaming_model import StreamingModel

    # A file that cannot be read is found before a model is loaded.
    file = None
    if options.sound != _STANDARD_INPUT:
        file = sounds.from_file(Path(options.sound))
    model = StreamingModel.load(options.run, chunk_ms=options.chunk_ms)
    printer = _printer(options, model)
    sound = file or sounds.from_stream(
        io.FileIO(sys.stdin.fileno(), closefd=False),
        rate=options.rate,
        layout=options.format,
        channels=options.channels,
        usual=model.sample_rate,
    )
    follow(model, sound, printer)


def follow(model: StreamingModel, sound: Sound, printer: Printer) -> None:
    """Send a sound through a model, and print what is decided until it ends.

    Args:
        model: at the beginning of a stream.
        sound: read to its end, or until Ctrl-C.
        printer: told of every answer, and of the end however it comes.
    """
    heard = 0
    try:
        for chunk in _with_silence(sound.chunks(model.sample_rate, model.chunk_samples), model):
            heard += len(chunk)
            printer.hear(model.send(chunk), heard / model.sample_rate)
    except (KeyboardInterrupt, UserError):
        printer.finish()
        raise
    printer.finish()


def _with_silence(chunks: Iterable[Any], model: StreamingModel) -> Iterator[Any]:
    """The chunks, and the silence behind them that a model needs which looks ahead."""
    import numpy as np

    yield from chunks
    left = model.trailing_silence
    while left > 0:
        size = min(left, model.chunk_samples)
        yield np.zeros(size, np.float32)
        left -= size


def _check(options: argparse.Namespace) -> None:
    """Refuse options that contradict each other or that nothing reads."""
    given = list(_given(options, _OF_RAW_SAMPLES))
    if given and options.sound != _STANDARD_INPUT:
        raise UserError(f"{_flag(given[0])}: a file says it itself; leave it out")
    if not 1 <= options.chunk_ms <= _LONGEST_CHUNK_MS:
        raise UserError(f"--chunk-ms {options.chunk_ms:g}: give 1 to {_LONGEST_CHUNK_MS:g}")
    if options.channels is not None and not 1 <= options.channels <= 64:
        raise UserError(f"--channels {options.channels}: give 1 to 64")
    from apps.streams.detection import Detector

    try:
        Detector(("any",), 0.02, **_given(options, _OF_DETECTOR))
    except ValueError as error:
        raise UserError(f"{', '.join(map(_flag, _OF_DETECTOR))}: {error}") from None


def _printer(options: argparse.Namespace, model: StreamingModel) -> Printer:
    from apps.speech.word_classes import SILENCE, UNKNOWN
    from apps.streams.detection import Detector
    from apps.streams.printing import KeywordPrinter, TranscriptPrinter
    from apps.streams.transcript import LiveTranscript

    if not model.labels:
        if given := list(_given(options, _OF_KEYWORDS)):
            raise UserError(f"{_flag(given[0])}: is for keywords, not for {model.application}")
        live = _value(options.live, sys.stdout.isatty()) and not options.json
        transcript = LiveTranscript(model.step_seconds)
        return TranscriptPrinter(transcript, sys.stdout, as_json=options.json, live=live)
    detector = Detector(
        model.labels,
        model.step_seconds,
        background=(SILENCE, UNKNOWN),
        **_given(options, _OF_DETECTOR),
    )
    live = _value(options.live, sys.stderr.isatty())
    return KeywordPrinter(
        detector,
        sys.stdout,
        hidden=() if options.all else (SILENCE, UNKNOWN),
        as_json=options.json,
        meter=sys.stderr if live else None,
    )


def _value(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _given(options: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """Those of some options that were given, by name."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
