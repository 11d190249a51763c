"""Files that are aligned line by line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from apps.data import read
from apps.data.kinds.side import sides
from apps.errors import UserError

COLUMNS = sides("source", "target")


def write(path: Path, text: str) -> str:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def pair(folder: Path, one: str, other: str) -> str:
    return f"{write(folder / 'a.en.gz', one)},{write(folder / 'a.de', other)}"


def test_lines_are_pairs_and_blank_ones_at_the_end_of_both_are_none(tmp_path: Path) -> None:
    rows = read(pair(tmp_path, "a\r\nb\u2028c\n\nd\n\n\n", "x\ny\nz\nw\n\n"), COLUMNS)
    assert rows["source"] == ["a", "b\u2028c", "", "d"]
    assert rows["target"] == ["x", "y", "z", "w"]
    assert rows.places[0].endswith("a.de row 1")


def test_a_blank_last_side_stays(tmp_path: Path) -> None:
    rows = read(pair(tmp_path, "a\nb\n", "x\n\n"), COLUMNS)
    assert rows["target"] == ["x", ""]


def test_unequal_counts_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.en\.gz has 3, .*a\.de has 2"):
        read(pair(tmp_path, "a\nb\nc\n", "x\ny\n"), COLUMNS)


def test_a_missing_file_or_a_third_one_is_named(tmp_path: Path) -> None:
    both = pair(tmp_path, "a\n", "x\n")
    with pytest.raises(UserError, match="no such file"):
        read(f"{tmp_path / 'b.en'},{tmp_path / 'a.de'}", COLUMNS)
    with pytest.raises(UserError, match="3 files, where 'source', 'target'"):
        read(f"{both},{tmp_path / 'a.de'}", COLUMNS)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.en\.gz"):
        read(pair(tmp_path, "a\0b\n", "x\n"), COLUMNS)


def test_where_only_the_source_is_asked_for_the_other_file_may_be_there(tmp_path: Path) -> None:
    rows = read(pair(tmp_path, "a\nb\n", "x\ny\n"), {"source": COLUMNS["source"]})
    assert rows["source"] == ["a", "b"]
