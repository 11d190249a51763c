"""Times of tables: how dates are written, zones, order, repeats, steps and holes."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from panel_tables import Told, hours, made, refused, table

FIRST = 1_580_169_600.0  # 2020-01-28
DAYS = FIRST + 86_400 * np.arange(8)


def dated(cells: Iterable[Any]) -> str:
    return table("date;x", *(f"{cell};{n * n % 7 + n}" for n, cell in enumerate(cells)))


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%d.%m.%Y",
        "%d.%m.%y",
        "%m/%d/%Y",
        "%d-%m-%Y",
        "%Y/%m/%d",
        "%Y%m%d",
        "%b %d, %Y",
        "%B %d %Y",
        "%d-%b-%y",
        "%d %B %Y",
        "%m/%d/%Y %I:%M %p",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d %H:%M:%S.%f",
        "%a, %d %b %Y %H:%M:%S GMT",
    ],
)
def test_forms_of_dates(form: str, told: Told) -> None:
    """Days to the 31st show which number is the day."""
    days = pd.date_range("2020-01-28", periods=8)
    series, channels = made(dated(day.strftime(form) for day in days))
    assert series[0].times.tolist() == DAYS.tolist()
    assert (channels.step.alias, channels.time) == ("D", "date")


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
def test_seconds_since_1970_in_any_unit(unit: int, told: Told) -> None:
    series, _ = made(dated(int(day) * unit for day in DAYS))
    assert series[0].times.tolist() == DAYS.tolist()
    assert "seconds since 1970" in told.text


@pytest.mark.parametrize(
    ("cells", "alias", "second"),
    [
        (["2020-01", "2020-02", "2020-03"], "MS", "2020-02-01"),
        (["Jan 2020", "Feb 2020", "Mar 2020"], "MS", "2020-02-01"),
        (["31.01.2020", "29.02.2020", "31.03.2020"], "ME", "2020-02-29"),
        (["15.01.2020", "15.02.2020", "15.03.2020"], "MS", "2020-02-15"),
        (["2020Q1", "2020Q2", "2020Q3"], "QS-OCT", "2020-04-01"),
        (["2020-03-31", "2020-06-30", "2020-09-30"], "QE-DEC", "2020-06-30"),
        (["2018", "2019", "2020"], "YS-JAN", "2019-01-01"),
        (["2020-W01", "2020-W02", "2020-W03"], "W-MON", "2020-01-06"),
        (["15 mars 2020", "16 mars 2020", "17 mars 2020"], "D", "2020-03-16"),
        (["30. Dezember 2020", "31. Dezember 2020", "1. Januar 2021"], "D", "2020-12-31"),
    ],
)
def test_longer_steps(cells: list[str], alias: str, second: str, told: Told) -> None:
    series, channels = made(dated(cells))
    assert channels.step.alias == alias
    assert series[0].times[1] == datetime.datetime.fromisoformat(f"{second}T00:00Z").timestamp()
    following = pd.to_datetime(channels.step.after(series[0].times[1], 1), unit="s")
    assert following[0].timestamp() == series[0].times[2]


def test_two_digit_years_are_never_in_the_future(told: Told) -> None:
    series, _ = made(dated(["30-Dec-99", "31-Dec-99", "01-Jan-00"]))
    assert series[0].times[0] == datetime.datetime(1999, 12, 30, tzinfo=datetime.UTC).timestamp()
    ahead = datetime.date.today() + datetime.timedelta(400)
    days = [(ahead + datetime.timedelta(n)).strftime("%d.%m.%y") for n in range(3)]
    series, _ = made(dated(days))
    assert series[0].times.max() < datetime.datetime.now().timestamp()


def test_dates_that_can_be_read_in_two_ways() -> None:
    text = dated(["01/02/2020", "02/02/2020", "03/02/2020"])
    message = refused(text)
    assert "row 1" in message
    assert "2020-02-01" in message
    assert "2020-01-02" in message
    assert "--set date_order=dmy" in message
    assert made(text, date_order="dmy")[1].step.alias == "D"
    assert made(text, date_order="mdy")[1].step.alias == "MS"


def test_the_step_decides_the_order_of_dates(told: Told) -> None:
    cells = ["01/11/2020", "01/12/2020", "01/01/2021", "01/02/2021"]
    _, channels = made(dated(cells))
    assert (channels.step.alias, channels.date_order) == ("MS", "dmy")
    assert "day first" in told.text


def test_a_model_knows_the_order_of_its_dates() -> None:
    _, known = made(dated(f"{day}/01/2020" for day in range(10, 20)))
    series, _ = made(dated(["01/02/2020", "02/02/2020"]), known)
    assert np.diff(series[0].times).tolist() == [86_400]


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        (["13/01/2020", "14/01/2020", "01/15/2020"], ["row 1", "row 3", "day first"]),
        (["2020-01-01", "2020-02-30", "2020-01-03"], ["row 2", "2020-02-30"]),
        (["2020-01-01", "soon", "2020-01-03"], ["row 2", "'soon'", "2020-01-01"]),
        (["2020-01-01", "", "2020-01-03"], ["row 2", "empty"]),
        (["foo", "bar", "baz"], ["row 1", "'foo'", "--columns time=NAME"]),
        (["2020-01-01T00:00Z", "2020-01-02T00:00"], ["row 1", "row 2", "zone"]),
    ],
)
def test_dates_that_are_none(cells: list[str], words: list[str]) -> None:
    message = refused(dated(cells))
    assert [word for word in words if word not in message] == []


def test_zones_become_utc_and_days_stay_days(told: Told) -> None:
    turn = ["2020-10-25T01:00+02:00", "2020-10-25T02:00+02:00", "2020-10-25T02:00+01:00"]
    series, channels = made(dated(turn))
    assert channels.step.alias == "h"
    assert series[0].times[0] == datetime.datetime.fromisoformat(turn[0]).timestamp()
    days = [f"2020-10-{24 + n}T00:00+0{2 if n < 2 else 1}:00" for n in range(4)]
    assert made(dated(days))[1].step.alias == "D"
    tokyo = [f"{day.date()}T00:00+09:00" for day in pd.bdate_range("2020-10-19", periods=15)]
    assert made(dated(tokyo))[1].step.alias == "B"
    plain = [f"2020-10-{24 + n}" for n in range(4)]
    assert made(dated(plain), timezone="Europe/Berlin")[1].step.alias == "D"


def test_the_hour_that_autumn_repeats(told: Told) -> None:
    clock = [f"2020-10-25 {hour:02}:00" for hour in (1, 2, 2, 3)]
    message = refused(dated(clock))
    assert "rows 2 and 3" in message
    assert "--set timezone=Europe/Berlin" in message
    for order in (clock, clock[::-1]):
        series, channels = made(dated(order), timezone="Europe/Berlin")
        assert np.diff(series[0].times).tolist() == [3600, 3600, 3600]
        assert channels.step.alias == "h"


def test_the_hour_that_spring_skips() -> None:
    clock = [f"2020-03-29 {hour:02}:00" for hour in (1, 3, 4)]
    series, _ = made(dated(clock), timezone="Europe/Berlin")
    assert np.diff(series[0].times).tolist() == [3600, 3600]
    assert "row 2" in refused(dated([clock[0], "2020-03-29 02:00"]), timezone="Europe/Berlin")
    assert "Europe/Berlin" in refused(dated(clock), timezone="Europe/Berlni")


def test_dates_and_clocks_in_columns_of_their_own(told: Told) -> None:
    series, channels = made(
        "Date;Time;P\n16/12/2006;17:24:00;4.2\n16/12/2006;17:25:00;?\n16/12/2006;17:26:00;5.3\n"
    )
    assert (channels.time, channels.step.alias) == ("Date+Time", "min")
    assert series[0].observed[:, 0].tolist() == [True, False, True]
    rows = [f"{n},2010,1,1,{n},{n * n}" for n in range(3)]
    _, channels = made(table("No,year,month,day,hour,pm", *rows))
    assert (channels.time, channels.targets) == ("year+month+day+hour", ("pm",))
    text = table("date,hour,x", "2020-01-01,0,1", "2020-01-01,1,2", "2020-01-01,2,4")
    for roles in ({}, {"time": "date+hour"}):
        assert made(text, roles=roles)[1].step.alias == "h"


def test_plain_numbers_and_none_at_all(told: Told) -> None:
    series, channels = made(table("time,x", "0.0,2", "0.5,4", "1.0,9"))
    assert (channels.step.size, channels.step.dated) == (0.5, False)
    assert series[0].times.tolist() == [0.0, 0.5, 1.0]
    series, channels = made(table("a,b", "1,2", "2,4", "3,9"))
    assert channels.time == ""
    assert series[0].times.tolist() == [0, 1, 2]
    assert "rows are steps" in told.text


def test_rows_that_go_backwards_are_put_in_order(told: Told) -> None:
    series, _ = made(dated(["2020-01-04", "2020-01-03", "2020-01-02"]))
    assert series[0].lines.tolist() == [3, 2, 1]
    assert "newest rows first" in told.text
    series, _ = made(dated(["2020-01-01", "2020-01-03", "2020-01-02"]))
    assert series[0].lines.tolist() == [1, 3, 2]
    assert "backwards 1 time, first in row 3" in told.text


def test_rows_of_one_time(told: Told) -> None:
    rows = ["2020-01-01,1", "2020-01-01,1", "2020-01-02,2", "2020-01-03,5"]
    series, _ = made(table("date,x", *rows))
    assert series[0].lines.tolist() == [1, 3, 4]
    assert "1 row there twice" in told.text
    text = table("date,x", "2020-01-01,1", "2020-01-01,3", "2020-01-02,2", "2020-01-03,9")
    message = refused(text)
    assert "rows 1 and 2" in message
    assert "duplicates=mean" in message
    for how, first in (("mean", 2), ("sum", 4), ("first", 1), ("last", 3)):
        assert made(text, duplicates=how)[0][0].targets[0, 0] == first


def test_rows_that_are_missing_are_filled_from_before(told: Told) -> None:
    kept = [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]
    text = table("date,x", *(f"2020-01-01 {hour:02}:00,{hour % 4}" for hour in kept))
    series, channels = made(text)
    assert channels.step.alias == "h"
    assert series[0].lines.tolist() == [1, 2, 3, 0, 0, 4, 5, 6, 7, 8, 9, 10]
    assert series[0].targets[3:5, 0].tolist() == [2, 2]
    assert series[0].observed[:, 0].tolist() == [line > 0 for line in series[0].lines]
    assert "2 rows missing in 1 hole, the longest of 2 behind row 3" in told.text
    assert "row 3" in series[0].place(3)
    seasonal = made(text, fill="seasonal", season=4)[0][0]
    assert seasonal.targets[:, 0].tolist() == [hour % 4 for hour in range(3)] + [2, 0] + [
        hour % 4 for hour in kept[3:]
    ]
    assert made(text, fill="zero")[0][0].targets[3:5, 0].tolist() == [0, 0]
    assert "behind row 3" in refused(text, fill="refuse")


def test_what_comes_later_changes_nothing_before(told: Told) -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(60, 2)).round(3)
    holes = draw.random((60, 2)) < 0.3
    for how in ("last", "seasonal"):
        found = []
        for later in (1.0, -50.0):
            changed = np.concatenate([values[:40], later * values[40:]])
            cells = np.where(holes, "", changed.astype(str))
            rows = (f"{hours(n)},{a},{b}" for n, (a, b) in enumerate(cells))
            found.append(made(table("date,a,b", *rows), fill=how, season=7)[0][0].targets)
        size = min(map(len, found))
        assert np.array_equal(found[0][: size - 20], found[1][: size - 20])


def test_holidays_and_nights_are_no_holes(told: Told) -> None:
    days = [day for day in pd.bdate_range("2024-01-01", "2024-03-29") if day.day != 15]
    series, channels = made(dated(day.date() for day in days))
    assert channels.step.alias == "B"
    assert len(series[0].times) == len(days)
    assert "3 working days without a row" in told.text
    minutes = pd.date_range("09:30", "15:55", freq="5min").strftime("%H:%M")
    cells = [f"2024-01-{day:02} {minute}" for day in (2, 3, 4, 5, 8, 9) for minute in minutes]
    del cells[10]
    series, channels = made(dated(cells))
    assert channels.step.alias == "5min"
    assert len(series[0].times) == len(cells) + 1


def test_irregular_rows_are_steps_unless_put_onto_some(told: Told) -> None:
    clock = ["00:00", "00:07", "01:13", "05:55", "06:00"]
    text = dated(f"2020-01-01 {one}" for one in clock)
    series, channels = made(text)
    assert not channels.step.regular
    assert len(series[0].times) == 5
    assert "no regular step" in told.text
    series, channels = made(text, frequency="h")
    assert (channels.step.alias, len(series[0].times)) == ("h", 7)
    assert series[0].targets[0, 0] == pytest.approx((0 + 2) / 2)
    assert "foo" in refused(text, frequency="foo")


def test_another_step_than_that_of_the_model() -> None:
    _, known = made(dated(f"2020-01-{day:02}" for day in range(1, 20)))
    message = refused(dated(f"2020-01-01 {hour:02}:00" for hour in range(9)), known)
    assert "a step of h" in message
    assert "a step of D" in message
    holed = dated(["2020-01-01", "2020-01-04", "2020-01-05"])
    assert len(made(holed, known)[0][0].times) == 5
    assert made(dated(["2020-01-01"]), known)[0][0].step == known.step


@pytest.mark.parametrize(
    ("since", "until", "first", "last"),
    [
        ("2020-01-03", "", 2, 10),
        ("", "2020-01-05", 0, 4),
        ("2020-01-03 12:00", "", 3, 10),
        ("#3", "#7", 3, 7),
        ("2020", "2021", 0, 10),
    ],
)
def test_limits(since: str, until: str, first: int, last: int, told: Told) -> None:
    text = table("date,x", *(f"2020-01-{n + 1:02},{n}" for n in range(10)))
    series, _ = made(text, since=since, until=until)
    assert (series[0].first, series[0].last, series[0].end) == (first, last, 10)


@pytest.mark.parametrize(
    ("since", "until"),
    [("2021", ""), ("", "2019-06-01"), ("#10", ""), ("", "#11"), ("soon", ""), ("#5", "#5")],
)
def test_limits_that_leave_nothing(since: str, until: str) -> None:
    text = table("date,x", *(f"2020-01-{n + 1:02},{n}" for n in range(10)))
    message = refused(text, since=since, until=until)
    assert since in message
    assert until in message
    assert since == "soon" or "from 2020-01-01 to 2020-01-10" in message


def test_rows_are_counted_as_they_are_in_the_source(told: Told) -> None:
    """Not those that were filled in."""
    kept = [0, 1, 2, 5, 6, 7, 8, 9]
    text = table("date,x", *(f"{hours(hour)},{hour}" for hour in kept))
    assert made(text, since="#3")[0][0].first in (3, 5)
    assert made(text, until="#4")[0][0].last == 6


def test_dates_of_python_and_pandas(told: Told) -> None:
    zoned = pd.date_range("2020-10-24", periods=4, tz="Europe/Berlin")
    for times in (
        pd.date_range("2020-10-24", periods=4),
        zoned,
        zoned.to_pydatetime().tolist(),
        [datetime.date(2020, 10, 24 + n) for n in range(4)],
        np.arange("2020-10-24", "2020-10-28", dtype="datetime64[D]"),
        pd.period_range("2020-10-24", periods=4),
    ):
        series, channels = made({"when": times, "x": [1, 2, 4, 3]})
        assert channels.step.alias == "D"
        assert np.diff(series[0].times).tolist() == [86_400] * 3
    indexed = pd.DataFrame({"x": [1, 2, 4, 3]}, index=pd.date_range("2020-10-24", periods=4))
    assert made(indexed)[1].time == "time"


def test_a_folder_may_hold_files(tmp_path: Path, told: Told) -> None:
    from apps.data.panels.table import read_tables

    (tmp_path / "north").mkdir()
    (tmp_path / "north" / "a.csv").write_text(dated(["2020-01-01", "2020-01-02"]))
    (tmp_path / "b.csv").write_text(dated(["2020-01-01", "2020-01-02"]))
    (tmp_path / "._b.csv").write_text("hidden")
    found = read_tables(str(tmp_path), {})
    assert found is not None
    assert [one.name for one in found] == ["b", "north/a"]
