"""Files of columns: their dialects, and each way in which one can be broken."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from apps.data import Examples, read
from apps.data.kinds.sentence import sentence
from apps.data.kinds.spans import spans
from apps.errors import UserError

COLUMNS = {"text": sentence(), "spans": spans()}
PLAIN = "Ann B-per\nLee I-per\nflew O\nto O\nOslo B-loc\n. O\n\nNo O\nnews O\n"
TEXTS = ["Ann Lee flew to Oslo .", "No news"]
SPANS = [((0, 7, "per"), (16, 20, "loc")), ()]


def write(folder: Path, content: str, name: str = "data.conll") -> Path:
    path = folder / name
    path.write_bytes(content.encode())
    return path


def loaded(folder: Path, content: str, name: str = "data.conll") -> Examples:
    return read(write(folder, content, name), COLUMNS)


def refused(folder: Path, content: str, name: str = "data.conll") -> str:
    with pytest.raises(UserError) as error:
        loaded(folder, content, name)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.bio", "a.annotated", "a", "a.tsv"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    content = PLAIN.replace(" ", "\t") if name == "a.tsv" else PLAIN
    examples = loaded(tmp_path, content, name)
    assert examples["text"] == TEXTS
    assert list(examples["spans"]) == SPANS
    assert examples.places == [f"{tmp_path / name} line 1", f"{tmp_path / name} line 8"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("\n", "\r\n"),
        (" ", "\t"),
        ("\n\n", "\n\t\n"),
        ("\n\n", "\n\n\n   \n"),
        (" ", "  "),
        (" O", " NN x O"),
        ("Ann", "-DOCSTART- O\n\nAnn"),
        ("Ann", "# id = 1\nAnn"),
        ("Ann", "\ufeffAnn"),
        ("", ""),
    ],
)
def test_dialects(tmp_path: Path, old: str, new: str) -> None:
    content = PLAIN.replace(old, new, 1 if old == "Ann" else -1)
    if "NN" in new:
        content = content.replace(" B-", " NN x B-").replace(" I-", " NN x I-")
    examples = loaded(tmp_path, content)
    assert examples["text"] == TEXTS
    assert list(examples["spans"]) == SPANS


def test_gzip_and_no_line_end_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "data.conll.gz"
    path.write_bytes(gzip.compress(PLAIN.rstrip().encode()))
    assert read(path, COLUMNS)["text"] == TEXTS


def test_lines_end_nowhere_else(tmp_path: Path) -> None:
    odd = PLAIN.replace(" ", "\t").replace("flew", "flew\u2028\u0085on").replace("No", "N\u00a0o")
    assert loaded(tmp_path, odd)["text"] == ["Ann Lee flew on to Oslo .", "N o news"]


@pytest.mark.parametrize(
    "tags",
    [
        "I-per I-per O O I-loc O",
        "B-per I-per O O B-loc O",
        "B-per E-per O O S-loc O",
        "B-per L-per O O U-loc O",
    ],
)
def test_schemes_mean_the_same(
    tmp_path: Path, tags: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = zip(TEXTS[0].split(), tags.split(), strict=True)
    examples = loaded(tmp_path, "".join(f"{word} {tag}\n" for word, tag in rows))
    assert list(examples["spans"]) == SPANS[:1]
    scheme = {"I": "IOB1", "B": "IOB2"}[tags[0]] if tags[6] == "I" else "BIOES"
    assert f"1 sentences, 2 spans in {scheme}" in capsys.readouterr().err


def test_tags_that_begin_inside_are_read_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = loaded(tmp_path, PLAIN.replace("No O", "No I-per"))
    assert list(examples["spans"])[1] == ((0, 2, "per"),)
    said = capsys.readouterr().err
    assert "IOB2; 1 begin with a tag that continues nothing" in said
    assert "line 8" in said


def test_numbered_tokens(tmp_path: Path) -> None:
    content = "1 Ann B-per O\n2 ran O O\n\n1 Hi O O\n"
    examples = loaded(tmp_path, content.replace(" O\n", "\n"))
    assert examples["text"] == ["Ann ran", "Hi"]


def test_of_two_columns_of_tags_the_last_is_used_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    examples = loaded(tmp_path, "Ann B-NP B-per\nran B-VP O\n")
    assert list(examples["spans"]) == [((0, 3, "per"),)]
    assert "columns 2 and 3 hold tags; the last one is used" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (PLAIN.replace("flew O", "flew"), ["line 3", "1 columns", "2"]),
        (PLAIN.replace("flew O", "flew over O"), ["line 3", "3 columns", "2"]),
        (PLAIN.replace(" ", "\t").replace("to\tO", "to O"), ["line 4", "1 columns"]),
        (PLAIN.replace("B-loc", "X-loc"), ["line 5", "'X-loc'", "IOB1, IOB2 or BIOES"]),
        (PLAIN.replace("B-loc", "loc"), ["line 5", "'loc'", "B-place"]),
        (PLAIN.replace(" ", "\t").replace("Oslo", ""), ["line 5", "word is missing"]),
        ("O Ann\nO ran\nB-loc Oslo\n", ["line 1", "first column holds tags"]),
        ("Ann ran\nto Oslo\n", ["no column holds tags"]),
        ("Ann\nran\n", ["no column holds tags"]),
        ("", ["no column holds tags"]),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, content: str, words: list[str]) -> None:
    line = refused(tmp_path, content)
    assert "data.conll" in line
    assert [word for word in words if word not in line] == [], line


def test_bytes_that_are_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "data.conll"
    path.write_bytes(PLAIN.encode().replace(b"Oslo", b"Troms\xf8"))
    with pytest.raises(UserError, match="line 5: byte 0xf8"):
        read(path, COLUMNS)


def test_a_table_is_still_a_table(tmp_path: Path) -> None:
    content = "text\tspans\nAnn ran\tB-per O\nNo news\tO O\n"
    assert loaded(tmp_path, content, "data.tsv")["text"] == ["Ann ran", "No news"]
