"""Baselines of NAB see nothing of later rows; the command prints every detector."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from benchmarks import nab
from benchmarks.nab_score import Floats, LabelledSeries

ROWS, JUMP = 1500, 1300


def daily(noise: float = 0.1) -> LabelledSeries:
    """Five days of a daily course in steps of five minutes, with one jump."""
    generator = np.random.default_rng(0)
    values = np.sin(np.arange(ROWS) * 2 * np.pi / 288) + noise * generator.standard_normal(ROWS)
    values[JUMP] += 8
    times = np.datetime64("2024-03-01T00:00") + np.arange(ROWS) * np.timedelta64(5, "m")
    times[900:] -= np.timedelta64(1, "h")  # A clock that was put back.
    return LabelledSeries("daily.csv", times, values, ((JUMP, JUMP + 20),))


@pytest.mark.parametrize("name", nab.baselines(0))
def test_a_score_depends_on_earlier_rows_only(name: str) -> None:
    series = daily()
    detector = nab.baselines(seed=3)[name]
    whole = detector(series)
    assert whole.shape == (ROWS,)
    assert np.isfinite(whole).all()
    assert (whole >= 0).all()
    for rows in (1, 2, 350, 905, JUMP):
        prefix = dataclasses.replace(
            series, times=series.times[:rows], values=series.values[:rows], windows=()
        )
        np.testing.assert_allclose(detector(prefix), whole[:rows], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(set(nab.baselines(0)) - {"null", "random"}))
def test_a_baseline_sees_a_jump(name: str) -> None:
    assert np.argmax(nab.baselines(0)[name](daily())[400:]) + 400 in (JUMP, JUMP + 1)


def test_a_constant_is_no_anomaly_until_it_changes() -> None:
    flat = dataclasses.replace(daily(), values=np.where(np.arange(ROWS) < JUMP, 7.0, 8.0))
    for name in set(nab.baselines(0)) - {"null", "random", "windowed_gaussian"}:
        scores = nab.baselines(0)[name](flat)
        assert not scores[:JUMP].any()
        assert scores[JUMP] > 100


def test_random_differs_by_seed_and_file() -> None:
    series = daily()
    other = dataclasses.replace(series, name="other.csv")
    first = nab.random(series, seed=0)
    np.testing.assert_array_equal(first, nab.random(series, seed=0))
    assert (first != nab.random(series, seed=1)).any()
    assert (first != nab.random(other, seed=0)).any()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of one file, and a detector that knows where its window begins."""
    series = daily()
    times = pd.Series(pd.to_datetime(series.times))
    (tmp_path / "labels").mkdir()
    (tmp_path / "data").mkdir()
    table = pd.DataFrame({"timestamp": times, "value": series.values})
    table.to_csv(tmp_path / "data" / series.name, index=False)
    ((start, end),) = series.windows
    windows = {series.name: [[str(times[start]), str(times[end])]]}
    (tmp_path / "labels/combined_windows.json").write_text(json.dumps(windows))

    def application_scores(corpus: Sequence[LabelledSeries], seed: int) -> list[Floats]:
        return [(np.arange(len(one.values)) == one.windows[0][0]) * 1.0 for one in corpus]

    module = ModuleType("benchmarks.nab_detector")
    module.__spec__ = ModuleSpec(module.__name__, None)
    module.__dict__["application_scores"] = application_scores
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["nab", *arguments])
    nab.main()


def test_the_command_as_json(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, str(folder), "--json", "--seed", "5")
    found = json.loads(capsys.readouterr().out)
    assert (found["seed"], found["rows"]) == (5, ROWS)
    assert "processor" in found["machine"]
    assert list(found["detectors"]) == [*nab.baselines(0), "anomalies"]
    for figures in found["detectors"].values():
        assert set(figures) == {"standard", "low_fp", "low_fn", "seconds"}
    assert found["detectors"]["null"]["standard"] == 0
    assert found["detectors"]["anomalies"]["low_fn"] == pytest.approx(100)


def test_the_command_as_a_table(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, str(folder))
    lines = capsys.readouterr().out.splitlines()
    assert "| windows found of 1 |" in next(line for line in lines if line.startswith("| detector"))
    rows = {line.split(" | ")[0][2:]: line for line in lines if line.startswith("| ")}
    assert rows["null"].startswith("| null | 0.0 | 0.0 | 0.0 | 0 | 0 |")
    assert rows["anomalies"].startswith("| anomalies | 100.0 | 100.0 | 100.0 | 1 | 0 |")


def test_a_missing_folder_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        run(monkeypatch, str(tmp_path / "nowhere"))
    assert left.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
