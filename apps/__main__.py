"""The command line: `python -m apps COMMAND …`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import apps
from apps.commands import comparing, deploying, inspecting, streaming, training
from apps.process import Parser, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with everything to resume on disk.
    """
    options = _parsed(_parser(), arguments)
    return run_command(options)


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse arguments; unlike in plain argparse, inputs may also follow the options."""
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "inputs") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.inputs = [*options.inputs, *rest]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m apps", description=apps.__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.set_defaults(needs_tensorflow=True)
    training.add_to(commands)
    deploying.add_to(commands)
    streaming.add_to(commands)
    inspecting.add_to(commands)
    comparing.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
