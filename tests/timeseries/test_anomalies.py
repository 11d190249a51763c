"""Anomalies by the command line and in Python: streams, answers, figures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

import apps
import apps.run
from apps.__main__ import main
from apps.inputs.sensor_rows import SensorOptions
from apps.streams.model import StreamModel
from apps.streams.stream import Stream
from apps.timeseries.anomalies import Anomalies
from apps.timeseries.sample_machine import sample_machine
from apps.training.backtest import backtest

CHANNELS = ["load", "temperature", "vibration", "pressure"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("anomalies")
    MACHINE["series"][0].frame.drop(columns="fault").to_csv(folder / "machine.csv", index=False)
    settings = Anomalies.tiny().settings
    data = str(folder / "machine.csv")
    apps.train("anomalies", data, run=folder / "run", log=lambda line: None, **settings)
    return folder / "run"


MACHINE = sample_machine(0, days=8)


@pytest.fixture(scope="module")
def found(run: Path) -> Any:
    return apps.load(run)


@pytest.fixture(scope="module")
def model(run: Path) -> StreamModel:
    return StreamModel.load(run)


@pytest.fixture
def rows() -> pandas.DataFrame:
    """400 rows, of which some lie far out."""
    table = MACHINE["series"][0].frame.iloc[:400].drop(columns="fault")
    table.loc[table.index[300:303], "pressure"] += 50.0
    return table


@pytest.fixture
def file(rows: pandas.DataFrame, tmp_path: Path) -> Path:
    path = tmp_path / "machine.csv"
    rows.drop(columns="label").to_csv(path, index=False)
    return path


def streamed(model: StreamModel, file: Path) -> tuple[dict[str, np.ndarray], list[dict[str, Any]]]:
    """The answers to a file that is streamed, and the decisions."""
    stream, follower = Stream(model), model.task.follower(model.metadata, model.labels, None)
    answers, decisions = [], []
    for chunk in model.input.chunks(file, model.metadata, SensorOptions()):
        if chunk.begins:
            stream.reset()
        answers.append(stream.send(chunk.arrays))
        decisions += follower.push(answers[-1], chunk.end)
    decisions += follower.finish()
    joined = {name: np.concatenate([one[name] for one in answers]) for name in answers[0]}
    return joined, [decision.fields for decision in decisions]


def test_a_stream_answers_as_predict_does(
    model: StreamModel, found: Any, rows: pandas.DataFrame, file: Path
) -> None:
    rows.loc[rows.index[100:112], "load"] = np.nan
    rows.drop(columns="label").to_csv(file, index=False)
    answer = found.predict(str(file))[0]
    answers, decisions = streamed(model, file)
    np.testing.assert_array_equal(answers["flag"], answer["flag"])
    np.testing.assert_allclose(answers["score"], answer["score"], rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(answers["expected"], answer["expected"], rtol=1e-3, atol=1e-3)
    assert np.any(answer["flag"][300:303])
    ends = [one for one in decisions if one["event"] == "ends"]
    names = ("start", "end", "peak", "channel")
    wanted = [[event[name] for name in names] for event in answer["events"]]
    assert [[one[name] for name in names] for one in ends] == wanted
    assert len(decisions) == 2 * len(ends)
    assert (
        json.loads(json.dumps(answer["events"], allow_nan=False))[-1]["from"]
        <= (answer["events"][-1]["to"])
    )


@pytest.mark.parametrize(
    "settings",
    [{"model": "autoencoder"}, {"scorer": "dynamic", "alarms_per_day": 0.5}],
    ids=["autoencoder", "dynamic"],
)
def test_other_detectors_stream_as_they_predict(
    settings: dict[str, Any], file: Path, tmp_path: Path
) -> None:
    run = apps.train(
        "anomalies",
        MACHINE,
        run=tmp_path / "run",
        log=lambda line: None,
        **{**Anomalies.tiny().settings, **settings},
    )
    answer = run.predict(str(file))[0]
    answers, _ = streamed(StreamModel.load(tmp_path / "run"), file)
    np.testing.assert_array_equal(answers["flag"], answer["flag"])
    np.testing.assert_allclose(answers["score"], answer["score"], rtol=1e-3, atol=1e-3)
    assert np.max(answer["score"][300:310]) > np.max(answer["score"][:300])
    assert run.metrics["metrics"]["nats"] < 2.0


def test_settings_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    with pytest.raises(apps.UserError, match="leave one of them out"):
        apps.train("anomalies", run=tmp_path / "run", scorer="dynamic", reference="range")
    assert not (tmp_path / "run").exists()


def test_an_answer_names_its_events(found: Any, file: Path) -> None:
    answer = found.predict(str(file))[0]
    event = next(one for one in answer["events"] if one["start"] <= 300 <= one["end"])
    assert set(event) == {"start", "end", "peak", "score", "channel", "from", "to"}
    assert event["channel"] == "pressure"
    assert event["from"] <= "2024-01-02T01:00:00" <= event["to"]
    assert answer["channels"] == CHANNELS
    assert len(answer["score"]) == len(answer["flag"]) == 400
    flags = np.flatnonzero(answer["flag"])
    np.testing.assert_array_equal(
        flags, np.flatnonzero(np.asarray(answer["score"]) >= answer["threshold"])
    )


def test_the_command_tells_events_and_then_what_is_wrong(
    run: Path,
    file: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with file.open("a") as table:
        table.write("2024-01-02 09:20:00,1,2,oops,4\n")
    shown = []
    for source in (file, "-"):
        monkeypatch.setattr(sys, "stdin", file.open("rb"))
        capsys.readouterr()
        assert main(["stream", str(run), str(source), "--json"]) == 2
        out, err = capsys.readouterr()
        place = file if source == file else "standard input"
        assert f"{place} line 402: 'vibration' is 'oops'" in err
        assert len(err.splitlines()) == 1
        shown.append([json.loads(line) for line in out.splitlines()])
    assert shown[0] == shown[1]
    assert {"begins", "ends"} == {one["event"] for one in shown[0]}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("time,load,temperature,vibration,pressure\n", "has a header but no rows"),
        ("", "has no line"),
        ("time,load\n2024-01-01,2\n", "no column 'temperature'"),
    ],
)
def test_a_stream_without_rows_is_refused(
    run: Path, tmp_path: Path, refused: Callable[..., str], text: str, told: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text)
    assert told in refused("stream", run, path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda rows: rows.iloc[::2], "has a step of 10min"),
        (lambda rows: rows.rename(columns={"load": "lod"}), "has no column 'load'"),
        (lambda rows: rows.assign(load="x"), "'load'"),
    ],
)
def test_another_table_is_refused(
    run: Path,
    rows: pandas.DataFrame,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[pandas.DataFrame], pandas.DataFrame],
    told: str,
) -> None:
    path = tmp_path / "other.csv"
    change(rows).to_csv(path, index=False)
    for command in (["predict", str(run), "--file"], ["evaluate", str(run), "--data"]):
        capsys.readouterr()
        assert main([*command, str(path)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert told in err.splitlines()[-1]
        assert "Traceback" not in err


@pytest.mark.filterwarnings("error")
def test_figures_by_labels_are_missing_where_there_are_none(
    found: Any, rows: pandas.DataFrame, file: Path, tmp_path: Path
) -> None:
    bare = found.evaluate(str(file))
    assert np.isfinite(bare["nats"])
    assert bare["auc_pr"] is None or np.isnan(bare["auc_pr"])
    assert bare["event_f1"] is None or np.isnan(bare["event_f1"])
    assert "NaN" not in json.dumps(bare)
    path = tmp_path / "labelled.csv"
    label = np.zeros(len(rows), int)
    label[300:303] = 1
    rows.assign(label=label).to_csv(path, index=False)
    labelled = found.evaluate(str(path), since="#200", until="#390")
    assert labelled["event_recall"] == 1.0
    assert 0 < labelled["auc_pr"] <= 1


def test_a_backtest_walks_through_sensors_with_their_labels(tmp_path: Path) -> None:
    table = MACHINE["series"][0].frame.drop(columns=["fault", "label"]).iloc[:600]
    table.to_csv(tmp_path / "machine.csv", index=False)
    (tmp_path / "windows.csv").write_text("start,end\n#400,#420\n#550,#560\n")
    found = backtest(
        "anomalies",
        str(tmp_path / "machine.csv"),
        folds=2,
        labels=str(tmp_path / "windows.csv"),
        run=tmp_path / "walk",
        log=lambda line: None,
        **{**Anomalies.tiny().settings, "epochs": 1, "units": 4},
    )
    (first, second) = found["folds"]
    assert first["until"] == second["since"] == "2024-01-02T13:30:00"
    assert all(fold["auc_pr"] is not None for fold in found["folds"])
    assert found["mean"]["alarms_per_1000_rows"] is not None
    assert set(found["baselines"]) == {
        *("random", "rolling_z", "moving_difference", "seasonal_difference")
    }
