"""What the trials of a search share: rows that were read once, and what was learnt from them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data.kept import keep_in, kept
from apps.data.recordings.clip import Clip
from apps.layers.audio.spectrogram import LogMel
from apps.speech.front import learnt_normalization
from tuning.trials.executor import Executor
from tuning.trials.folder import KEPT
from tuning.trials.job import COMPLETED, Job
from tuning.trials.rows import HeldPlan, RowsAhead

SMALL = {"ngrams": 0, "max_tokens": 12, "units": 4, "embedding": 4, "depth": 1, "epochs": 1}
# Reads every built-in sample as the fork server does, and tells which ran an operation.
SAMPLES = """
from apps import catalogue
from tuning.trials.fork_server import tensorflow_has_run
from tuning.trials.rows import HeldPlan
for name in catalogue.APPLICATIONS:
    assert len(HeldPlan(name).read()), name
    assert not tensorflow_has_run(), name
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    keep_in(None)
    HeldPlan.forget()


def job(folder: Path, data: str, **more: Any) -> Job:
    return Job(
        id=folder.name,
        application="sentiment",
        data=data,
        settings={**SMALL, "objective": "cross_entropy"},
        seed=0,
        folder=str(folder),
        minutes=5,
        objective="cross_entropy",
        anneals=False,
        **more,
    )


def reviews(file: Path, rows: int = 60) -> str:
    texts = ["a good film", "a bad film", "not good at all", "not bad at all"]
    lines = [{"text": f"{texts[i % 4]} {i}", "label": str(i % 2)} for i in range(rows)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(file)


def weights(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / "run" / "checkpoints" / "last.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "position"}


def test_what_is_handed_over_changes_no_weight(tmp_path: Path) -> None:
    data = reviews(tmp_path / "rows.jsonl")
    places = [tmp_path / "search" / "first", tmp_path / "search" / "second", tmp_path / "x" / "own"]
    with Executor() as executor:
        for place in places:
            outcome = executor.run(job(place, data), lambda progress: True)
            assert outcome.status == COMPLETED, outcome.reason
    assert len(list((tmp_path / "search" / KEPT).iterdir())) == 1
    first, second, own = map(weights, places)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)
        np.testing.assert_array_equal(values, own[name], err_msg=name)


def test_statistics_of_recordings_are_learnt_once(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    clips = [Clip.of(draw.uniform(-1, 1, 4000), 8000) for _ in range(3)]
    log_mel = LogMel(8000, bands=20, name="log_mel")
    heard = [(clip.at(8000)[None], np.array([clip.count], np.int32)) for clip in clips]

    def learnt(some: list[Any], seed: int = 0) -> list[np.ndarray]:
        frames = (log_mel(*one) for one in some)
        return learnt_normalization("global", frames, clips, seed, [log_mel]).get_weights()

    alone = learnt(heard)
    keep_in(tmp_path)
    for some in (heard, []):
        for one, other in zip(alone, learnt(some), strict=True):
            np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match="not one frame"):
        learnt([], seed=1)


def test_a_damaged_or_unwritable_file_is_learnt_anew(tmp_path: Path) -> None:
    made: list[int] = []

    def learn() -> dict[str, np.ndarray]:
        made.append(1)
        return {"a": np.arange(3)}

    def ask() -> None:
        np.testing.assert_array_equal(kept(learn, "name", ["text"], 3)["a"], np.arange(3))

    ask()
    keep_in(tmp_path / "kept")
    ask()
    ask()
    assert len(made) == 2
    (file,) = (tmp_path / "kept").iterdir()
    file.write_bytes(b"PK half")
    ask()
    ask()
    assert len(made) == 3
    keep_in(tmp_path / "missing" / "kept")
    ask()
    assert len(made) == 4


def test_what_is_learnt_hangs_on_all_that_is_given(tmp_path: Path) -> None:
    keep_in(tmp_path)
    given = [("n", ["ab", "c"], 1), ("n", ["a", "bc"], 1), ("n", ["ab", "c"], 2), ("m", ["ab"], 1)]
    for number, one in enumerate(given):
        found = kept(partial(dict, a=np.array(number)), *one)
        assert found["a"] == number


def test_rows_are_read_once(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    asked = job(tmp_path / "trial", reviews(file), validation=reviews(tmp_path / "others.jsonl", 8))
    RowsAhead().read(asked)
    file.unlink()
    plan = HeldPlan(**asked.source)
    assert (len(plan.read()), len(plan.read_validation())) == (60, 8)
    assert HeldPlan("sentiment").read() is not plan.read()


def test_what_cannot_be_read_is_left_to_the_trial(tmp_path: Path) -> None:
    RowsAhead().read(job(tmp_path / "trial", str(tmp_path / "missing.csv")))


def test_too_many_rows_are_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tuning.trials import rows

    monkeypatch.setattr(rows, "_MEMORY_SHARE", -1.0)
    file = tmp_path / "rows.jsonl"
    RowsAhead().read(asked := job(tmp_path / "trial", reviews(file)))
    reviews(file, 10)
    assert len(HeldPlan(**asked.source).read()) == 10


def test_no_sample_runs_tensorflow() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SAMPLES], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
