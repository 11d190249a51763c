"""Importance: what is known to matter is found, what does not has an interval that holds zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tuning.record import TrialRow
from tuning.report.importance import FEWEST, Importance, importances, obstacle

Score = Callable[[dict[str, Any], np.random.Generator], float]


def trials(count: int, score: Score, seed: int = 1, **more: Any) -> list[TrialRow]:
    generator = np.random.default_rng(seed)
    rows = []
    for number in range(count):
        depth = int(generator.integers(1, 4))
        widths = [int(width) for width in generator.integers(8, 64, depth)]
        values = {
            "learning_rate": float(10 ** generator.uniform(-4, -1)),
            "depth": depth,
            "units": widths[0] if depth == 1 else widths,
            "bidirectional": bool(generator.integers(2)),
            "pooling": str(generator.choice(["max", "mean"])),
            "ngrams": 3,
        }
        result = score(values, generator)
        rows.append(TrialRow(f"{number:04}", "COMPLETED", result, values, **more))
    return rows


def by_name(rows: list[TrialRow], maximise: bool = True) -> dict[str, Importance]:
    return {one.name: one for one in importances(rows, maximise, seed=0)}


def rate(values: dict[str, Any], _: np.random.Generator) -> float:
    return float(np.log10(values["learning_rate"]))


def noise(_: dict[str, Any], generator: np.random.Generator) -> float:
    return float(generator.random())


def deep(values: dict[str, Any], generator: np.random.Generator) -> float:
    return values["depth"] + 0.1 * generator.random()


def second(values: dict[str, Any], generator: np.random.Generator) -> float:
    width = values["units"][1] / 64 if values["depth"] > 1 else 0.5
    return width + 0.01 * float(generator.random())


def test_the_one_that_matters_explains_nearly_all_and_the_others_nothing() -> None:
    found = by_name(trials(40, rate))
    assert next(iter(found)) == "learning_rate"
    assert found["learning_rate"].share > 0.8
    assert found["learning_rate"].low > 0.6
    for name in ("depth", "units", "bidirectional", "pooling"):
        assert found[name].low == pytest.approx(0.0, abs=0.01)
        assert found[name].high < 0.1


def test_a_hyperparameter_that_never_changes_is_not_listed() -> None:
    assert "ngrams" not in by_name(trials(20, rate))


def test_of_pure_noise_nothing_is_explained() -> None:
    found = [one for seed in range(6) for one in importances(trials(40, noise, seed), True)]
    # Of 95 % intervals, one in forty lies above what is true by chance.
    assert len(found) > 40
    assert sum(one.low > 0.0 for one in found) <= 2
    assert max(one.share for one in found) < 0.3


def test_two_that_matter_share_and_noise_lowers_both() -> None:
    def both(values: dict[str, Any], generator: np.random.Generator) -> float:
        return rate(values, generator) + values["depth"] + 0.2 * generator.random()

    clear = by_name(trials(80, both))
    assert list(clear)[:2] in (["learning_rate", "depth"], ["depth", "learning_rate"])
    assert all(0.2 < clear[name].share < 0.8 for name in ("learning_rate", "depth"))
    blurred = by_name(trials(80, lambda v, g: both(v, g) + 3 * g.normal()))
    for name in ("learning_rate", "depth"):
        assert blurred[name].share < clear[name].share


def test_the_second_layers_width_is_not_credited_with_there_being_one() -> None:
    found = by_name(trials(60, deep))
    assert found["depth"].share > 0.7
    assert found["units_2"].share < 0.05


def test_the_second_layers_width_counts_where_there_is_one() -> None:
    found = by_name(trials(60, second))
    assert found["units_2"].share > 0.5
    assert found["units_2"].low > found["units"].high


def test_the_direction_of_the_objective_does_not_matter() -> None:
    rows = trials(20, rate)
    turned = [dataclasses.replace(row, score=-(row.score or 0.0)) for row in rows]
    assert by_name(rows)["learning_rate"].share == pytest.approx(
        by_name(turned, maximise=False)["learning_rate"].share, abs=0.05
    )


def test_one_diverged_trial_does_not_hide_the_rest() -> None:
    rows = trials(40, rate)
    rows[5] = dataclasses.replace(rows[5], score=-1e12)
    assert by_name(rows)["learning_rate"].share > 0.7


def test_equal_rows_and_seed_give_equal_shares() -> None:
    rows = trials(12, rate)
    assert importances(rows, True, seed=4) == importances(rows, True, seed=4)


def test_rungs_are_compared_within_themselves() -> None:
    # Whatever trains longer scores higher; among equals the learning rate alone decides.
    short = trials(16, rate, seed=1, round=0, epochs=2)
    long = [
        dataclasses.replace(row, id=f"1{row.id}", score=(row.score or 0.0) + 50.0, epochs=8)
        for row in trials(16, rate, seed=2, round=0)
    ]
    promoted = [
        dataclasses.replace(row, id=f"2{row.id}", continues=row.id, epochs=8, score=100.0)
        for row in short[:5]
    ]
    alone = by_name([*short, *long])
    assert alone["learning_rate"].share > 0.7
    assert by_name([*short, *long, *promoted]) == alone
    # The default is trained to its end, and nothing else was trained as long.
    default = dataclasses.replace(long[0], id="0000", round=None, epochs=12, score=-1.0)
    assert by_name([default, *short, *long]) == alone


def test_without_enough_to_compare_there_is_a_reason_and_no_shares() -> None:
    few = trials(FEWEST - 1, rate)
    assert importances(few, True) == []
    assert f"{FEWEST} completed trials" in obstacle(few)
    assert f"there are {FEWEST - 1}" in obstacle(few)
    failed = [dataclasses.replace(row, status="FAILED", score=None) for row in trials(20, rate)]
    assert "there are 0" in obstacle([*few[:3], *failed][3:])
    same = trials(20, lambda values, generator: 0.5)
    assert importances(same, True) == []
    assert "the same score" in obstacle(same)
    constant = [
        dataclasses.replace(row, values={"units": 8}, score=float(i))
        for i, row in enumerate(trials(12, rate))
    ]
    assert importances(constant, True) == []
    assert "No hyperparameter differs" in obstacle(constant)
    assert obstacle(trials(FEWEST, rate)) == ""
