"""What is said of rows that can be used but look wrong, and what is refused."""

import numpy as np
import pytest

from apps.data import Clip, audio, group, label, read, text, transcript
from apps.data.remarks import check_labels, remarks
from apps.errors import UserError

COLUMNS = {"text": text(), "label": label(), "group": group()}


def said(rows, validation=(("else", "0"),), columns=COLUMNS, inputs=("text",)):
    training, other = (read(list(part), columns) for part in (rows, validation))
    return list(remarks(training, other, columns, inputs))


def table(labels, texts=None):
    return [(texts[i] if texts else f"text {chr(97 + i)}", one) for i, one in enumerate(labels)]


def test_nothing_is_said_of_what_is_all_right():
    assert said(table("0101100101")) == []
    assert said([("12", "0"), ("a", "1"), ("12", "0")]) == []


@pytest.mark.parametrize(
    ("one", "other"), [("Yes", "yes"), ("not good", "not  good"), ("not good", "Not_good")]
)
def test_labels_that_are_spelt_alike(one, other):
    assert said(table([one, one, other, "no"])) == [
        "list: labels that are spelt alike count as different ones: "
        + ", ".join(f"'{name}' ({1 + (name == one)} rows)" for name in sorted((one, other)))
    ]


def test_labels_that_read_as_if_there_were_none():
    (line,) = said(table(["0", "1", "nan", "None", "nan"]))
    assert line.startswith("list: 'None', 'nan' is a label like the others (3 rows)")


def test_nearly_as_many_labels_as_rows():
    (line,) = said(table([*map(str, range(15)), "0", "1"]))
    assert line.startswith("list: 15 labels for 17 rows; if that is the wrong column, say which")


def test_every_row_with_a_label_of_its_own():
    rows = read(table([f"label {i}" for i in range(12)]), COLUMNS)
    with pytest.raises(UserError, match=r"each of 12 rows has another label, such as 'label 0'; "):
        check_labels(rows, COLUMNS)
    check_labels(rows.select(range(9)), COLUMNS)
    check_labels(read(table(["a"] * 6 + ["b"] * 6), COLUMNS), COLUMNS)


def test_text_and_label_swapped():
    rows = read([("01"[i % 2], f"a text of some words {i}") for i in range(12)], COLUMNS)
    with pytest.raises(UserError, match=r"swapped\? then add --columns label=text,text=label"):
        check_labels(rows, COLUMNS)


@pytest.mark.parametrize("texts", [["1", "2.5", " 3,5 "], ["a.wav", "b/c.TXT", "d.csv"]])
def test_texts_that_are_something_else(texts):
    (line,) = said(table("010", texts))
    assert line.startswith(f"list: each text is {'a number' if '1' in texts else 'the name of a'}")
    assert "--columns text=NAME" in line


def test_equal_inputs_with_different_labels():
    (line,) = said([("a", "0"), ("b", "1"), ("a", "1"), ("c", "0"), ("a", "0"), ("c", "1")])
    assert line.startswith("list: 2 inputs stand there with more than one label, such as list row ")


def test_rows_on_both_sides():
    (line,) = said(table("0101"), [("text a", "0"), ("text x", "1"), ("text a", "0")])
    assert line.startswith("2 of 3 validation rows are among the training rows too")


def test_recordings_on_both_sides():
    columns = {"audio": audio(), "transcript": transcript()}
    clips = [Clip.of(np.arange(9) + number, 8000) for number in (1, 2, 1)]
    (line,) = said([(clips[0], "one"), (clips[1], "two")], [(clips[2], "one")], columns, ("audio",))
    assert line.startswith("1 of 1 validation rows are among the training rows too")
