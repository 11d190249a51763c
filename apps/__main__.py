"""The command line: `python -m apps COMMAND …`; `--help` lists the commands."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import apps
from apps import environment
from apps.commands import deploying, training
from apps.errors import UserError

INTERRUPTED = 130
_UNUSABLE = {
    errno.ENOENT: "cannot be made there; name another place",
    errno.ENOSPC: "the disk is full; free some space or name another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or name another folder",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.EACCES: "permission denied; name another place or change its permissions",
    errno.EPERM: "operation not permitted; name another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; name another place",
}


class _Parser(argparse.ArgumentParser):
    """Argument errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}\n")
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with all on disk to resume from.
    """
    options = _parsed(_parser(), arguments)
    try:
        if options.needs_tensorflow:
            environment.import_tensorflow_quietly()
        options.run_command(options)
        return 0
    except UserError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        print(f"interrupted{getattr(options, 'after_interrupt', '')}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        reason = _UNUSABLE.get(error.errno or 0)
        if reason is None and "No space left" in str(error):
            reason = _UNUSABLE[errno.ENOSPC]
        if reason is None:
            raise
        return _refuse(f"{error.filename or 'writing'}: {reason}")


def _refuse(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def _parsed(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parsed arguments; inputs may also stand behind the options, which argparse does not allow."""
    options, rest = parser.parse_known_args(arguments)
    if rest and (not hasattr(options, "inputs") or any(word.startswith("-") for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        options.inputs = [*options.inputs, *rest]
    return options


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m apps", description=apps.__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    parser.set_defaults(needs_tensorflow=True)
    training.add_to(commands)
    deploying.add_to(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
