"""Cells of tables: numbers as they are written, files and Python objects that hold them."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panel_tables import Told, made, refused, table

from apps.data import read
from apps.data.fingerprint import fingerprint
from apps.data.kinds.panel import panel, role
from apps.data.panels.table import Table, read_tables
from apps.errors import UserError

COLUMNS = {
    "series": panel(),
    **{name: role() for name in "time id target past future static".split()},
}
PLAIN = table("date,x", "2020-01-01,1", "2020-01-02,2", "2020-01-03,4")


def numbers(*cells: str, separator: str = ";", **reading: Any) -> list[float]:
    """The target of a file with those cells, NaN for holes."""
    rows = (f"2020-01-{n + 1:02}{separator}{cell}" for n, cell in enumerate(cells))
    one = made(table(f"date{separator}x", *rows), **reading)[0][0]
    return np.where(one.observed, one.targets, np.nan)[:, 0].tolist()


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["1,5", "2,25", "3"], [1.5, 2.25, 3]),
        (["1.234,56", "2.000,00"], [1234.56, 2000]),
        (["1,234.56", "2,000.00"], [1234.56, 2000]),
        (["1 234,56", "2\u00a0000,5"], [1234.56, 2000.5]),
        (["1'234.5", "2'000"], [1234.5, 2000]),
        (["1,234,567", "2,500"], [1234567, 2500]),
        (["1.234.567", "2.500"], [1234567, 2500]),
        (["$1,200.50", "-$3", "€ 4"], [1200.5, -3, 4]),
        (["3.5%", "-4 %"], [0.035, -0.04]),
        (["1.5K", "2M", "3.25B"], [1500, 2e6, 3.25e9]),
        (["(5)", "7", "($3.50)"], [-5, 7, -3.5]),
        (["+1", "−2", "3-"], [1, -2, -3]),
        (["true", "FALSE", "true"], [1, 0, 1]),
        (["Yes", "no"], [1, 0]),
        (["1e5", "2E-3"], [1e5, 0.002]),
        (["123456789012.123", "0.1"], [123456789012.123, 0.1]),
    ],
)
def test_numbers_as_they_are_written(cells: list[str], values: list[float], told: Told) -> None:
    assert numbers(*cells) == pytest.approx(values, rel=1e-15)


def test_holes(told: Told) -> None:
    holes = ["", "-", "NA", "nan", "null", "None", "?", "N/A", "#N/A"]
    found = numbers("1", *holes, "7")
    assert np.isnan(found).tolist() == [False] + [True] * len(holes) + [False]
    assert f"'x' {len(holes)}, first in row 2" in told.text


def test_a_comma_that_may_be_either(told: Told) -> None:
    """What stands between cells and in other columns tells, and the user has the last word."""
    assert numbers('"1,234"', '"2,500"', separator=",") == [1234, 2500]
    assert "'1,234' is read as 1234; else --set decimal=," in told.text
    assert numbers("1,234", "2,500") == [1.234, 2.5]
    assert numbers("1,234", "2,500", decimal=".") == [1234, 2500]
    assert numbers("1.234", "2.500", decimal=",") == [1234, 2500]
    text = table("date;p;v", "2020-01-01;1,5;1.234", "2020-01-02;2,5;2.345")
    assert made(text)[0][0].targets.tolist() == [[1.5, 1234], [2.5, 2345]]
    text = table("date;p;v", "2020-01-01;1.5;1,234", "2020-01-02;2.5;2,345")
    assert made(text)[0][0].targets.tolist() == [[1.5, 1234], [2.5, 2345]]


def test_a_model_does_not_force_its_decimal_mark(told: Told) -> None:
    _, known = made(table("date;x", "2020-01-01;1,5", "2020-01-02;2,5"))
    assert known.decimal == ","
    for cell, value in (("1.5", 1.5), ("1,5", 1.5), ("1,500", 1.5), ("7", 7)):
        assert made(table("date|x", f"2020-01-01|{cell}"), known)[0][0].targets[0, 0] == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", PLAIN),
        ("a.csv", PLAIN.replace(",", ";")),
        ("a.csv", PLAIN.replace(",", "|")),
        ("a.tsv", PLAIN.replace(",", "\t")),
        ("a.txt", PLAIN),
        ("a.csv", "sep=;\n" + PLAIN.replace(",", ";")),
        ("a.csv", "\ufeff" + PLAIN.replace("\n", "\r\n")),
        ("a.csv", PLAIN.replace("\n", "\r")),
        (
            "a.csv",
            PLAIN.replace("2020-01-02", '"2020-01-02"').replace("\n", ",\n").replace("x,", "x"),
        ),
        ("a.csv", PLAIN.replace("\n", "\n\n")),
        ("a.csv", PLAIN + ",\n,\n"),
        ("a.csv", PLAIN + PLAIN.partition("\n")[0] + "\n"),
        ("a.csv.gz", PLAIN),
        (
            "a.jsonl",
            '{"date":"2020-01-01","x":1}\n{"date":"2020-01-02","x":2}\n{"date":"2020-01-03","x":4}',
        ),
        ("a.json", '{"date":["2020-01-01","2020-01-02","2020-01-03"],"x":[1,2,4]}'),
    ],
)
def test_files(name: str, text: str, told: Told) -> None:
    content = text.encode()
    series, channels = made(gzip.compress(content) if name.endswith("gz") else content, name=name)
    assert series[0].targets.tolist() == [[1], [2], [4]]
    assert series[0].lines.tolist() == [1, 2, 3]
    assert (channels.time, channels.step.alias) == ("date", "D")


def zipped() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("a.csv", PLAIN)
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["is empty"]),
        ("date,x\n", ["no rows"]),
        ("2020-01-01,1\n2020-01-02,2\n", ["no header", "2020-01-01,1"]),
        ("date,x,x\n2020-01-01,1,2\n", ["'x'", "twice"]),
        ("date,x\n2020-01-01,1\n2020-01-02\n", ["row 2", "1 cell"]),
        ("date,x\n2020-01-01,1\n2020-01-02,1,5\n", ["row 2", "3 cells", "quotes"]),
        ('date,x\n2020-01-01,"1\n2020-01-02,2\n', ["row 1", "quote"]),
        ("date,x,n\n2020-01-01,1,M\xfcll\n".encode("latin1"), ["line 2", "UTF-8", "iconv"]),
        (zipped(), ["zip archive", "a.csv"]),
    ],
)
def test_files_that_are_damaged(content: str | bytes, words: list[str]) -> None:
    message = refused(content)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    "source",
    [
        [1, 2, 4],
        (1.0, 2.0, 4.0),
        np.array([1, 2, 4]),
        {"x": [1, 2, 4]},
        [{"x": 1}, {"x": 2}, {"x": 4}],
        pd.DataFrame({"x": [1, 2, 4]}),
        pd.DataFrame({"x": ["1", "2", "4"]}),
        pd.DataFrame({"x": pd.array([1, 2, 4], "Int64")}),
        pd.DataFrame({"x": pd.Series([1, 2.0, 4], dtype=object)}),
        "value\n1\n2\n4\n",
        "1\n2\n4\n",
    ],
)
def test_python_objects_and_bare_numbers(source: Any, told: Told) -> None:
    name = "a.txt" if isinstance(source, str) else "a.csv"
    assert made(source, name=name)[0][0].targets.tolist() == [[1], [2], [4]]


def test_what_is_no_table() -> None:
    assert read_tables([], {}) is None
    assert read_tables(["1, 2"], {}) is None
    assert read_tables([{"series": object()}], {}) is None
    assert read_tables("sound.wav", {}) is None
    found = read_tables([[1, 2], [3, 4, 5]], {})
    assert found is not None
    assert [len(one.frame) for one in found] == [2, 3]
    with pytest.raises(UserError, match="differ in length"):
        read_tables({"a": [1], "b": [1, 2]}, {})


def test_the_column_of_tables(tmp_path: Path, told: Told) -> None:
    """`read` makes a row of each table, with the roles that were given; texts are numbers too."""
    file = tmp_path / "a.csv"
    file.write_text(PLAIN)
    rows = read(str(file), COLUMNS, rename={"id": "series", "target": "x"})
    assert len(rows) == 1
    assert rows["series"][0].roles == {"id": "series", "target": "x"}
    rows = read(["1, 2, 3", "[4, 5.5]"], COLUMNS)
    assert [one.frame["value"].tolist() for one in rows["series"]] == [[1, 2, 3], [4, 5.5]]
    made_before, _ = made(PLAIN)
    rows = read([{"series": one} for one in made_before], COLUMNS, rename={"target": "x"})
    assert list(rows["series"]) == made_before
    with pytest.raises(UserError, match="row 1: the series is 'hello'"):
        read(["hello"], COLUMNS)


def test_digests_tell_contents_apart(told: Told) -> None:
    def digest(*values: Any) -> str:
        rows = read([{"series": value} for value in values], COLUMNS)
        return fingerprint(rows, columns=COLUMNS)

    def frame(**columns: Any) -> Table:
        return Table(pd.DataFrame(columns), "somewhere", {})

    base = frame(x=["a", "b"], y=[1.0, 2.0])
    same = frame(x=["a", "b"], y=[1.0, 2.0])
    others = [
        frame(x=["ab", ""], y=[1.0, 2.0]),
        frame(x=["a", "b"], y=[1.0, 2.5]),
        frame(z=["a", "b"], y=[1.0, 2.0]),
        Table(base.frame, "somewhere", {"target": "y"}),
        Table(base.frame, "somewhere", {}, since="#1"),
    ]
    assert digest(base) == digest(same)
    assert len({digest(base), *map(digest, others)}) == 1 + len(others)
    (one,), _ = made(PLAIN)
    (again,), _ = made(PLAIN)
    (other,), _ = made(PLAIN.replace(",4", ",5"))
    assert digest(one) == digest(again) != digest(other)
