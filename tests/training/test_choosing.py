"""Which epoch is the better one: by the objective where it can tell, else by the loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from apps.report.quantities import Metric
from apps.training.choosing import Score, standard_error

ACCURACY = Metric("accuracy", "accuracy", "higher", rate=True)
WER = Metric("wer", "word error rate", "lower", rate=True)
PERPLEXITY = Metric("perplexity", "perplexity", "lower")


@pytest.mark.parametrize(
    ("judge", "one", "other", "better"),
    [
        # Known to half a point: a difference of 0.3 points counts, whatever the loss says.
        (ACCURACY, Score(0.903, 0.40, 0.005), Score(0.900, 0.30, 0.005), True),
        (ACCURACY, Score(0.900, 0.30, 0.005), Score(0.903, 0.40, 0.005), False),
        # Known to two points only: the loss decides within those, the rate beyond them.
        (ACCURACY, Score(0.89, 0.30, 0.02), Score(0.90, 0.40, 0.02), True),
        (ACCURACY, Score(0.90, 0.40, 0.02), Score(0.89, 0.30, 0.02), False),
        (ACCURACY, Score(0.95, 0.40, 0.02), Score(0.90, 0.30, 0.02), True),
        (WER, Score(0.5, 9.0, 0.1), Score(1.0, 8.0, 0.0), True),
        # Equal rates are told apart by the loss: a model that writes nothing yet still learns.
        (WER, Score(1.0, 30.0, 0.0), Score(1.0, 40.0, 0.0), True),
        (WER, Score(1.0, 40.0, 0.0), Score(1.0, 40.0, 0.0), False),
        # What is no rate is smooth enough.
        (PERPLEXITY, Score(99.0, 5.0, 9.0), Score(100.0, 4.0, 9.0), True),
        (ACCURACY, Score(math.nan, 0.1, 0.0), Score(0.5, 0.4, 0.02), False),
        (ACCURACY, Score(0.5, 0.4, 0.02), Score(math.nan, 0.1, 0.0), True),
    ],
)
def test_an_epoch_is_better_by_the_objective_or_by_the_loss(
    judge: Metric, one: Score, other: Score, better: bool
) -> None:
    assert one.beats(other, judge) is better
    assert one.beats(None, judge)


def test_the_standard_error_of_an_accuracy_is_that_of_a_binomial() -> None:
    def measure(statistics: Any) -> dict[str, float]:
        return {"accuracy": float(statistics["hit"].mean())}

    hit = np.random.default_rng(0).random(960) < 0.75
    found = standard_error(measure, {"hit": hit}, "accuracy")
    assert found == pytest.approx(math.sqrt(0.75 * 0.25 / 960), rel=0.4)
    assert standard_error(measure, {"hit": hit[:1]}, "accuracy") == 0.0
