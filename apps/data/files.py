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

from apps.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
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

    Line endings are left as they are. A byte that is not UTF-8 comes through as a lone
    surrogate, so that the reader, which knows the row, can report it with `check_decoded`.

    Args:
        path: a file; gzip is recognised by its first bytes, whatever the name.

    Yields:
        The text stream.

    Raises:
        UserError: the file cannot be opened or read, or is UTF-16.
    """
    with explained(path), open(path, "rb") as file:
        magic = file.read(2)
        file.seek(0)
        with contextlib.ExitStack() as stack:
            raw: io.BufferedReader | gzip.GzipFile = file
            if magic == _GZIP_MAGIC:
                raw = stack.enter_context(gzip.GzipFile(fileobj=file))
                magic = raw.peek(2)[:2]
            if magic in _UTF16_MARKS:
                raise UserError(f"{path} is UTF-16; convert it: {_iconv(path, 'utf-16')}")
            yield stack.enter_context(
                io.TextIOWrapper(raw, "utf-8-sig", errors="surrogateescape", newline="")
            )


def check_decoded(text: str, path: Path, place: str) -> None:
    """Refuse text in which `open_text` met a byte that is not UTF-8.

    Args:
        text: what was read.
        path: the file it came from.
        place: the row it stands in, for the message.

    Raises:
        UserError: names place, byte and the command that converts the file.
    """
    if text.isascii():
        return
    bad = _UNDECODED.search(text)
    if bad:
        position = len(text[: bad.start()].encode("utf-8", "surrogateescape"))
        raise UserError(
            f"{place}: byte 0x{ord(bad[0]) - 0xDC00:02x} at position {position} is not UTF-8; "
            f"convert the file: {_iconv(path, 'latin1')}"
        )


def _iconv(path: Path, encoding: str) -> str:
    """Shell command that converts a file to UTF-8 into a file beside it."""
    zipped = path.suffix.lower() == ".gz"
    stem, suffix = os.path.splitext(str(path)[:-3] if zipped else str(path))
    name, target = shlex.quote(str(path)), shlex.quote(f"{stem}.utf8{suffix}")
    if zipped:
        return f"gunzip -c {name} | iconv -f {encoding} -t utf-8 > {target}"
    return f"iconv -f {encoding} -t utf-8 {name} > {target}"
