"""From a parsed command to the process's exit code, shared by all command lines."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from typing import NoReturn

from apps import environment
from apps.errors import UserError

INTERRUPTED = 130
_UNUSABLE = {
    errno.ENOENT: "cannot be created there; name another place",
    errno.ENOSPC: "the disk is full; free some space or name another folder",
    errno.EDQUOT: "the disk quota is used up; free some space or name another folder",
    errno.EROFS: "the file system is read-only; name another folder",
    errno.EACCES: "permission denied; name another place or change its permissions",
    errno.EPERM: "operation not permitted; name another place",
    errno.ENOTDIR: "a part of the path is a file, not a folder; name another place",
}


class Parser(argparse.ArgumentParser):
    """Argument errors in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        sys.stderr.write(f"{self.prog}: {message}\n")
        raise SystemExit(2)


def run_command(options: argparse.Namespace) -> int:
    """Run the command in `options.run_command`.

    Args:
        options: with `run_command`, `needs_tensorflow` and, set by the command while it runs,
            `after_interrupt`: how to go on after Ctrl-C.

    Returns:
        0 done, 2 the user's input is at fault, 130 interrupted with everything to resume on disk.
    """
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
