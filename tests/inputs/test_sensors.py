"""Tables of sensors and their labels, as training and the model read them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from apps.data import Examples
from apps.errors import UserError
from apps.timeseries.anomalies import Anomalies
from apps.training.plan import Plan

ROWS = 400


@pytest.fixture(autouse=True)
def _in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def machine() -> pandas.DataFrame:
    noise = np.random.default_rng(0)
    time = pandas.date_range("2024-01-01", periods=ROWS, freq="5min").astype(str)
    load, pressure = noise.normal(50, 5, ROWS).round(2), noise.normal(6, 1, ROWS).round(3)
    return pandas.DataFrame({"time": time, "load": load, "pressure": pressure})


def read(
    table: pandas.DataFrame | str, labels: Any = None, **columns: str
) -> tuple[Anomalies, Examples]:
    """The series of a table for training, and the application that learns their channels."""
    if not isinstance(table, str):
        table.to_csv("m.csv", index=False)
        table = "m.csv"
    if labels is not None and not isinstance(labels, str):
        Path("labels.json").write_text(json.dumps(labels))
        labels = "labels.json"
    plan = Plan("anomalies", table, labels=labels, columns=columns, settings={"window": 64})
    application: Any = plan.kind(plan.config, 0)
    found = application.input.check(plan.read(), learning=True)
    application.adapted.update(application.input.adapt(found))
    return application, found


def folder(**tables: pandas.DataFrame) -> str:
    os.mkdir("sensors")
    for name, table in tables.items():
        table.to_csv(f"sensors/{name}.csv", index=False)
    return "sensors"


def labels_of(found: Examples) -> np.ndarray:
    return np.concatenate(list(found["labels"]))


def test_labels_may_be_there_or_not(machine: pandas.DataFrame) -> None:
    assert set(labels_of(read(machine)[1])) == {-1}
    truth = np.zeros(ROWS, int)
    truth[100:120] = 1
    ways = (truth, truth == 1, np.where(truth, "Attack", "Normal"), truth.astype(float))
    for written in ways:
        application, found = read(machine.assign(label=written))
        np.testing.assert_array_equal(labels_of(found), truth)
        assert application.input.channels.targets == ("load", "pressure")
    found = read(machine.assign(attack=truth), label="Attack")[1]
    np.testing.assert_array_equal(labels_of(found), truth)
    empty = read(machine.assign(label=np.nan))[1]
    assert set(labels_of(empty)) == {-1}


@pytest.mark.parametrize("cell", ["maybe", "2", "-1"])
def test_a_label_that_says_neither_is_refused(machine: pandas.DataFrame, cell: str) -> None:
    label = ["0"] * ROWS
    label[5] = cell
    with pytest.raises(UserError, match=rf"m\.csv row 6: the label 'label' is '{cell}'"):
        read(machine.assign(label=label))


def test_columns_of_labels_are_named_with_their_file(machine: pandas.DataFrame) -> None:
    with pytest.raises(UserError, match=r"m\.csv: the columns 'label', 'anomaly'.*--columns label"):
        read(machine.assign(label=0, anomaly=0))
    with pytest.raises(UserError, match=r"m\.csv has no column 'lable' for the label.*'label'"):
        read(machine.assign(label=0), label="lable")


def test_windows_may_overlap(machine: pandas.DataFrame, capsys: pytest.CaptureFixture[str]) -> None:
    time = machine["time"]
    windows = [[time[100], time[120]], [time[110], time[130]], [time[110], time[130]]]
    truth = np.zeros(ROWS, int)
    truth[100:131] = 1
    for labels in ({"m.csv": windows}, {"m": windows}, windows, [["#100", "#130"]]):
        np.testing.assert_array_equal(labels_of(read(machine, labels)[1]), truth)
    Path("windows.csv").write_text(f"file,start,end\nm.csv,{time[100]},{time[130]}\n")
    np.testing.assert_array_equal(labels_of(read(machine, "windows.csv")[1]), truth)
    capsys.readouterr()
    both = read(machine.assign(label=0), {"m.csv": windows, "other.csv": windows})[1]
    np.testing.assert_array_equal(labels_of(both), truth)
    told = capsys.readouterr().err
    assert "m.csv: its column of labels is passed over; labels.json says" in told
    assert "1 of 2 keys are of no series here, their windows are not used: 'other.csv'" in told


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"m.csv": [["2031-01-01", "2031-01-02"]]}, "lies outside m.csv, from 2024-01-01 to"),
        ({"m.csv": [["2024-01-01 09:00", "2024-01-01 08:00"]]}, "lies before the start"),
        ({"x.csv": [["2024-01-01 08:00", "2024-01-01 09:00"]]}, "'x.csv' is no series of the data"),
        ([["2024-01-01 08:00"]], "has not two bounds"),
        ("none.json", "no such file"),
    ],
)
def test_windows_that_cannot_be_are_refused(
    machine: pandas.DataFrame, labels: Any, told: str
) -> None:
    with pytest.raises(UserError) as error:
        read(machine, labels)
    assert told in str(error.value)


def test_a_constant_sensor_is_left_out(
    machine: pandas.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    application, _ = read(machine.assign(valve=3.0))
    assert application.input.channels.targets == ("load", "pressure")
    assert "'valve' is always 3 and is left out" in capsys.readouterr().err
    with pytest.raises(UserError, match="no column of numbers that changes"):
        read(machine.assign(load=3.0, pressure=4.0))


def test_a_sensor_that_drops_out_has_holes_and_rows_that_lack_are_a_gap(
    machine: pandas.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.loc[100:112, "pressure"] = np.nan
    application, found = read(machine.drop(index=range(200, 213)))
    told = capsys.readouterr().err
    assert "empty cells: 'pressure' 13, first in row 101; they stay empty" in told
    units = application.input.units(found)
    stops, begins = np.array(units["stop"]), np.array(units["begins"])
    assert stops[-1] == ROWS - 13
    assert np.array(units["start"])[begins].tolist() == [0, 200]
    raw = application.input.raw(units, application.metadata())["series"]
    assert np.isnan(raw[1, 100 - 64 : 113 - 64, 1]).all()
    assert not np.isnan(raw[0]).any()


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "broken", "1_000"])
def test_a_cell_that_is_no_number_is_named(machine: pandas.DataFrame, cell: str) -> None:
    machine["load"] = machine["load"].astype(str)
    machine.loc[7, "load"] = cell
    with pytest.raises(UserError, match=r"m\.csv row 8: the target 'load' is .*empty the cell"):
        read(machine)


def test_late_rows_and_rows_of_one_time_are_told(
    machine: pandas.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    again = pandas.concat([machine, machine.iloc[10:15], machine.iloc[20:23].assign(load=0.0)])
    _, found = read(again)
    assert len(labels_of(found)) == ROWS
    told = capsys.readouterr().err
    assert "5 rows there twice count once, the first is row 401" in told
    assert "3 rows of a time that was there: duplicates=first" in told
    assert "rows are put in the order of time" in told
    assert found["series"][0].targets[20, 0] == machine["load"][20]


@pytest.mark.parametrize("rows", [1, 2, 20])
def test_a_table_of_few_rows_is_refused(machine: pandas.DataFrame, rows: int) -> None:
    with pytest.raises(UserError, match="few to learn from; give at least 50"):
        read(machine.iloc[:rows])


def test_sensors_of_a_folder_have_steps_of_their_own(
    machine: pandas.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    one = machine[["time", "load"]]
    path = folder(fast=one, slow=one.iloc[::3], hourly=one.iloc[::12])
    application, found = read(path, {"slow.csv": [["2024-01-01 08:00", "2024-01-01 09:00"]]})
    assert sorted(step["size"] for step in application.input.names.steps) == [300, 900, 3600]
    assert [len(one.times) for one in found["series"]] == [400, 34, 134]
    assert labels_of(found).sum() == 5
    assert "irregular" not in capsys.readouterr().err
    with pytest.raises(UserError, match=r"the windows have no names, the data have 3 series"):
        read(path, [["2024-01-01 08:00", "2024-01-01 09:00"]])


def test_tables_of_other_channels_are_refused(
    machine: pandas.DataFrame,
) -> None:
    path = folder(a=machine, b=machine[["time", "pressure", "load"]])
    _, found = read(path)
    np.testing.assert_array_equal(found["series"][0].targets, found["series"][1].targets)
    machine[["time", "load"]].to_csv(f"{path}/c.csv", index=False)
    with pytest.raises(UserError, match=r"c\.csv has no column 'pressure'"):
        read(path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda table: table.iloc[::2], "m.csv has a step of 10min, the data that were learnt"),
        (lambda table: table.rename(columns={"load": "lod"}), "m.csv has no column 'load'"),
    ],
)
def test_what_is_asked_about_is_as_what_was_learnt(
    machine: pandas.DataFrame,
    change: Callable[[pandas.DataFrame], pandas.DataFrame],
    told: str,
) -> None:
    application, _ = read(machine)
    change(machine).to_csv("m.csv", index=False)
    plan = Plan("anomalies", "m.csv", settings={"window": 64})
    with pytest.raises(UserError) as error:
        application.input.check(plan.read(), learning=False)
    assert told in str(error.value)
