"""Files that are no UTF-8 text: what they are, and remedies that work."""

import bz2
import gzip
import io
import lzma
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

from apps.data import label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label()}
TABLE = "text,label\nit’s fine,café\n“so so”,thé\n"
VALUES = [("it’s fine", "café"), ("“so so”", "thé")]


def refused(path):
    with pytest.raises(UserError) as error:
        read(path, COLUMNS)
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def remedied(path, message):
    """What is read after the command of a message was run."""
    command = message.partition(": ")[2]
    while not re.match("iconv|gunzip|python|bzip2|xz|tar", command):
        command = command.partition(": ")[2]
    program = command.split()[0]
    if program == "python":
        command = command.replace("python", sys.executable, 1)
    elif shutil.which(program) is None:
        pytest.skip(f"there is no {program}")
    before = set(path.parent.rglob("*"))
    subprocess.run(command, shell=True, check=True, cwd=path.parent, capture_output=True)
    (made,) = (file for file in set(path.parent.rglob("*")) - before if file.is_file())
    examples = read(made, COLUMNS)
    return list(zip(examples["text"], examples["label"], strict=True))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", ["reviews.csv", "re views.csv.gz", "packed.csv"])
def test_other_encodings(tmp_path, encoding, name):
    content = TABLE.encode(encoding)
    path = tmp_path / name
    path.write_bytes(content if name == "reviews.csv" else gzip.compress(content))
    message = refused(path)
    assert "iconv -f " in message
    assert remedied(path, message) == VALUES


def test_what_windows_and_latin1_have_in_common(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_bytes("text,label\nok,café\n".encode("latin1"))
    assert remedied(path, refused(path)) == [("ok", "café")]


@pytest.mark.parametrize("compress", [False, True])
def test_lines_of_different_encodings(tmp_path, compress):
    first, second, third = TABLE.encode().splitlines(keepends=True)
    content = first + second + third.decode().encode("cp1252")
    path = tmp_path / "reviews.csv"
    path.write_bytes(gzip.compress(content) if compress else content)
    message = refused(path)
    assert "mixes UTF-8 with windows-1252" in message
    assert remedied(path, message) == VALUES


@pytest.mark.parametrize("encoding", ["shift_jis", "cp1251", "koi8-r", "gb18030"])
def test_encodings_of_other_regions(tmp_path, encoding):
    words = {"shift_jis": "とても良い", "gb18030": "很好很好"}.get(encoding, "Очень хорошо")
    path = tmp_path / "reviews.csv"
    path.write_bytes(f"text,label\n{words},1\n{words},0\n".encode(encoding))
    message = refused(path)
    assert "its encoding is none of Western Europe; save it again as UTF-8" in message
    assert "iconv -f ENCODING -t utf-8 < " in message


def zipped(name, content):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, content)
    return stream.getvalue()


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.zip", "reviews.json", "reviews.txt"])
def test_zip_archives(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(zipped("inner.csv", TABLE))
    message = refused(path)
    assert "is a zip archive that holds 'inner.csv'; unpack it and name a file in it" in message
    assert remedied(path, message) == VALUES


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.csv.xz"])
@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_other_compression(tmp_path, name, compress):
    path = tmp_path / name
    path.write_bytes(compress(TABLE.encode()))
    assert remedied(path, refused(path)) == VALUES


def test_tar_archives(tmp_path):
    path = tmp_path / "reviews.csv.gz"
    with tarfile.open(path, "w:gz") as archive:
        info = tarfile.TarInfo("inner.csv")
        info.size = len(TABLE.encode())
        archive.addfile(info, io.BytesIO(TABLE.encode()))
    message = refused(path)
    assert "is a tar archive" in message
    assert remedied(path, message) == VALUES


def test_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "reviews.csv"
    pandas.DataFrame(VALUES, columns=["text", "label"]).to_parquet(path)
    message = refused(path)
    assert "is a Parquet file" in message
    assert remedied(path, message) == VALUES


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (zipped("xl/workbook.xml", ""), "is a spreadsheet, not text; open it and save it as CSV"),
        (zipped("content.xml", ""), "is a spreadsheet"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 99, "is a spreadsheet"),
        (b"PK\x03\x04 and nothing else", "is a damaged zip archive"),
        (b"%PDF-1.7", "is a PDF, not text; name a table"),
        (b"\n<!DOCTYPE html><title>Log in</title>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"SQLite format 3\0", "is an SQLite database"),
        (b"text,label\na\0b,1\n", "row 1: a zero byte"),
    ],
)
def test_what_else_is_called_csv(tmp_path, content, words):
    path = tmp_path / "reviews.csv"
    path.write_bytes(content)
    assert words in refused(path)
