"""Labels and groups: what is one name, what is missing, what is too long."""

import math

import numpy as np
import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


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


def test_labels_that_are_no_labels():
    with pytest.raises(UserError, match="list row 1: the label is of type list, not a text"):
        read([("a", ["x", "y"])], COLUMNS)


def test_a_label_as_long_as_a_text_suggests_the_wrong_column(tmp_path):
    path = tmp_path / "reviews.csv"
    path.write_text(f"text,label\n1,{'x' * 2000}\n")
    with pytest.raises(UserError, match=r"2,000 bytes.*right column.*--columns label=NAME"):
        read(path, COLUMNS)


def test_missing_groups_are_refused_too():
    with pytest.raises(UserError, match=r"list row 2: the group is empty \(1 of 2 rows\)"):
        read([("a", 1, "x"), ("b", 1, "")], COLUMNS)
