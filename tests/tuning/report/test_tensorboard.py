"""The HParams logs, as TensorBoard itself reads them."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from searches import fail, rows, searching
from waiting import LIMIT, until

from tuning.record import SearchRecord
from tuning.report.tensorboard import write_trial

HISTORY: list[dict[str, Any]] = [
    {"epoch": 1, "step": 10, "seconds": 2.0, "loss": 0.6, "val_accuracy": 0.70},
    {"epoch": 2, "step": 20, "seconds": 4.0, "loss": 0.4, "val_accuracy": 0.82},
    {"epoch": "3", "step": "30", "seconds": "6.0", "loss": "0.3", "val_accuracy": ""},
]
# TensorBoard starts faster with its own stand-in for TensorFlow, which it has where there is none.
WITHOUT_TENSORFLOW = (
    "import sys, types; sys.modules['tensorboard.compat.notf'] = types.ModuleType('notf'); "
    "from tensorboard.main import run_main; run_main()"
)
ALL = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]


@pytest.fixture(scope="module")
def record() -> SearchRecord:
    """Three trials: the default, one with three layers, one that failed."""
    default, *others = rows(12)
    deep = next(row for row in others if row.values["depth"] == 3)
    failed = fail(next(row for row in others if row.id == "0007"), "loss became NaN")
    return searching([default, deep, failed])


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory, record: SearchRecord) -> Path:
    """The trials logged one after the other, and all of them once more."""
    folder = tmp_path_factory.mktemp("search") / "tensorboard"
    for count in range(1, 4):
        so_far = dataclasses.replace(record, trials=record.trials[:count])
        write_trial(folder, record.trials[count - 1], HISTORY, so_far)
    for row in record.trials:
        write_trial(folder, row, HISTORY, record)
    return folder


@pytest.fixture(scope="module")
def ask(logs: Path, record: SearchRecord) -> Any:
    """What a TensorBoard that serves the logs answers."""
    command = [sys.executable, "-c", WITHOUT_TENSORFLOW, "--logdir", os.fspath(logs)]
    process = subprocess.Popen([*command, "--port", "0"], stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = (re.search(r"http://[^ :]+:(\d+)", line) for line in process.stderr)
        found = next(filter(None, said), None)
        assert found, "TensorBoard ended"
        address = f"http://127.0.0.1:{found[1]}"

        def answer(path: str, body: Any = None) -> Any:
            data = None if body is None else json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
            request = urllib.request.Request(f"{address}/data/plugin/{path}", data, headers)
            with urllib.request.urlopen(request, timeout=LIMIT) as response:
                return json.load(response)

        until(lambda: len(groups(answer)) == len(record.trials))
        yield answer
    finally:
        process.kill()
        process.communicate()


def groups(ask: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    """The session groups by name, once the logs are loaded."""
    body = {
        "experimentName": "",
        "allowedStatuses": ALL,
        "colParams": [],
        "startIndex": 0,
        "sliceSize": 100,
    }
    try:
        found = ask("hparams/session_groups", body).get("sessionGroups", [])
    except urllib.error.HTTPError:
        return {}
    return {group["name"]: group for group in found}


def test_every_trial_is_there_once_with_its_active_values(
    ask: Callable[..., Any], record: SearchRecord
) -> None:
    found = groups(ask)
    assert set(found) == {row.id for row in record.trials}
    default, deep, failed = record.trials
    assert found["0000"]["hparams"] == {
        "learning_rate": 3e-3,
        "batch_size": 32.0,
        "depth": 1.0,
        "units": 128.0,
        "bidirectional": False,
    }
    widths = [found[deep.id]["hparams"][name] for name in ("units", "units_2", "units_3")]
    assert widths == deep.values["units"]
    statuses = [found[row.id]["sessions"] for row in (default, deep, failed)]
    assert [[one["status"] for one in sessions] for sessions in statuses] == [
        ["STATUS_SUCCESS"],
        ["STATUS_SUCCESS"],
        ["STATUS_FAILURE"],
    ]
    session = found["0000"]["sessions"][0]
    took = session["endTimeSecs"] - session["startTimeSecs"]
    assert took == pytest.approx(default.seconds, abs=0.01)


def test_metrics_are_those_of_the_best_epoch(ask: Callable[..., Any], record: SearchRecord) -> None:
    found = groups(ask)
    for row in record.trials[:2]:
        figures = {m["name"]["tag"]: m["value"] for m in found[row.id]["metricValues"]}
        assert figures["accuracy"] == pytest.approx(row.score)
        assert figures["latency_ms"] == pytest.approx(row.cost["latency_ms"])
        assert figures["parameters"] == row.cost["parameters"]
        assert figures["seconds"] == pytest.approx(row.seconds)
    failed = {m["name"]["tag"] for m in found["0007"]["metricValues"]}
    assert failed == {"seconds", "epochs"}


def test_the_experiment_knows_the_space(ask: Callable[..., Any]) -> None:
    experiment = ask("hparams/experiment", {"experimentName": ""})
    infos = {info["name"]: info for info in experiment["hparamInfos"]}
    assert infos["learning_rate"]["domainInterval"] == {"minValue": 0.0003, "maxValue": 0.01}
    assert infos["units_3"]["domainInterval"] == {"minValue": 32.0, "maxValue": 256.0}
    assert infos["bidirectional"]["domainDiscrete"] == [False, True]
    assert all(info["differs"] for info in infos.values())
    tags = [info["name"]["tag"] for info in experiment["metricInfos"]]
    assert tags[0] == "accuracy"
    assert {"cross_entropy", "latency_ms", "parameters", "size_mb", "seconds"} < set(tags)


def test_curves_go_by_epoch_and_leave_out_empty_cells(ask: Callable[..., Any]) -> None:
    loss = ask("scalars/scalars?run=0000&tag=epoch/loss")
    assert [(step, pytest.approx(value)) for _, step, value in loss] == [
        (1, 0.6),
        (2, 0.4),
        (3, 0.3),
    ]
    accuracy = ask("scalars/scalars?run=0000&tag=epoch/val_accuracy")
    assert [step for _, step, _ in accuracy] == [1, 2]


def test_a_trial_that_runs_is_not_logged(tmp_path: Path, record: SearchRecord) -> None:
    running = dataclasses.replace(record.trials[0], status="RUNNING", score=None)
    with pytest.raises(ValueError, match="still runs"):
        write_trial(tmp_path, running, [], record)
    assert list(tmp_path.iterdir()) == []


def test_nothing_but_complete_event_files_is_left(logs: Path, record: SearchRecord) -> None:
    files = [path for path in logs.rglob("*") if path.is_file()]
    assert len(files) == len(record.trials) + 1
    assert all("tfevents" in file.name for file in files)


def test_logging_does_not_import_tensorflow(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path[:0] = sys.argv[2:]\n"
        "from pathlib import Path\n"
        "from searches import rows, searching\n"
        "from tuning.report import write_page, write_trial\n"
        "record = searching(rows(3))\n"
        "write_trial(Path(sys.argv[1], 'logs'), record.trials[0], [], record)\n"
        "write_page(record, Path(sys.argv[1], 'tuning.html'))\n"
        "assert 'tensorflow' not in sys.modules\n"
    )
    here = Path(__file__).parent
    root = here.parents[2]
    folders = [str(folder) for folder in (tmp_path, here, here.parent, root)]
    subprocess.run([sys.executable, "-c", code, *folders], check=True, timeout=LIMIT)
