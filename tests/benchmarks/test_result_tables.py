"""Tables of results: arithmetic over seeds, directions, and the committed pages."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up_experiment import MADE_UP

from apps.report.quantities import Metric
from benchmarks import result_tables
from benchmarks.experiment import Published
from benchmarks.experiment_runs import CHECKOUT, is_done, read_results
from benchmarks.result_figures import Seeds, best, by_origin, mean, reached, spread, written

HIGH, LOW = Metric("accuracy", "accuracy", "higher"), Metric("mse", "squared error", "lower")
REMEDY = "run python -m benchmarks.results --tables"


def result(seed: int, accuracy: Any, **more: Any) -> dict[str, Any]:
    """A made-up result in the form of its file."""
    measured = {
        "accuracy": accuracy,
        "interval": {"accuracy": [0.7, 0.9]},
        "baselines": {"majority": {"accuracy": 0.5}, "linear": {"accuracy": 0.6 + 0.1 * seed}},
    }
    found = {"experiment": "made-up", "application": "sentiment", "seed": seed, "minutes": 2.0}
    return {**found, "measured": {"ten reviews": measured}, **more}


def test_means_spreads_and_directions() -> None:
    assert mean([0.7, None, 0.8]) == pytest.approx(0.75)
    assert mean([None]) is None
    assert spread([1.0, 2.0, 3.0]) == 1.0
    assert spread([1.0]) is None
    rivals = {"a": 0.4, "b": None, "c": 0.2}
    assert (best(HIGH, rivals), best(LOW, rivals), best(LOW, {"b": None})) == ("a", "c", None)
    assert reached(HIGH, 0.3, 0.3)
    assert reached(HIGH, 0.4, 0.3)
    assert not reached(LOW, 0.4, 0.3)
    assert reached(LOW, 0.2, 0.3)
    shown = [
        written(0.91, False),
        written(0.91456, False),
        written(33.0, True),
        written(None, True),
    ]
    assert shown == ["0.910", "0.9146", "33.0", "–"]


def test_tables_hold_mean_and_spread_of_seeds_or_the_interval_of_one() -> None:
    one = Seeds(MADE_UP, [result(0, 0.8)])
    assert (one.said("accuracy"), one.uncertainty("accuracy")) == ("0.800", "0.700 to 0.900")
    three = Seeds(MADE_UP, [result(seed, value) for seed, value in enumerate((0.7, 0.8, 0.9))])
    assert three.seeds == "seeds 0, 1, 2"
    assert three.said("accuracy") == "0.800"
    assert three.uncertainty("accuracy") == "± 0.100 (0.700, 0.800, 0.900)"
    assert three.others("baselines", "accuracy") == pytest.approx({"majority": 0.5, "linear": 0.7})
    told = {("made-up", 0): result(0, 0.8), ("made-up", 1): result(1, 0.7, transcribed="README")}
    run, transcribed = by_origin(MADE_UP, told)
    assert (run.seeds, run.mark, transcribed.seeds, transcribed.mark) == (
        "seed 0",
        "",
        "seed 1",
        " †",
    )
    assert not is_done(MADE_UP, 1, told)


def test_a_table_has_baselines_ours_published_and_the_bar() -> None:
    one = replace(MADE_UP, published=(Published("theirs", ("0.95",)),), bar=0.85)
    found = by_origin(one, {("made-up", 0): result(0, 0.8, commands=["python"], machine="a box")})
    table = result_tables._tall(one, found)
    assert "| majority | 0.500 |  |" in table
    assert "| **`sentiment`**, seed 0 | **0.800** | 0.700 to 0.900 |" in table
    assert "| published: theirs | 0.95 |  |" in table
    assert "The bar of 0.85 is **missed**." in table
    assert "Seed 0: 2.0 minutes.  \na box." in table


def test_the_page_is_what_the_committed_results_say() -> None:
    made = result_tables.page(read_results())
    assert (CHECKOUT / "docs/results.md").read_text(encoding="utf-8") == made, REMEDY


def test_the_readme_is_what_the_committed_results_say() -> None:
    readme = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    if result_tables.BEGIN not in readme:
        pytest.skip(f"README.md has no line {result_tables.BEGIN}")
    made = result_tables.with_block(readme, result_tables.block(read_results()))
    assert readme == made, REMEDY
    assert result_tables.with_block("no marks\n", "block\n") == "no marks\n"
