"""Moments: dates and times in their spellings, numbers, and what must not be mixed."""

import datetime

import numpy as np
import pytest

from apps.data import read, time
from apps.errors import UserError

COLUMNS = {"time": time()}
DAY = 86_400.0
# 2020-01-31T14:30:00Z
MOMENT = 1_580_481_000.0


def times(values):
    return read({"time": values}, COLUMNS)["time"]


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-31T14:30:00",
        "2020-01-31 14:30",
        " 2020-01-31 14:30:00.000 ",
        "2020/1/31 14:30",
        "2020.01.31 14:30:00",
        b"2020-01-31T14:30:00",
        datetime.datetime(2020, 1, 31, 14, 30),
        np.datetime64("2020-01-31T14:30:00"),
        np.datetime64("2020-01-31T14:30:00.000000000"),
    ],
)
def test_one_moment_without_a_zone_in_all_its_spellings(value):
    assert times([value]) == [MOMENT]


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-31T14:30:00Z",
        "2020-01-31T15:30:00+01:00",
        "2020-01-31 15:30:00 +0100",
        "2020-01-31 14:30:00 UTC",
        "2020/01/31 09:30 -05",
        datetime.datetime(2020, 1, 31, 14, 30, tzinfo=datetime.UTC),
    ],
)
def test_one_moment_with_a_zone_in_all_its_spellings(value):
    assert times([value]) == [MOMENT]


@pytest.mark.parametrize(
    ("value", "days"),
    [("1970-01-02", 1), ("1970/01/02", 1), ("1970-02", 31), (datetime.date(1969, 12, 31), -1)],
)
def test_dates(value, days):
    assert times([value]) == [days * DAY]


def test_parts_of_a_second():
    assert times(["1970-01-01 00:00:00.250", "1970/01/01 00:00:00.500000001"]) == [0.25, 0.5]


def test_numbers_are_kept():
    assert times([0, "1.5", np.int64(7)]) == [0.0, 1.5, 7.0]
    assert times([1949, 1950]) == [1949.0, 1950.0]


def test_dates_of_eight_digits():
    assert times(["19700101", "19700201"]) == times([19700101, 19700201]) == [0.0, 31 * DAY]
    # Not all of them are dates, so that they count something.
    assert times([20200131, 20200132]) == [20200131.0, 20200132.0]


@pytest.mark.parametrize(
    ("second", "part"),
    [
        ("2020-01-31T14:30:00Z", "is a time with a zone, but a time without a zone in dict row 1"),
        (5, "is a number, but a time without a zone in dict row 1"),
        ("31/01/2020", "is '31/01/2020', neither a number nor a time with its year first"),
        ("2020-02-30", "is '2020-02-30', neither"),
        ("soon", "is 'soon', neither"),
        ([1], "is of type list, neither"),
        ("", "is empty (1 of 2 rows)"),
        (np.datetime64("NaT"), "is empty (1 of 2 rows)"),
        (float("nan"), "is empty (1 of 2 rows)"),
    ],
)
def test_what_is_refused(second, part):
    with pytest.raises(UserError) as error:
        times(["2020-01-31", second])
    assert str(error.value).startswith(f"dict row 2: the time {part}")


def test_a_table_and_its_usual_names(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("Date,y\n2020-01-31 14:30,1\nlate,2\n")
    with pytest.raises(UserError, match=r"rows\.csv row 2: the time is 'late'"):
        read(path, COLUMNS)
    path.write_text("Date,y\n2020-01-31 14:30,1\n")
    assert read(path, COLUMNS)["time"] == [MOMENT]


def test_data_frame():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"ds": pandas.to_datetime(["2020-01-31 14:30:00", None])})
    assert read(frame[:1], COLUMNS)["time"] == [MOMENT]
    with pytest.raises(UserError, match="DataFrame row 2: the time is empty"):
        read(frame, COLUMNS)
