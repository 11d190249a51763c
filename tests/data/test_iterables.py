"""Lists, columns, data frames, generators and tf.data."""

import numpy as np
import pytest

from apps.data import group, label, read, text
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}
EXPECTED = {"text": ["gut", "schlecht"], "label": ["1", "0"]}
RECORDS = [{"text": "gut", "label": 1, "id": 7}, {"label": 0, "text": "schlecht", "id": 8}]


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (RECORDS, "list"),
        (tuple(RECORDS), "tuple"),
        ([("gut", 1), ("schlecht", 0)], "list"),
        ([["gut", "1"], ["schlecht", "0"]], "list"),
        ({"text": ["gut", "schlecht"], "label": np.array([1, 0])}, "dict"),
        (lambda: (record for record in RECORDS), "generator"),
    ],
)
def test_rows_and_columns(source, name):
    examples = read(source() if callable(source) else source, COLUMNS)
    assert dict(examples.columns) == EXPECTED
    assert examples.places == [f"{name} row 1", f"{name} row 2"]


def test_plain_texts_where_nothing_else_is_required():
    examples = read(["gut", b"schlecht"], COLUMNS, optional=("label",))
    assert dict(examples.columns) == {"text": ["gut", "schlecht"]}


def test_tuples_are_in_the_order_of_the_columns_whatever_they_are_called():
    examples = read([("gut", 1, "g")], COLUMNS, rename={"text": "review"})
    assert dict(examples.columns) == {"text": ["gut"], "label": ["1"], "group": ["g"]}


def test_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"Review": ["gut", None], "label": [1.0, 0.0]}, index=[5, 9])
    examples = read(frame, COLUMNS, rename={"text": "review"})
    assert dict(examples.columns) == {"text": ["gut", ""], "label": ["1", "0"]}
    assert examples.places == ["DataFrame row 1", "DataFrame row 2"]


@pytest.mark.parametrize("kind", ["float64", "Int64", "string"])
def test_a_data_frame_with_a_missing_label(kind):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"text": ["a", "b"], "label": pandas.array([1, None], dtype=kind)})
    with pytest.raises(UserError, match=r"DataFrame row 2: the label is empty \(1 of 2 rows\)"):
        read(frame, COLUMNS)


def test_tf_data():
    import tensorflow as tf

    columns = {"text": ["gut", "schlecht"], "label": tf.constant([1, 0])}
    dataset = tf.data.Dataset.from_tensor_slices(columns)
    pairs = tf.data.Dataset.from_tensor_slices((columns["text"], columns["label"]))
    for source in (dataset, pairs, dataset.as_numpy_iterator(), columns):
        assert dict(read(source, COLUMNS).columns) == EXPECTED
    assert read(dataset, COLUMNS).places[1] == "tf.data.Dataset row 2"
    for batched in (dataset.batch(2), pairs.batch(2)):
        with pytest.raises(UserError, match=r"row 1: the text holds 2 values.*unbatch\(\)"):
            read(batched, COLUMNS)
    with pytest.raises(UserError, match=r"repeats without end.*take\(n\)"):
        read(dataset.repeat(), COLUMNS)


@pytest.mark.parametrize("source", [[], {"text": [], "label": []}, iter(())])
def test_no_rows(source):
    with pytest.raises(UserError, match="has no rows; give at least one"):
        read(source, COLUMNS)


@pytest.mark.parametrize(
    ("source", "part"),
    [
        (5, "data of type int cannot be read; pass a path"),
        (b"text", "data of type bytes cannot be read"),
        ({"text": "gut", "label": 1}, "dict: 'text' is of type str, not a list of values"),
        ({"text": ["a"], "label": [1, 0]}, "the columns differ in length"),
        (["gut"], "list row 1 has 1 values; give 'text', 'label', 'group' in that order"),
        ([("a", 1, "g", 9)], "list row 1 has 4 values"),
        ([("a", 1), 5], "list row 2 is of type int; pass dictionaries with the keys 'text'"),
        (
            [{"text": "a", "label": 1}, ("b", 0)],
            "list row 2 is of type tuple where the first row is",
        ),
        ([None], "list row 1 is of type NoneType"),
    ],
)
def test_what_cannot_be_read(source, part):
    with pytest.raises(UserError) as error:
        read(source, COLUMNS)
    assert part in str(error.value)
