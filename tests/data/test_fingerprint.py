"""The digest by which a run knows its data again."""

import math

import numpy as np
import pytest

from apps.data import Clip, Examples, audio, group, label, number, read, text, time
from apps.data.fingerprint import fingerprint

COLUMNS = {"text": text(), "label": label(), "group": group()}


def rows(**columns):
    count = len(next(iter(columns.values())))
    return Examples(columns, [f"row {i}" for i in range(count)], "test")


def digest(*parts, columns=COLUMNS):
    return fingerprint(*parts, columns=columns)


def test_a_table_and_python_agree(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("label,text,time,price\n1,gut ☹,2020-01-31,0.1\n0,schlecht,2020-02-01,7\n")
    columns = {**COLUMNS, "time": time(), "price": number()}
    in_python = [("gut ☹", 1, "2020/1/31", 0.1), ("schlecht", 0, "2020/2/1", 7)]
    order = {name: columns[name] for name in ("text", "label", "time", "price")}
    read_there = digest(read(path, columns), columns=columns)
    assert read_there == digest(read(in_python, order), columns=columns)
    assert len(read_there) == 16


def test_arrays_that_numpy_prints_alike_differ():
    one, other = np.zeros(5000), np.zeros(5000)
    other[2500] = 1e-12
    assert str(one) == str(other)
    assert digest(rows(x=[one])) != digest(rows(x=[other]))
    assert digest(rows(x=[one])) == digest(rows(x=[one.copy()]))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.zeros(2, np.int32), np.zeros(2, np.float32)),
        (np.float32(1), np.float64(1)),
        (1, "1"),
        (1, 1.0),
        ("", None),
        (b"a", "a"),
        ("1, 2", ["1", "2"]),
        ([["a"], "b"], [["a", "b"]]),
        (0.1, math.nextafter(0.1, 1)),
        ({"a": 1}, {"a": 2}),
    ],
)
def test_plain_values_that_differ(one, other):
    assert digest(rows(x=[one])) != digest(rows(x=[other]))


def test_values_of_one_content_agree():
    matrix = np.arange(6.0).reshape(2, 3)
    same = [matrix, np.asfortranarray(matrix), matrix.astype(">f8"), matrix.T.copy().T]
    assert len({digest(rows(x=[array])) for array in same}) == 1
    assert digest(rows(x=[math.nan])) == digest(rows(x=[float("-nan")]))


def test_what_stands_together_is_told_apart():
    assert digest(rows(text=["ab", "c"])) != digest(rows(text=["a", "bc"]))
    assert digest(rows(text=["a\0b"])) != digest(rows(text=["a", "b"]))
    one, other = rows(text=["a", "b"]), rows(text=["c"])
    assert digest(one, other) != digest(rows(text=["a"]), rows(text=["b", "c"]))
    assert digest(rows(text=["x"])) != digest(rows(label=["x"]))
    assert digest(rows(text=[], label=["a"])) != digest(rows(text=["a"], label=[]))
    assert digest(rows(text=["a"], label=["b"])) == digest(rows(label=["b"], text=["a"]))


def test_recordings_by_their_samples_and_rate():
    columns = {"audio": audio()}

    def of(samples, rate=8000, path=""):
        return digest(
            rows(audio=[Clip.of(np.array(samples, np.int16), rate, path)]), columns=columns
        )

    assert of([1, 2, 3]) == of([1, 2, 3], path="elsewhere.wav")
    assert len({of([1, 2, 3]), of([1, 2, 4]), of([1, 2, 3], 16000), of([1, 2])}) == 4


def test_a_value_that_nobody_can_digest():
    with pytest.raises(TypeError, match="a object has no digest"):
        digest(rows(x=[object()]))
