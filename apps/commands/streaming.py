"""The command that follows a stream as it comes: sound, video or rows of a sensor."""

from __future__ import annotations

import argparse
import dataclasses
import io
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps import environment
from apps.configuration import Options
from apps.errors import UserError, nearest
from apps.process import Parser

if TYPE_CHECKING:
    from apps.streams.model import StreamModel

_STANDARD_INPUT = "-"
_NO_OPTIONS = "\0"


def add_to(commands: Any) -> None:
    """Add the command to the parser's subparsers."""
    stream = commands.add_parser(
        "stream",
        help="print decisions as they fall in a file or in standard input",
        add_help=False,
        # The model says which options there are and which of them take a value.
        prefix_chars=_NO_OPTIONS,
    )
    stream.add_argument("words", nargs="*")
    stream.set_defaults(run_command=_stream, needs_tensorflow=False)


def _stream(options: argparse.Namespace) -> None:
    words = options.words
    plain = [word for word in words if not word.startswith("-")]
    # Values of options may come before it, but they are hardly ever the names of folders.
    folder = next((word for word in plain if os.path.isdir(word)), next(iter(plain), None))
    if folder is None:
        _parser().parse_args(words)
        raise UserError("stream: name a run or a SavedModel first")
    environment.import_tensorflow_quietly()
    from apps.streams.annotating import AnnotatedFollower
    from apps.streams.model import StreamModel
    from apps.streams.printing import new_printer
    from apps.streams.stream import Stream, follow

    model = StreamModel.load(folder)
    given = _parsed(words, model)
    if (first := given.pop("run")) != folder:
        raise UserError(f"{first}: neither a run nor a SavedModel; name {folder} first")
    source, as_json, live = given.pop("source"), given.pop("json"), given.pop("live")
    cutting, deciding = (_read(part.stream_options, given) for part in (model.input, model.task))
    follower = model.task.follower(model.metadata, model.labels, deciding)
    opened: Any = Path(source)
    if source == _STANDARD_INPUT:
        opened = io.FileIO(sys.stdin.fileno(), closefd=False)
    if annotator := model.input.annotator(opened, cutting):
        follower = AnnotatedFollower(follower, annotator)
    printer = new_printer(follower, sys.stdout, sys.stderr, as_json=as_json, live=live)
    chunks = model.input.chunks(opened, model.metadata, cutting)
    follow(Stream(model), chunks, printer)


def _parser() -> argparse.ArgumentParser:
    """The parser of the options that every stream has."""
    parser = Parser(
        prog="python -m apps stream",
        description="Print decisions as they fall in a file or in standard input.",
        epilog="With a run or a SavedModel, --help also lists the options of its input and task.",
        allow_abbrev=False,
    )
    parser.add_argument("run", metavar="RUN|SAVED_MODEL")
    parser.add_argument("source", metavar="FILE|-", help="a file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    parser.add_argument(
        "--live",
        action=argparse.BooleanOptionalAction,
        help="also show what is not decided yet; on a terminal unless --no-live",
    )
    return parser


def _parsed(words: list[str], model: StreamModel) -> dict[str, Any]:
    """The given options by name: texts, or booleans for flags; None where not given."""
    parser = _parser()
    parser.epilog = None
    kinds = [part.stream_options for part in (model.input, model.task)]
    for kind in kinds:
        _add_options(parser, kind)
    given, rest = parser.parse_known_args(words)
    for word in rest:
        if word.startswith("-") and word != _STANDARD_INPUT:
            flag = word.partition("=")[0]
            own = [_flag(one.name) for kind in kinds for one in dataclasses.fields(kind)]
            known = [one.strip("-") for one in ("--json", "--live", *own)]
            raise UserError(
                f"{flag}: no option of {model.application}{nearest(flag.strip('-'), known)}"
            )
    if rest:
        raise UserError(f"{rest[0]}: one file at a time")
    return vars(given)


def _add_options(parser: argparse.ArgumentParser, kind: type[Options]) -> None:
    """Add the fields of a dataclass to a parser as texts, which the dataclass parses later."""
    fields = dataclasses.fields(kind)
    if not fields:
        return
    words = " ".join((kind.__doc__ or kind.__name__).split())
    for one in fields:
        words = words.replace(f"`{one.name}`", _flag(one.name))
    title, _, rest = words.partition(". ")
    group = parser.add_argument_group(title.rstrip("."), rest)
    for one in fields:
        if isinstance(one.default, bool):
            group.add_argument(_flag(one.name), action=argparse.BooleanOptionalAction, default=None)
            continue
        choices = kind.ranges()[one.name].choices
        metavar = "|".join(map(str, choices)) if choices else one.name.upper()
        usual = None if one.default is None else f"{one.default} by default"
        group.add_argument(_flag(one.name), metavar=metavar, help=usual)


def _read(kind: type[Options], given: dict[str, Any]) -> Options:
    """The options of a dataclass from what was given.

    Raises:
        UserError: a value cannot be read or is out of range; names the flag.
    """
    values = {one.name: given[one.name] for one in dataclasses.fields(kind)}
    chosen = {name: value for name, value in values.items() if value is not None}
    for name, value in chosen.items():
        try:
            kind.from_values({name: value})
        except UserError as error:
            reason = str(error).partition(": ")[2]
            raise UserError(f"{_flag(name)} {value}: {reason}") from None
    return kind.from_values(chosen)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
