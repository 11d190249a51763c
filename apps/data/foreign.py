"""What a file is that is no UTF-8 text, and what its owner can do about it."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import zipfile
from pathlib import Path

from apps.errors import UserError

GZIP_MAGIC = b"\x1f\x8b"
HEAD = 1 << 16
_UNDECODED = re.compile("[\udc80-\udcff]")
_WHOLE_NON_ASCII = re.compile("[\u0080-\ud7ff\ue000-\U0010ffff]")
# What windows-1252 leaves undefined.
_UNDEFINED = frozenset("\udc81\udc8d\udc8f\udc90\udc9d")
_MOST_TOGETHER = 2
_MANY_ZEROS, _FEW_ZEROS = 0.4, 0.1
_SPREADSHEET = "is a spreadsheet, not text; open it and save it as CSV in UTF-8"
_PANDAS = (
    'python -c "import pandas; pandas.read_{kind}({{path!r}}).to_csv({{target!r}}, index=False)"'
)
# First bytes, what the file is, and a command that makes text of it where there is one.
_KNOWN: tuple[tuple[bytes, str, str], ...] = (
    (b"PAR1", "a Parquet file", _PANDAS.format(kind="parquet")),
    (b"ARROW1", "a Feather file", _PANDAS.format(kind="feather")),
    (b"BZh", "compressed by bzip2", "bzip2 -dc < {file} > {shell_target}"),
    (b"\xfd7zXZ\0", "compressed by xz", "xz -dc < {file} > {shell_target}"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd", "zstd -dc < {file} > {shell_target}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", ""),
    (b"Rar!", "a RAR archive", ""),
    (b"%PDF", "a PDF", ""),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"\x89HDF", "an HDF5 file", ""),
    (b"\x93NUMPY", "a NumPy array", ""),
    (b"\x80\x04\x95", "a pickle", ""),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
    (b"RIFF", "a recording", ""),
)
# Through the buffers, since text streams would change line ends.
_MIXED = (
    'python -c "import codecs, sys; '
    "codecs.register_error('w', lambda e: (e.object[e.start:e.end].decode('cp1252'), e.end)); "
    "sys.stdout.buffer.write(sys.stdin.buffer.read().decode('utf-8', 'w').encode())\""
)


def check_text(head: bytes, path: Path) -> None:
    """Refuse a file whose first bytes are not those of UTF-8 text.

    Args:
        head: the first bytes, unpacked where the file is compressed by gzip.
        path: the file.

    Raises:
        UserError: says what it is, and what to do.
    """
    if wide := _wide_encoding(head):
        name = re.sub("[LB]E$", "", wide.upper())
        raise UserError(f"{path} is {name}; convert it: {converted(path, wide)}")
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        raise UserError(f"{path} {_zipped(path)}")
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise UserError(f"{path} {_SPREADSHEET}")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{path} is a pointer of Git LFS, not the file; run: git lfs pull")
    if re.match(rb"\s*<(!doctype html|html)", head, re.IGNORECASE):
        raise UserError(f"{path} is a web page, not the file that it stands for; download it again")
    if head[257:262] == b"ustar":
        unpack = f"tar -xf {_shell(path)}"
        raise UserError(f"{path} is a tar archive; unpack it and name a file in it: {unpack}")
    for magic, what, command in _KNOWN:
        if head.startswith(magic):
            target = _beside(path, "text")
            names = {"path": str(path), "file": _shell(path), "target": target}
            names["shell_target"] = _shell(target)
            remedy = f"convert it: {command.format(**names)}" if command else "name a table"
            raise UserError(f"{path} is {what}, not text; {remedy}")


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 by their marks; the former also by its zero bytes."""
    if head.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    half = max(len(head) // 2, 1)
    even, odd = head[::2].count(0) / half, head[1::2].count(0) / half
    if max(even, odd) > _MANY_ZEROS and min(even, odd) < _FEW_ZEROS:
        return "utf-16le" if odd > even else "utf-16be"
    return None


def _zipped(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return "is a damaged zip archive; download it again"
    if any(name.startswith("xl/") or name == "content.xml" for name in names):
        return _SPREADSHEET
    files = [name for name in names if not name.endswith("/")]
    shown = ", ".join(f"'{name}'" for name in files[:5]) + (", …" if len(files) > 5 else "")
    folder = _shell(f"{path}-unpacked")
    return (
        f"is a zip archive that holds {shown or 'nothing'}; unpack it and name a file in it: "
        f"python -m zipfile -e {_shell(path)} {folder}"
    )


def undecodable(path: Path) -> str:
    """The remedy for a file in which bytes are not UTF-8: a command that makes it so."""
    with open(path, "rb") as file:
        raw = file.read()
    if raw.startswith(GZIP_MAGIC):
        raw = gzip.decompress(raw)
    text = raw.decode("utf-8", "surrogateescape")
    bad = _UNDECODED.findall(text)
    # In the languages of Western Europe letters outside ASCII stand alone.
    lines = [line for line in text.split("\n") if _UNDECODED.search(line)]
    runs = re.findall(rb"[\x80-\xff]+", "\n".join(lines).encode("utf-8", "surrogateescape"))
    longer = sum(len(run) for run in runs if len(run) > _MOST_TOGETHER)
    if 2 * longer > sum(map(len, runs)) or not _UNDEFINED.isdisjoint(bad):
        return (
            "its encoding is none of Western Europe; save it again as UTF-8, or convert it: "
            f"{converted(path, 'ENCODING')}"
        )
    if _WHOLE_NON_ASCII.search(text):
        return f"the file mixes UTF-8 with windows-1252; convert that: {_piped(path, _MIXED)}"
    return f"convert the file: {converted(path, 'cp1252')}"


def converted(path: Path, encoding: str) -> str:
    """Shell command that converts a file to UTF-8 into a file beside it."""
    return _piped(path, f"iconv -f {encoding} -t utf-8")


def _piped(path: Path, command: str) -> str:
    """A shell command that sends the file, unpacked, through a command into a file beside it."""
    name, target = _shell(path), _shell(_beside(path, "utf8"))
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    if packed:
        return f"gunzip -c < {name} | {command} > {target}"
    return f"{command} < {name} > {target}"


def _beside(path: Path, word: str) -> str:
    """A name for the text made from a file, which is not that file's."""
    stem, suffix = os.path.splitext(path)
    if suffix.lower() in (".bz2", ".xz", ".zst"):
        return stem
    if suffix.lower() == ".gz":
        stem, suffix = os.path.splitext(stem)
    return f"{stem}.{word}{suffix}"


def _shell(path: Path | str) -> str:
    return shlex.quote(str(path))
