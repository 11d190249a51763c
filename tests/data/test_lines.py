"""Plain text: one value a line, none dropped, none added."""

import gzip

import pytest

from apps.data import audio, label, read, text
from apps.data.lines import text_lines
from apps.errors import UserError

TEXT = {"text": text()}
ODD = ["a\u2028b", "c\u0085d", "e\x0bf\x0cg\x1ch\x1di\x1e", "j\u2029k", "", " ", "ä 🙂", "l\rm"]


def write(tmp_path, content, name="texts.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("compress", [False, True])
def test_every_line_is_a_row(tmp_path, end, last, mark, compress):
    content = (mark + end.join(ODD) + (end if last else "")).encode()
    path = write(tmp_path, gzip.compress(content) if compress else content)
    examples = read(path, TEXT)
    assert examples["text"] == ODD == text_lines(path)
    assert examples.places[4] == f"{path} row 5"


def test_lines_of_the_macintosh_of_old(tmp_path):
    assert text_lines(write(tmp_path, "one\rtwo\r\rfour\r")) == ["one", "two", "", "four"]


def test_a_line_is_no_header(tmp_path):
    assert read(write(tmp_path, "text\nlabel\n"), TEXT)["text"] == ["text", "label"]
    columns = {**TEXT, "label": label()}
    assert read(write(tmp_path, "a\nb\n"), columns, optional=("label",))["text"] == ["a", "b"]


def test_paths_one_a_line(tmp_path):
    path = write(tmp_path, "gone.wav\n")
    with pytest.raises(UserError, match=r"gone\.wav"):
        read(path, {"audio": audio()})


def test_a_table_of_that_name_and_a_text_where_labels_are_wanted(tmp_path):
    columns = {**TEXT, "label": label()}
    path = write(tmp_path, "text\tlabel\na\t1\n")
    assert read(path, columns)["label"] == ["1"]
    path = write(tmp_path, "a\nb\n")
    with pytest.raises(UserError, match="is plain text, one value a line, where 'text', 'label'"):
        read(path, columns)


def test_texts_that_are_not_utf8(tmp_path):
    with pytest.raises(UserError, match=r"texts\.txt row 2: byte 0x92 at position 2 .*-f cp1252"):
        read(write(tmp_path, b"one\nit\x92s\n"), TEXT)
