"""Labels of anomalies: windows in files of their own, and columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.data.panels.labels import Windows, label_column, labels_of_column, read_windows
from apps.errors import UserError

NAB = Path(__file__).parents[4] / "shared/data/timeseries/nab"
START = np.datetime64("2020-01-01T00:00")
HOURS = START.astype("datetime64[s]").astype(float) + 3600 * np.arange(72)


def written(folder: Path, content: Any, name: str = "labels.json") -> Windows:
    path = folder / name
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, encoding="utf-8")
    return read_windows(path)


def flagged(windows: Windows, name: str = "", source: str = "a.csv", **known: Any) -> list[int]:
    """The numbers of the rows in windows, of 72 hours from 2020."""
    given = {"times": HOURS, "dated": True, "zone": "", "order": "", **known}
    given.setdefault("lines", np.arange(1, len(given["times"]) + 1))
    return np.flatnonzero(windows.of(name, source, **given)).tolist()


def refused(folder: Path, content: Any, name: str = "labels.json", **known: Any) -> str:
    with pytest.raises(UserError) as caught:
        flagged(written(folder, content, name), **known)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"a.csv": [["2020-01-01 02:00", "2020-01-01 04:00:00.000"]]}, "x.json"),
        ([["2020-01-01T02:00", "2020-01-01T04:00"]], "x.json"),
        ([[1577844000, 1577851200.0]], "x.json"),
        ([["#2", "# 4"]], "x.json"),
        ([{"from": "2020-01-01 02:00", "to": "2020-01-01 04:00", "kind": "drift"}], "x.json"),
        ({"a": [{"start": 1577844000000, "end": 1577851200000}]}, "windows.txt"),
        ("start,end\n2020-01-01 02:00,2020-01-01 04:00\n", "x.csv"),
        ("File\tBegin\tStop\na.csv\t2020-01-01 02:00\t2020-01-01 04:00\n", "x.tsv"),
        ("start_time;end_time;id\n01.01.2020 02:00;01.01.2020 04:00;a\n", "x.csv"),
    ],
)
def test_forms_of_windows(tmp_path: Path, content: Any, name: str) -> None:
    assert flagged(written(tmp_path, content, name)) == [2, 3, 4]


def test_windows_of_numbers(tmp_path: Path) -> None:
    windows = written(tmp_path, [[2, 3.5], [60, 60]])
    assert flagged(windows, times=np.arange(72.0), dated=False) == [2, 3, 60]


def test_an_end_without_a_clock_is_a_whole_day(tmp_path: Path) -> None:
    day = ["2020-01-02", "2020-01-02"]
    assert flagged(written(tmp_path, [day])) == list(range(24, 48))
    midnight = [f"{one} 00:00" for one in day]
    assert flagged(written(tmp_path, [midnight])) == [24]


def test_a_window_between_two_rows_is_that_of_the_later(tmp_path: Path) -> None:
    assert flagged(written(tmp_path, [["2020-01-01 02:10", "2020-01-01 02:20"]])) == [3]


def test_clocks_of_a_place(tmp_path: Path) -> None:
    windows = written(tmp_path, [["2020-01-01 03:00", "2020-01-01 04:00"]])
    assert flagged(windows, zone="Europe/Berlin") == [2, 3]
    days = written(tmp_path, [["2020-01-02", "2020-01-02"]])
    assert flagged(days, times=HOURS[::24], zone="America/New_York") == [1]
    spring: dict[str, Any] = {"times": HOURS + 88 * 86_400.0, "zone": "Europe/Berlin"}
    assert "skip" in refused(tmp_path, [["2020-03-29 02:30", "2020-03-29 05:00"]], **spring)


def test_windows_that_overlap_or_touch_are_one(tmp_path: Path) -> None:
    windows = written(tmp_path, [["#2", "#5"], ["#4", "#6"], ["#7", "#8"], ["#20", "#20"]])
    rows = windows.of("", "a.csv", HOURS, True, "", "", np.arange(1, 73))
    assert np.flatnonzero(rows).tolist() == [2, 3, 4, 5, 6, 7, 8, 20]
    assert windows.joined("", "a.csv", rows) == 2


def test_rows_that_were_filled_in_between_those_of_a_window_are_of_it(tmp_path: Path) -> None:
    lines = np.array([1, 0, 2, 0, 3, 4])
    rows = flagged(written(tmp_path, [["#1", "#2"]]), times=HOURS[:6], lines=lines)
    assert rows == [2, 3, 4]
    backwards = flagged(written(tmp_path, [["#0", "#1"]]), times=HOURS[:6], lines=lines[::-1])
    assert backwards == [3, 4, 5]


@pytest.mark.parametrize(
    ("key", "name", "source"),
    [
        ("pump", "pump", "DataFrame"),
        ("a.csv", "", "data/a.csv"),
        ("a", "", "data/a.csv.gz"),
        ("plant/a.csv", "plant/a", "data/plant/a.csv"),
        ("plant/a.csv", "", "elsewhere/a.csv"),
        ("v1.2", "", "v1.2.csv"),
        ("a.csv", "pump", "data/a.csv"),
        ("plant\\a.csv", "", "plant/a.csv"),
    ],
)
def test_names_of_series(tmp_path: Path, key: str, name: str, source: str) -> None:
    windows = written(tmp_path, {key: [["#3", "#3"]], "other": [["#1", "#1"]]})
    assert flagged(windows, name, source) == [3]
    assert "'other'" in windows.unused([(name, source)])
    assert flagged(windows, "another", "b.csv") == []


def test_the_longest_ending_of_a_path_decides(tmp_path: Path) -> None:
    keys = {f"{name}/a.csv": [[f"#{n}", f"#{n}"]] for n, name in enumerate("pqr")}
    windows = written(tmp_path, keys)
    seen = [(f"{name}/a", f"data/{name}/a.csv") for name in "pqr"]
    assert [flagged(windows, *one) for one in seen] == [[0], [1], [2]]
    assert windows.unused(seen) == ""
    with pytest.raises(UserError, match=r"'p/a.csv', 'q/a.csv', 'r/a.csv' fit .*elsewhere/a.csv"):
        flagged(windows, "", "elsewhere/a.csv")


def test_a_key_of_two_files_is_refused(tmp_path: Path) -> None:
    windows = written(tmp_path, {"p/a.csv": [["#1", "#1"]]})
    seen = [("p/a", "p/a.csv"), ("q/a", "q/a.csv")]
    assert [flagged(windows, *one) for one in seen] == [[1], [1]]
    with pytest.raises(UserError, match=r"fits both p/a.csv and q/a.csv; give each a key"):
        windows.unused(seen)


def test_a_window_of_a_file_need_not_concern_each_of_its_series(tmp_path: Path) -> None:
    windows = written(tmp_path, {"a.csv": [["#60", "#61"], ["2020-01-01 01:00", "2020-01-01"]]})
    late = {"times": HOURS[48:], "lines": np.arange(49, 73)}
    seen = [("pump", "a.csv"), ("fan", "a.csv")]
    assert flagged(windows, *seen[0], **late) == [12, 13]
    with pytest.raises(UserError, match="outside all series of"):
        windows.unused(seen)
    early = {"times": HOURS[:24], "lines": np.arange(1, 25)}
    assert flagged(windows, *seen[1], **early) == list(range(1, 24))
    assert windows.unused(seen) == ""


def test_keys_of_no_series(tmp_path: Path) -> None:
    window = [["#1", "#2"]]
    windows = written(tmp_path, {"pmup": window, "clean": []})
    with pytest.raises(UserError, match=r"'pmup' is no series .*did you mean 'pump'"):
        windows.unused([("pump", "DataFrame")])
    windows = written(tmp_path, window)
    with pytest.raises(UserError, match="no names, the data have 2 series"):
        windows.unused([("pump", "a.csv"), ("fan", "a.csv")])


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ({"a": [["2020-01-02", "2020-01-01"]]}, "x.json", "'a' window 1: the end 2020-01-01"),
        ([["#5", "#4"]], "x.json", "window 1: the end #4 lies before"),
        ({"a": [["2020-01-01"]]}, "x.json", "'a' window 1: .*not two bounds"),
        ({"a": ["2020-01-01", "2020-01-02"]}, "x.json", "'a' window 1: .*not two bounds"),
        ({"a": [["2020-01-01", None]]}, "x.json", "'a' window 1 lacks a bound"),
        ({"a": [["2020-01-01", True]]}, "x.json", "true is no time"),
        ({"a": "2020"}, "x.json", "no list of windows"),
        ({"a": [["#1", "2020-01-02"]]}, "x.json", "one is a row"),
        ({"a": [["yesterday", "2020-01-02"]]}, "x.json", "'yesterday' is no time"),
        ({"a": [["2020-01-01", "2020-02-31"]]}, "x.json", "'a' window 1: .*'2020-02-31'"),
        ([["2021-01-01", "2021-01-02"]], "x.json", r"outside a.csv, from 2020-01-01 to 2020-01-03"),
        ([["2019-01-01", "2019-01-02"]], "x.json", "lies outside"),
        ([["#72", "#80"]], "x.json", "from #72 to #80 lies outside"),
        ([["2020-01-01 1:00", "12"]], "x.json", "bound '12' is not a date"),
        ([["1", "2"]], "x.json", "'1' is no date"),
        ('{"a": [], "a": []}', "x.json", "'a' is there twice"),
        ('{"a": [', "x.json", "not valid JSON"),
        ("start,end\n2020-01-01,\n", "x.csv", "x.csv row 1 lacks a bound"),
        ("start,length\n2020-01-01,3\n", "x.csv", "no 'end' among 'start', 'length'"),
        ("start,end,id\n1,2,a\n3,4,\n", "x.csv", "row 2: 'id' is empty"),
        ("PK\x03\x04", "x.csv", "zip"),
    ],
)
def test_wrong_windows(tmp_path: Path, content: Any, name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        flagged(written(tmp_path, content, name))
    assert name in str(caught.value)


def test_dates_beside_data_of_numbers(tmp_path: Path) -> None:
    plain: dict[str, Any] = {"times": np.arange(72.0), "dated": False}
    assert "data have no dates" in refused(tmp_path, [["2020-01-01", "2020-01-02"]], **plain)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        read_windows(tmp_path / "none.json")


def test_what_cells_of_labels_may_say() -> None:
    texts = "0 1 true FALSE Yes no Normal anomaly 0.0 1.0 | NaN".replace("|", "").split(" ")
    frame = pd.DataFrame({"label": texts})
    found = labels_of_column(frame, "label", "a.csv", str)
    assert found.tolist() == [0, 1, 1, 0, 1, 0, 0, 1, 0, 1, -1, -1]
    assert found.dtype == np.int8
    for cells in ([0, 1], [0.0, 1.0], [False, True], np.array([False, True], object)):
        frame = pd.DataFrame({"label": cells})
        assert labels_of_column(frame, "label", "a.csv", str).tolist() == [0, 1]


@pytest.mark.parametrize("cell", ["2", "-1", "0.5", "maybe"])
def test_other_labels_are_refused(cell: str) -> None:
    frame = pd.DataFrame({"anomaly": ["0", cell]})
    with pytest.raises(UserError, match=f"a.csv row 2: the label 'anomaly' is '{cell}'"):
        labels_of_column(frame, "anomaly", "a.csv", lambda row: f"a.csv row {row + 1}")


def test_names_of_the_column_of_labels() -> None:
    assert label_column(["time", "Is_Anomaly", "label_kind"]) == "Is_Anomaly"
    assert label_column(["time", "value"]) is None
    with pytest.raises(UserError, match=r"'label', 'Anomaly' .*--columns label=label"):
        label_column(["label", "x", "Anomaly"])


@pytest.mark.data
@pytest.mark.skipif(not NAB.is_dir(), reason="needs the real data sets beside the checkout")
def test_windows_of_the_numenta_benchmark() -> None:
    windows = read_windows(NAB / "labels/combined_windows.json")
    assert len(windows.windows) == 58
    seen = []
    for path in sorted((NAB / "data").rglob("*.csv")):
        stamps = pd.to_datetime(pd.read_csv(path)["timestamp"])
        times = stamps.to_numpy("datetime64[s]").astype(float)
        key = path.relative_to(NAB / "data").as_posix()
        lines = np.arange(1, len(times) + 1)
        inside = windows.of(key[:-4], str(path), times, True, "", "", lines)
        match = windows.match(key[:-4], str(path))
        assert match is not None
        assert match.key == key
        wanted = np.zeros(len(times), bool)
        for one in windows.windows[key]:
            start, end = (np.datetime64(one.start), np.datetime64(one.end))
            wanted |= (times >= start.astype("datetime64[s]").astype(float)) & (
                times <= end.astype("datetime64[s]").astype(float)
            )
        assert (inside == wanted).all()
        seen.append((key[:-4], str(path)))
    assert len(seen) == 58
    assert windows.unused(seen) == ""
    assert len(windows.placed) == sum(map(len, windows.windows.values())) > 100
