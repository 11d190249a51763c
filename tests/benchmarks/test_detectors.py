"""Faults found by kind, and the made circuit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
import pytest

from apps.timeseries.sample_machine import KINDS, Fault
from benchmarks.detectors import figures
from benchmarks.made_circuit import NORMAL, ROWS, SERIES, write_circuit


def test_a_fault_is_found_by_an_alarm_in_it_or_shortly_behind() -> None:
    faults = [Fault("spike", 100, 101), Fault("drift", 200, 260), Fault("spike", 400, 401)]
    labels = np.zeros(600, int)
    for fault in faults:
        labels[fault.start : fault.end] = 1
    flag = np.zeros(600, bool)
    # Behind the first one, within the second one twice, before the third one, and nowhere.
    flag[[110, 210, 240, 378, 500]] = True
    found = figures(flag.astype(float), flag, labels, faults)
    assert {kind: found["found"][kind] for kind in ("spike", "drift")} == {"spike": 1, "drift": 1}
    assert found["faults"] == {**dict.fromkeys(KINDS, 0), "spike": 2, "drift": 1}
    assert found["false_alarms"] == 2
    perfect = figures(labels.astype(float), labels == 1, labels, faults)
    assert perfect["average_precision"] == pytest.approx(1.0)
    assert perfect["false_alarms"] == 0
    assert perfect["found"] == perfect["faults"]


def test_the_circuit_is_usual_at_first_and_then_has_one_lasting_fault(tmp_path: Path) -> None:
    for name in ("one", "other"):
        write_circuit(tmp_path / name, 0)
    files = sorted((tmp_path / "one").glob("*.csv"))
    assert len(files) == SERIES
    for file in files:
        assert file.read_bytes() == (tmp_path / "other" / file.name).read_bytes()
        table = pandas.read_csv(file)
        faulty = np.flatnonzero(table["anomaly"])
        assert len(table) == ROWS
        assert faulty[0] > NORMAL
        assert 250 <= len(faulty) == faulty[-1] - faulty[0] + 1 < 380
        values = table.drop(columns=["time", "anomaly"])
        usual, during = values[:NORMAL], values.iloc[faulty[40:]]
        apart = ((during.mean() - usual.mean()) / usual.std()).abs()
        assert 2 <= (apart > 1.0).sum() <= 5
