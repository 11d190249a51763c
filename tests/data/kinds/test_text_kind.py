"""Texts: which are kept as they stand, what is none, and what is too long."""

import math

import numpy as np
import pytest

from apps.data import label, read, text, transcript
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label()}


@pytest.mark.parametrize(("value", "text"), [(None, ""), (math.nan, ""), ("", ""), (" \n", " \n")])
def test_empty_texts_are_kept(value, text):
    assert read([(value, 1)], COLUMNS)["text"] == [text]


@pytest.mark.parametrize("value", [5, 1.5, ["a"], {"a": 1}, np.array(["a", "b"], object)])
def test_texts_that_are_no_texts(value):
    with pytest.raises(UserError, match="row 2"):
        read([("a", 1), (value, 1)], COLUMNS)


def test_bytes_are_decoded_or_refused():
    assert read([("é".encode(), b"x")], COLUMNS)["text"] == ["é"]
    with pytest.raises(UserError, match=r"list row 1: the text is not UTF-8 \(byte 0xe9 at posit"):
        read([(b"caf\xe9", 1)], COLUMNS)


def test_the_limit_counts_bytes_of_utf8(tmp_path):
    columns = {"text": text(limit_bytes=8), "label": label()}
    assert read([("éééé", 1), ("x" * 8, 1)], columns)["text"] == ["éééé", "x" * 8]
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\nfine,1\nééééx,1\n")
    with pytest.raises(UserError) as error:
        read(path, columns)
    assert str(error.value) == (
        f"{path} row 2: the text has 9 bytes, more than the limit of 8; split it into several rows"
    )


def test_the_limit_is_a_mebibyte_unless_told_otherwise():
    assert len(read([("x" * 2**20, 1)], COLUMNS)["text"][0]) == 2**20
    with pytest.raises(UserError, match="1,048,577 bytes"):
        read([("x" * (2**20 + 1), 1)], COLUMNS)


def test_half_a_surrogate_pair():
    with pytest.raises(UserError, match="list row 1: the text has half of a surrogate pair"):
        read([("\ud83d", 1)], COLUMNS)


def test_a_batch_is_refused():
    with pytest.raises(UserError, match=r"dict row 1: the text holds 2 values; .*\.unbatch\(\)"):
        read({"text": [np.array(["a", "b"])], "label": [1]}, COLUMNS)


def test_texts_alone_in_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "2.txt").write_text("zwei")
    (tmp_path / "deep" / "1.txt").write_text("eins")
    (tmp_path / "notes.md").write_text("no text")
    examples = read(tmp_path, {"text": text()})
    assert examples["text"] == ["zwei", "eins"]
    assert examples.places == [f"{tmp_path}/2.txt", f"{tmp_path}/deep/1.txt"]


@pytest.mark.parametrize("name", ["transcript", "text", "sentence", "Normalized_Text"])
def test_the_names_of_transcripts(name):
    assert read([{name: "a"}], {"transcript": transcript()})["transcript"] == ["a"]
