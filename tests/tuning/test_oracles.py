"""Whatever is killed whenever: no trial lost, none run twice, proposals as they would be."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented import EPOCHS, Config, Search, outcome

from apps.errors import UserError
from tuning.record import read_search
from tuning.trials.job import Job, Outcome

ALGORITHMS = ("hyperband", "bayesian", "random", "grid")
Begin = Callable[..., Search]


def proposals(jobs: list[Job]) -> list[Any]:
    return [(job.id, job.settings, job.epochs, job.continues, job.seed) for job in jobs]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_killed_after_every_step_it_proposes_what_it_would_have(
    begin: Begin, tmp_path: Path, algorithm: str
) -> None:
    settings = {"trials": 14 if algorithm == "hyperband" else 8, "finalists": 2, "seeds": 2}
    whole = begin(algorithm, **settings).finish()
    shutil.rmtree(tmp_path / "search")
    search, ran = begin(algorithm, **settings), []
    for _ in whole:
        job = search.ask()
        again = search.reopened().ask()
        assert proposals([again]) == proposals([job])
        search = search.reopened()
        search.finish(most=1)
        ran.append(job)
        search = search.reopened()
    assert proposals(ran) == proposals(whole)
    assert search.scheduler.next("w") is None
    assert search.oracle.phase == "done"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_default_comes_first_and_in_full_length(begin: Begin, algorithm: str) -> None:
    first = begin(algorithm).ask()
    assert first.id == "0000"
    assert first.epochs is None
    # The training itself chooses the others.
    searched = {key for key, extent in Config.ranges().items() if extent.searched}
    expected = {key: value for key, value in Config.defaults().items() if key in searched}
    expected["objective"] = "accuracy"
    if algorithm == "hyperband":
        # Its rungs are counted in them.
        expected["epochs"] = EPOCHS
    elif algorithm == "grid":
        expected |= {"bidirectional": True, "learning_rate": 1e-3, "batch_size": 32}
    assert first.settings == expected


def test_proposals_depend_on_the_seed_alone(begin: Begin, tmp_path: Path) -> None:
    def ran(seed: int) -> list[Any]:
        shutil.rmtree(tmp_path / "search", ignore_errors=True)
        return proposals(begin("bayesian", trials=7, seed=seed).finish())

    first = ran(0)
    assert ran(0) == first
    assert ran(1)[1:] != first[1:]


def test_hyperband_promotes_the_best_third_and_continues_their_training(begin: Begin) -> None:
    search = begin("hyperband", trials=None)
    ran = {job.id: job for job in search.finish()}
    rows = search.oracle.rows
    rungs: dict[tuple[Any, Any], list[str]] = defaultdict(list)
    for job in ran.values():
        values = search.oracle.trials[job.id].hyperparameters.values
        rungs[values.get("tuner/bracket"), rows[job.id].round].append(job.id)
    promoted = {rows[job.id].continues: job for job in ran.values() if job.continues}
    assert promoted
    for name, job in promoted.items():
        source = ran[name or ""]
        assert source.settings == job.settings
        assert job.epochs == 3 * (source.epochs or 0)
        peers = next(rung for rung in rungs.values() if name in rung)
        left = [rows[peer].score or 0 for peer in peers if peer not in promoted]
        assert (rows[source.id].score or 0) >= max(left)
    assert {job.epochs for job in ran.values()} == {None, 1, 3, EPOCHS}
    assert {job.settings["epochs"] for job in ran.values()} == {EPOCHS}
    kept = set(rows) - set(search.oracle.superfluous())
    assert kept == {max(rows.values(), key=lambda row: row.score or 0).id}


def test_hyperband_fills_the_places_of_failed_trials(begin: Begin) -> None:
    def judge(job: Job) -> Outcome:
        fails = int(job.id) % 3 == 1 and not job.continues
        return Outcome("FAILED", reason="no") if fails else outcome(job)

    search = begin("hyperband", trials=None)
    ran = search.finish(judge=judge)
    first = [job for job in ran if job.epochs == 1 and not job.continues]
    done = [job for job in first if search.oracle.rows[job.id].status == "COMPLETED"]
    assert len(done) == 9
    assert sum(job.epochs == EPOCHS for job in ran if job.continues) >= 1


def test_any_number_of_failures_in_a_row_is_survived(begin: Begin) -> None:
    for algorithm in ALGORITHMS:
        search = begin(algorithm, trials=None if algorithm == "hyperband" else 12)
        ran = search.finish(judge=lambda job: Outcome("FAILED", reason="boom"))
        assert len(ran) >= 10
        assert {row.reason for row in search.oracle.rows.values()} == {"boom"}
        shutil.rmtree(search.folder)


@pytest.mark.parametrize("score", [float("inf"), float("-inf"), float("nan"), None])
def test_a_score_that_is_no_number_fails_the_trial(begin: Begin, score: float | None) -> None:
    search = begin()
    job = search.ask()
    search.scheduler.end("w", job.id, outcome(job, score=score))
    row = search.oracle.rows[job.id]
    assert (row.status, row.score) == ("FAILED", None)
    assert str(score) in row.reason
    assert json.loads((search.folder / "trial_0000/trial.json").read_text())["status"] == "FAILED"


def test_trials_beyond_the_budget_do_not_count(begin: Begin) -> None:
    def judge(job: Job) -> Outcome:
        if int(job.id) in (1, 2):
            return Outcome("FAILED", reason="over the budget", cost={"parameters": 200.0})
        return outcome(job, cost={"parameters": 50.0})

    search = begin(trials=4, budget={"parameters": 100.0})
    assert len(search.finish(judge=judge)) == 6
    assert [row.feasible for row in search.oracle.rows.values()][:4] == [True, False, False, True]


def test_where_nothing_is_within_the_budget_it_ends(begin: Begin) -> None:
    over = Outcome("FAILED", reason="over the budget", cost={"latency_ms": 9.0})
    search = begin(trials=3, budget={"latency_ms": 1.0})
    assert len(search.finish(judge=lambda job: over)) == 30


def test_the_gaussian_process_keeps_off_what_failed(begin: Begin) -> None:
    search = begin("bayesian", trials=18)

    def judge(job: Job) -> Outcome:
        return Outcome("FAILED", reason="deep") if job.settings["depth"] > 1 else outcome(job)

    late = search.finish(judge=judge)[9:]
    assert sum(job.settings["depth"] == 1 for job in late) > 0.6 * len(late)


def test_hyperband_ends_when_it_is_resumed_without_minutes(begin: Begin) -> None:
    search = begin("hyperband", trials=None, minutes=500.0)
    search.finish(most=4)
    search.settings = dataclasses.replace(search.settings, minutes=None)
    assert len(search.reopened().finish()) < 60


def test_a_damaged_trial_file_is_written_again_and_a_damaged_state_is_named(begin: Begin) -> None:
    search = begin()
    search.finish(most=3)
    for trial in ("0000", "0001"):
        (search.folder / f"trial_{trial}" / "trial.json").write_text('{"trial_id": "00')
    assert proposals([search.reopened().ask()]) == proposals([search.ask()])
    assert json.loads((search.folder / "trial_0001/trial.json").read_text())["score"]

    for damage in ("", "{", "[]", "{}", '{"format": 1}'):
        (search.folder / "oracle.json").write_text(damage)
        with pytest.raises(UserError, match=r"oracle\.json: damaged .*another folder"):
            search.reopened()


def test_what_is_shown_is_what_was_reported(begin: Begin) -> None:
    search = begin(trials=5, finalists=1, seeds=2)
    ran = search.finish()
    record = read_search(search.folder)
    assert [row.id for row in record.trials] == ["0000", "0001", "0002", "0003", "0004"]
    for row, job in zip(record.trials, ran, strict=False):
        assert row.score == outcome(job).score
        assert row.seconds == 10.0
        shown = {k: list(v) if isinstance(v, tuple) else v for k, v in row.values.items()}
        assert shown == {key: job.settings[key] for key in shown}
        assert ("layer_dropout" in shown) == (job.settings["depth"] > 1)
    assert len(record.finals) == 2
