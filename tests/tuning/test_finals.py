"""The winner is the best mean over fresh seeds, and time is kept to find it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from invented import Search, outcome

from apps.errors import UserError
from tuning.finals import first_retraining
from tuning.record import read_search, record_of
from tuning.settings import read_budget
from tuning.trials.job import Job, Outcome

Begin = Callable[..., Search]


def judged(scores: dict[str, float]) -> Callable[[Job], Outcome]:
    """Scores by the trial's id; others get nothing to speak of."""
    return lambda job: outcome(job, score=scores.get(job.id, 0.1))


def finals_of(search: Search) -> list[str]:
    return [name for name in search.oracle.rows if name.startswith("final-")]


def test_the_best_and_the_default_meet_the_same_seeds_in_turns(begin: Begin) -> None:
    search = begin(trials=5, finalists=2, seeds=3)
    ran = search.finish(judge=judged({"0003": 0.9, "0001": 0.8, "0004": 0.7, "0000": 0.2}))
    assert finals_of(search) == [
        f"final-{trial}-{number}" for number in (1, 2, 3) for trial in ("0000", "0003", "0001")
    ]
    assert [job.seed for job in ran] == [0] * 5 + [1] * 3 + [2] * 3 + [3] * 3
    assert ran[6].settings == ran[3].settings


def test_the_luckiest_single_score_does_not_win(begin: Begin) -> None:
    search = begin(trials=4, finalists=2, seeds=2, seed=0)
    lucky = {"0002": 0.99, "final-0002-1": 0.5, "final-0002-2": 0.6}
    steady = {"0003": 0.8, "final-0003-1": 0.79, "final-0003-2": 0.81}
    search.finish(judge=judged(lucky | steady))
    record = read_search(search.folder)
    assert record.best is not None
    assert (record.best["id"], record.best["seeds"]) == ("0003", 2)
    assert record.best["score"] == pytest.approx(0.8)
    assert record.best["spread"] == pytest.approx(0.014142, abs=1e-5)
    assert record.leaderboard()[0].id == "0002"
    assert [final.trial for final in record.finals] == ["0003", "0002", "0000"]


@pytest.mark.parametrize("failing", ["final-0002", "final-0002-1"])
def test_a_finalist_that_fails_with_any_seed_is_out_and_the_others_keep_theirs(
    begin: Begin, failing: str
) -> None:
    search = begin(trials=3, finalists=2, seeds=2)
    scores = judged({"0002": 0.9, "0001": 0.8, "final-0001-1": 0.7, "final-0001-2": 0.8})
    search.finish(
        judge=lambda job: (
            Outcome("FAILED", reason="boom") if job.id.startswith(failing) else scores(job)
        )
    )
    record = read_search(search.folder)
    assert {final.trial for final in record.finals} == {"0001", "0000"}
    assert all(len(final.scores) == 2 for final in record.finals)
    assert record.failed_finals
    assert record.best is not None
    assert (record.best["id"], record.best["score"]) == ("0001", pytest.approx(0.75))


def test_scores_of_one_seed_are_compared_with_those_of_the_same(begin: Begin) -> None:
    search = begin(trials=2, finalists=1, seeds=3)
    search.finish(most=2 + 5, judge=judged({"0001": 0.9}))
    rows = search.oracle.rows
    assert "final-0000-3" in rows
    assert "final-0001-3" not in rows
    record = record_of(
        search.settings, rows, search.oracle.finals.chosen, elapsed=1.0, phase="finals"
    )
    assert {len(final.scores) for final in record.finals} == {2}


def test_the_winners_run_is_its_first_retraining_and_stays_on_disk(begin: Begin) -> None:
    search = begin(trials=2, finalists=1, seeds=2)
    search.finish(judge=judged({"0001": 0.9}))
    rows = search.oracle.rows
    assert first_retraining(rows, "0001") == "final-0001-1"
    kept = set(rows) - set(search.oracle.superfluous())
    assert {"final-0001-1", "final-0000-1"} <= kept
    assert not kept & {"final-0001-2", "final-0000-2"}


def test_a_trial_that_is_taken_up_again_has_the_minutes_that_it_was_given(begin: Begin) -> None:
    search = begin(trials=None, minutes=8.0)
    search.clock.elapsed = lambda: 0.0
    given = search.ask().minutes
    again = search.reopened()
    again.clock.elapsed = lambda: 400.0
    assert again.ask().minutes == given


def test_a_trial_that_hyperband_went_on_with_is_no_finalist_of_its_own(begin: Begin) -> None:
    search = begin("hyperband", trials=None, finalists=3, seeds=1)
    search.finish()
    chosen = search.oracle.finals.chosen
    went_on = {row.continues for row in search.oracle.rows.values()}
    assert len(chosen) == 4
    assert not went_on & set(chosen)


def test_time_is_kept_for_the_finals_and_no_round_begins_that_cannot_end(begin: Begin) -> None:
    def run(minutes: float) -> tuple[int, int]:
        search = begin(trials=None, minutes=minutes, finalists=2, seeds=3)
        # Every trial takes ten seconds of a clock that only trials move.
        search.clock.elapsed = lambda: 10.0 * len(search.oracle.end_order)
        search.finish()
        names = finals_of(search)
        assert 10.0 * len(search.oracle.end_order) <= 60 * minutes
        assert len(names) % max(len(search.oracle.finals.chosen), 1) == 0
        return len(search.oracle.rows) - len(names), len(names)

    searched, finals = run(10.0)
    assert finals == 9
    assert 35 <= searched <= 51
    assert run(1.0)[1] < 9


def test_time_that_suffices_for_no_retraining_is_searched_with(begin: Begin) -> None:
    search = begin(trials=None, minutes=2.0, finalists=3, seeds=3)
    search.clock.elapsed = lambda: 25.0 * len(search.oracle.end_order)
    search.finish(judge=lambda job: outcome(job, seconds=25.0))
    # 114 seconds of 25 each, and not even two by two would have fitted into a third of them.
    assert finals_of(search) == []
    assert len(search.oracle.rows) == 5


def test_the_default_is_not_retrained_alone(begin: Begin) -> None:
    search = begin(trials=None, minutes=4.0, finalists=3, seeds=3)
    search.clock.elapsed = lambda: 10.0 * len(search.oracle.end_order)
    search.finish(judge=judged({"0000": 0.9, "0003": 0.5}))
    assert len({name.split("-")[1] for name in finals_of(search)}) > 1


def test_no_trial_may_take_more_than_a_quarter_of_the_minutes(begin: Begin) -> None:
    search = begin(trials=None, minutes=20.0, trial_minutes=60.0)
    assert search.ask().minutes == pytest.approx(5.0, abs=0.1)


def test_without_finalists_the_best_score_wins(begin: Begin) -> None:
    search = begin(trials=3, finalists=0)
    search.finish(judge=judged({"0002": 0.9}))
    best = read_search(search.folder).best
    assert best is not None
    assert (best["id"], best["score"], best["seeds"]) == ("0002", 0.9, 0)


def test_lower_is_better_where_it_is(begin: Begin) -> None:
    search = begin(trials=4, finalists=1, seeds=2, objective="cross_entropy")
    search.finish(judge=judged({"0000": 0.8, "0002": 0.05}))
    assert set(search.oracle.finals.chosen) == {"0000", "0002"}
    best = read_search(search.folder).best
    assert best is not None
    assert best["score"] == 0.1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"latency": 5}, "did you mean 'latency_ms'"),
        ({"latency_ms": "fast"}, "give a positive number"),
        ({"parameters": "-1"}, "give a positive number"),
        ({"size_mb": "inf"}, "give a positive number"),
    ],
)
def test_a_budget_that_is_none_is_refused(given: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_budget(given)
    assert read_budget({"parameters": "1e6"}) == {"parameters": 1e6}
