"""Reliability bins and the expected calibration error."""

from __future__ import annotations

import numpy as np
import pytest

from apps.report.calibration import expected_calibration_error, reliability


def test_error_by_hand() -> None:
    # Ten rows at 0.75, six right: 0.15 off. Five rows at 0.95, all right: 0.05 off.
    confidence = [0.75] * 10 + [0.95] * 5
    hit = [True] * 6 + [False] * 4 + [True] * 5
    expected = (10 * 0.15 + 5 * 0.05) / 15
    assert expected_calibration_error(confidence, hit) == pytest.approx(expected)


def test_errors_of_opposite_sign_do_not_cancel_across_bins() -> None:
    confidence = [0.6] * 10 + [0.9] * 10
    hit = [True] * 8 + [False] * 2 + [True] * 7 + [False] * 3
    bins = reliability(confidence, hit)
    assert bins.error == pytest.approx(0.2)
    assert bins.overconfidence == pytest.approx(0.0, abs=1e-12)


def test_calibrated_predictions_have_a_small_error() -> None:
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet(np.ones(4), size=20_000)
    draws = generator.random((20_000, 1))
    truth = (probabilities.cumsum(axis=1) < draws).sum(axis=1)
    confidence, predicted = probabilities.max(axis=1), probabilities.argmax(axis=1)
    assert expected_calibration_error(confidence, predicted == truth) < 0.015
    assert expected_calibration_error(confidence, predicted == (truth + 1) % 4) > 0.3


def test_bins_hold_their_upper_edge() -> None:
    bins = reliability([0.6, 0.6, 0.7, 1.0], [True, False, True, True], bins=5)
    assert bins.counts.tolist() == [0, 0, 2, 1, 1]
    assert bins.right.tolist() == [0, 0, 1, 1, 1]
    assert bins.accuracy[2] == 0.5
    assert np.isnan(bins.confidence[0])


def test_interval_of_a_bin_narrows_with_its_rows() -> None:
    few = reliability([0.95] * 4, [True, True, True, False])
    many = reliability([0.95] * 400, [True, True, True, False] * 100)
    for bins, low, high in ((few, 0.3006, 0.9544), (many, 0.7053, 0.7899)):
        lower, upper = bins.accuracy_interval()
        assert lower[-1] == pytest.approx(low, abs=5e-4)
        assert upper[-1] == pytest.approx(high, abs=5e-4)


def test_no_rows_give_no_number() -> None:
    assert np.isnan(expected_calibration_error([], []))
    assert np.isnan(reliability(np.zeros(0), np.zeros(0, bool)).overconfidence)


@pytest.mark.parametrize(
    ("confidence", "hit", "bins"),
    [
        (np.ones(2) / 2, [True], 15),
        (np.ones((2, 2)), np.ones((2, 2), bool), 15),
        ([1.0], [True], 0),
    ],
)
def test_shapes_that_do_not_belong_together(
    confidence: np.ndarray, hit: list[bool], bins: int
) -> None:
    with pytest.raises(ValueError, match="give"):
        expected_calibration_error(confidence, hit, bins)
