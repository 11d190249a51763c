"""Forms of values: what is one label, what is missing, what is too long."""

import math

import numpy as np
import pytest

from apps.data import Column, read
from apps.errors import UserError

COLUMNS = {"text": Column.text(), "label": Column.label(), "group": Column.group()}


@pytest.mark.parametrize(
    "value", [1, 1.0, "1", " 1\n", "1.0", b"1", np.int64(1), np.float32(1), np.array(1)]
)
def test_one_label_in_all_its_spellings(value):
    assert read([("good", value)], COLUMNS)["label"] == ["1"]


@pytest.mark.parametrize(
    ("value", "label"),
    [(1.5, "1.5"), ("01", "01"), ("1.00", "1.00"), (-2.0, "-2"), ("nan", "nan"), (True, "True")],
)
def test_labels_that_stay_apart(value, label):
    assert read([("good", value)], COLUMNS)["label"] == [label]


@pytest.mark.parametrize("value", [None, "", "  ", math.nan, np.float64("nan"), "NaN"])
def test_missing_labels_are_counted_and_the_first_is_named(value):
    with pytest.raises(UserError) as error:
        read([("a", 1), ("b", value), ("c", value)], COLUMNS)
    assert str(error.value) == (
        "list row 2: the label is empty (2 of 3 rows); fill it in or remove the row"
    )


def test_missing_groups_are_refused_too():
    with pytest.raises(UserError, match=r"list row 2: the group is empty \(1 of 2 rows\)"):
        read([("a", 1, "x"), ("b", 1, "")], COLUMNS)


@pytest.mark.parametrize(("value", "text"), [(None, ""), (math.nan, ""), ("", ""), (" \n", " \n")])
def test_empty_texts_are_kept(value, text):
    assert read([(value, 1)], COLUMNS)["text"] == [text]


@pytest.mark.parametrize("value", [5, 1.5, ["a"], {"a": 1}, np.array(["a", "b"], object)])
def test_texts_that_are_no_texts(value):
    with pytest.raises(UserError, match="row 2"):
        read([("a", 1), (value, 1)], COLUMNS)


def test_labels_that_are_no_labels():
    with pytest.raises(UserError, match="list row 1: the label is of type list, not a text"):
        read([("a", ["x", "y"])], COLUMNS)


def test_bytes_are_decoded_or_refused():
    assert read([("é".encode(), b"x")], COLUMNS)["text"] == ["é"]
    with pytest.raises(UserError, match=r"list row 1: the text is not UTF-8 \(byte 0xe9 at posit"):
        read([(b"caf\xe9", 1)], COLUMNS)


def test_the_limit_counts_bytes_of_utf8(tmp_path):
    columns = {"text": Column.text(limit_bytes=8), "label": Column.label()}
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


def test_a_label_as_long_as_a_text_suggests_the_wrong_column(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text(f"text,label\n1,{'x' * 2000}\n")
    with pytest.raises(UserError, match=r"2,000 bytes.*right column.*--columns label=NAME"):
        read(path, COLUMNS)
