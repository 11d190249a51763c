"""Stacks compared: equal parameters, rows that no training saw, a recommendation that follows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps import catalogue
from apps.comparison import comparing, training
from apps.comparison.contenders import contenders
from apps.comparison.recommendation import Competitor, recommend
from apps.report.quantities import Metric
from apps.training.plan import Plan

ACCURACY = Metric("accuracy", "accuracy", "higher", rate=True)
ERROR = Metric("mse", "mean squared error", "lower")


def one(name: str, *values: float, ms: float | None = None, noise: float = 0.0) -> Competitor:
    """A competitor, and what rows drawn again would say of it."""
    draw = np.random.default_rng(len(name)).standard_normal(500)
    return Competitor(name, values, (np.mean(values) + noise * draw).tolist(), ms)


def test_the_best_is_taken_where_it_is_told_from_the_others() -> None:
    stacks = [one("lstm", 0.90, 0.91, ms=2.0), one("gru", 0.80, 0.82, ms=1.0)]
    found = recommend(ACCURACY, stacks, [one("majority", 0.5, 0.5)])
    assert found.choice == "lstm"
    assert "majority, has 50.0" in found.reason
    assert recommend(ERROR, stacks, [one("mean", 1.0, 1.0)]).choice == "gru"


def test_of_equal_ones_the_faster_is_taken() -> None:
    stacks = [one("lstm", 0.90, 0.94, ms=1.0), one("transformer", 0.93, 0.95, ms=3.0)]
    found = recommend(ACCURACY, stacks, [])
    assert found.choice == "lstm"
    assert "cannot be told from the best, transformer" in found.reason
    # A little faster is no reason.
    stacks = [one("lstm", 0.90, 0.94, ms=2.9), one("transformer", 0.93, 0.95, ms=3.0)]
    assert recommend(ACCURACY, stacks, []).choice == "transformer"
    # Seeds lie apart, but the rows are too few to tell.
    stacks = [one("lstm", 0.90, ms=1.0), one("ssm", 0.93, ms=3.0, noise=0.03)]
    assert recommend(ACCURACY, stacks, []).choice == "lstm"


def test_a_baseline_that_is_as_good_is_taken() -> None:
    stacks = [one("lstm", 0.30, 0.31, ms=1.0)]
    near = one("dlinear", 0.32, 0.32, noise=0.02)
    found = recommend(ERROR, stacks, [one("drift", 0.9, 0.9), near])
    assert found.choice == "dlinear"
    assert "cannot be told from that of the best network, lstm" in found.reason
    assert recommend(ERROR, stacks, [one("dlinear", 0.32, 0.32)]).choice == "lstm"
    found = recommend(ERROR, stacks, [one("dlinear", 0.2, 0.2)])
    assert "is better than" in found.reason


def test_all_have_the_parameters_of_the_lstms() -> None:
    kind = catalogue.load("stocks")
    settings = {**kind.tiny().settings, "units": 32, "chrono": 50}
    plan = Plan("stocks", settings=settings)
    application = plan.kind(plan.config, 0)
    learn = application.check(kind.tiny().examples, learning=True)
    stacks = ["lstm", "gru", "transformer"]
    found = contenders(plan, learn, stacks)
    assert [contender.stack for contender in found] == stacks
    assert found[0].units == 32
    wanted = found[0].parameters
    for contender in found[1:]:
        assert contender.parameters == pytest.approx(wanted, rel=0.06)
        assert contender.units != 32


@pytest.fixture(scope="module")
def asked() -> dict[str, Any]:
    small = {"units": 8, "embedding": 8, "epochs": 1, "batch_size": 32, "bidirectional": False}
    return {"stacks": ["gru"], "seeds": 1, "minutes": 20, "log": lambda line: None, **small}


@pytest.fixture(scope="module")
def folder(asked: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison that was interrupted in its first training, and went on."""
    from apps.text.sample_reviews import sample_reviews

    examples = sample_reviews(seed=3, reviews=150)
    rows = [
        {"text": t, "label": k} for t, k in zip(examples["text"], examples["label"], strict=True)
    ]
    folder = tmp_path_factory.mktemp("comparison")
    file = folder / "reviews.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    run = folder / "run"

    def interrupt(job: training.Job) -> Any:
        if "seed" in job.run.name:
            raise KeyboardInterrupt
        return training.trained(job)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "trained", interrupt)
        # One learning rate is enough to see that one is chosen.
        patch.setattr(comparing, "_RATES", (1.0,))
        with pytest.raises(KeyboardInterrupt):
            comparing.compare("sentiment", str(file), run=run, **asked)
        done = (run / "lstm-rate-1" / "compared.json").stat().st_mtime_ns
        patch.setattr(comparing, "trained", training.trained)
        comparing.compare("sentiment", str(file), run=run, resume=True, **asked)
    assert (run / "lstm-rate-1" / "compared.json").stat().st_mtime_ns == done
    return run


def test_it_measures_all_on_the_same_rows_and_says_what_to_take(folder: Path) -> None:
    result = json.loads((folder / "comparison.json").read_bytes())
    assert [entry["stack"] for entry in result["stacks"]] == ["lstm", "gru"]
    assert result["test"] == "30 of 150 rows, drawn with seed 0"
    lstm, gru = result["stacks"]
    assert lstm["parameters"] == pytest.approx(gru["parameters"], rel=0.05)
    for entry in (lstm, gru):
        assert len(entry["values"]) == 1
        assert 0 <= entry["values"][0] <= 1
        assert entry["cpu_seconds"] > 0
        assert entry["peak_memory_mb"] > 100
        assert entry["ms_per_example"] > 0
        assert entry["off_cudnn"] == []
        measured = json.loads((folder / f"{entry['stack']}-seed-0" / "compared.json").read_bytes())
        assert measured["test"]["examples"] == 30
    assert {"majority", "bag_of_words"} <= set(result["baselines"])
    names = {"lstm", "gru", *result["baselines"]}
    assert result["recommendation"]["choice"] in names
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert result["recommendation"]["sentence"] in page
    assert "transformer" not in page


def test_a_run_of_it_is_one_like_any_other(folder: Path, answered: Callable[..., str]) -> None:
    printed = answered("predict", folder / "gru-seed-0", "a lovely film")
    assert set(json.loads(printed)) >= {"label", "probabilities"}


def test_what_cannot_be_compared_is_refused(
    folder: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "unknown stack 'gro'; did you mean 'gru'?" in refused(
        "compare", "sentiment", "--stacks", "gro", "--run", tmp_path / "a"
    )
    assert "name the stacks with --stacks" in refused(
        "compare", "sentiment", "--set", "stack=gru", "--run", tmp_path / "a"
    )
    line = refused("compare", "sentiment", "--seeds", 0, "--run", tmp_path / "a")
    assert "seeds=0: give at least 1" in line
    assert "is there already" in refused("compare", "sentiment", "--run", folder)
    line = refused("compare", "sentiment", "--run", folder, "--resume", "--seeds", 2)
    assert "was started with other settings" in line
    assert not (tmp_path / "a").exists()


def test_what_suits_the_rows_is_the_same_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Units that are given do not leave the depth that was chosen with them to chance."""
    kind = catalogue.load("sentiment")
    chosen = {"depth": 2, "units": 6, "averaging": 0.9}
    monkeypatch.setattr(kind, "settings_for", classmethod(lambda cls, units: chosen))
    monkeypatch.setattr(comparing, "_RATES", (1.0,))
    jobs: list[training.Job] = []

    def note(job: training.Job) -> dict[str, Any]:
        jobs.append(job)
        metrics = {"accuracy": 0.5, "f1": 0.25}
        test = {**metrics, "interval": metrics, "baselines": {"majority": metrics}}
        cost = {"ms_per_example": 1.0, "peak_memory_mb": 1.0, "size_mb": 1.0}
        done = {"cost": cost, "cpu_seconds": 1.0, "epochs": 1, "layers": []}
        draws = {name: {"f1": [0.25] * 9} for name in ("", "majority")}
        return {"validation": metrics, "test": test, "draws": draws, **done}

    monkeypatch.setattr(comparing, "trained", note)
    settings: dict[str, Any] = {"objective": "f1", "embedding": 8, "vocabulary": 200}
    found = comparing.compare(
        "sentiment", run=tmp_path / "run", stacks=["gru"], seeds=1, log=print, **settings
    )
    assert found["metric"] == "f1"
    assert {job.settings["stack"] for job in jobs} == {"lstm", "gru"}
    for job in jobs:
        assert (job.settings["depth"], job.settings["averaging"]) == (2, 0.9)
        assert job.settings["units"] == (6 if job.settings["stack"] == "lstm" else 7)
