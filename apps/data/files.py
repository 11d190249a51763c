"""Opening the user's files: gzip by its magic number, UTF-8, and errors in plain words."""

from __future__ import annotations

import contextlib
import difflib
import gzip
import io
import os
import re
import shlex
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from apps.data.foreign import GZIP_MAGIC, HEAD, check_text, undecodable
from apps.errors import UserError

_QUOTED = re.compile(rb'"[^"]*"')
_UNDECODED = re.compile("[\udc80-\udcff]")


def missing_file(path: Path) -> UserError:
    """The error for a path that does not exist; suggests the nearest name in its folder."""
    folder = path.parent
    if not folder.is_dir():
        return UserError(f"{path}: no such file, nor is there a folder {folder}; check the path")
    near = difflib.get_close_matches(path.name, os.listdir(folder), n=1)
    remedy = f"did you mean {folder / near[0]}?" if near else "check the path"
    return UserError(f"{path}: no such file or folder; {remedy}")


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn errors of the operating system and of gzip into one line with the remedy."""
    try:
        yield
    except FileNotFoundError:
        raise missing_file(path) from None
    except IsADirectoryError:
        raise UserError(f"{path} is a folder where a file is expected; name a file") from None
    except PermissionError:
        raise UserError(
            f"{path}: permission denied; allow reading: chmod u+rX {shlex.quote(str(path))}"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UserError(
            f"{path} is a damaged gzip file ({error}); compress or download it again"
        ) from None
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from None


@contextlib.contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a UTF-8 file, gzip-compressed or not, with or without byte order mark.

    Lines end at "\\n" or "\\r\\n" and are left as they are; where "\\r" alone is found outside
    quotes, and no "\\n", they end there, as on the Macintosh of old. A byte that is not UTF-8 comes
    through as a lone surrogate, so that the reader, which knows the row, can report it with
    `check_decoded`.

    Args:
        path: a file; gzip is recognised by its first bytes, whatever the name.

    Yields:
        The text stream.

    Raises:
        UserError: the file cannot be opened or read, or is no text in UTF-8.
    """
    with explained(path), open(path, "rb") as file, contextlib.ExitStack() as stack:
        raw: io.BufferedReader | gzip.GzipFile = file
        if file.peek(2)[:2] == GZIP_MAGIC:
            raw = stack.enter_context(gzip.GzipFile(fileobj=file))
        head = raw.read(HEAD)
        raw.seek(0)
        check_text(head, path)
        newline = "\r" if b"\r" in head and b"\n" not in _QUOTED.sub(b"", head) else "\n"
        yield stack.enter_context(
            io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline=newline)
        )


def check_decoded(text: str, path: Path, place: str) -> None:
    """Refuse text in which `open_text` met a zero byte or one that is not UTF-8.

    Args:
        text: what was read.
        path: the file it came from.
        place: the row it stands in, for the message.

    Raises:
        UserError: names place, byte and the command that converts the file.
    """
    if "\0" in text:
        raise UserError(
            f"{place}: a zero byte, which no text has; the file is damaged, or another kind of file"
        )
    if text.isascii():
        return
    bad = _UNDECODED.search(text)
    if bad:
        position = len(text[: bad.start()].encode("utf-8", "surrogateescape"))
        raise UserError(
            f"{place}: byte 0x{ord(bad[0]) - 0xDC00:02x} at position {position} is not UTF-8; "
            f"{undecodable(path)}"
        )
