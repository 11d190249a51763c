"""Rows are scaled by the rows before them: as a loop over rows has it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.anomalies.running_scale import STATES, Scaled, running_scale


def scaled(series: np.ndarray) -> Scaled:
    begun = {name: tf.zeros((len(series), series.shape[2]), tf.float64) for name in STATES}
    return running_scale(tf.constant(series), begun)


def looped(series: np.ndarray) -> dict[str, np.ndarray]:
    """Count, mean, deviation and step of one sensor, `(rows,)`."""
    found: dict[str, list[float]] = {name: [] for name in ("count", "shift", "scale", "steps")}
    count, mean, recent, whole, last = 0, 0.0, 0.0, 0.0, 0.0
    for value in series:
        least = 1e-9 * max(abs(mean), 1e-6)
        found["shift"].append(mean)
        found["scale"].append(max(recent**0.5, 0.05 * whole**0.5, least))
        there = bool(np.isfinite(value))
        found["steps"].append(value - last if there and count else 0.0)
        count += there
        found["count"].append(count)
        if count == 1 and there:
            mean = value
        elif there:
            apart, weight, even = value - mean, max(1 / count, 1 / 1000), 1 / count
            mean += weight * apart
            recent = (1 - weight) * (recent + weight * apart**2)
            whole = (1 - even) * (whole + even * apart**2)
        last = value if there else last
    return {name: np.array(values) for name, values in found.items()}


@pytest.mark.parametrize(("level", "unit"), [(0.0, 1.0), (1e7, 1.0), (-3e5, 1e-2), (5.0, 1e12)])
def test_scales_are_those_of_a_loop(level: float, unit: float) -> None:
    draw = np.random.default_rng(0)
    # Longer than what means fade over, quiet in the end.
    series = draw.normal(size=2600)
    series[2000:] *= 1e-4
    series[draw.random(2600) < 0.05] = np.nan
    series[:4] = series[50:80] = np.nan
    series = level + unit * series
    found, wanted = scaled(series[None, :, None]), looped(series)
    np.testing.assert_array_equal(found.count[0, :, 0], wanted["count"])
    # From the third value on there is a deviation at all.
    known = wanted["count"] > 2
    apart = (found.shift[0, :, 0].numpy() - wanted["shift"]) / wanted["scale"]
    np.testing.assert_allclose(apart[known], 0.0, atol=1e-6)
    np.testing.assert_allclose(found.scale.numpy()[0, known, 0], wanted["scale"][known], rtol=1e-6)
    np.testing.assert_allclose(found.steps[0, :, 0], wanted["steps"], rtol=1e-12)
    assert np.isfinite(found.values[0, 4:]).all()


def test_means_go_over_all_rows_until_they_fade() -> None:
    draw = np.random.default_rng(1)
    series = np.concatenate([draw.normal(1e7, 1, 1000), draw.normal(1e7 + 50, 1, 5000)])
    found = scaled(series[None, :, None])
    np.testing.assert_allclose(found.shift[0, 999, 0], series[:999].mean(), rtol=1e-12)
    np.testing.assert_allclose(found.scale[0, 999, 0], series[:999].std(), rtol=1e-6)
    # What was long ago is forgotten: 5,000 rows leave exp(-5) of the old level.
    assert abs(found.shift[0, -1, 0] - (1e7 + 50)) < 0.5


def test_a_row_is_scaled_by_nothing_that_comes_after_it() -> None:
    draw = np.random.default_rng(2)
    series = draw.normal(size=(2, 400, 3)) + 1e7
    series[draw.random(series.shape) < 0.1] = np.nan
    other = series.copy()
    other[:, 300:] = draw.normal(size=(2, 100, 3)) * 1e9
    one, two = scaled(series), scaled(other)
    for name in ("shift", "scale"):
        # The row itself does not count either.
        np.testing.assert_array_equal(getattr(one, name)[:, :301], getattr(two, name)[:, :301])
    for name in ("values", "steps", "count"):
        np.testing.assert_array_equal(getattr(one, name)[:, :300], getattr(two, name)[:, :300])


def test_constant_and_empty_sensors_stay_numbers() -> None:
    series = np.stack([np.full(300, 7e8), np.full(300, np.nan), np.zeros(300)], 1)[None]
    found = scaled(series)
    for name in ("values", "shift", "scale", "steps"):
        assert np.isfinite(getattr(found, name)).all()
    assert (found.scale.numpy() > 0).all()
    assert not found.squashed(found.values)[0, 1:].numpy().any()


def test_what_is_squashed_is_restored() -> None:
    draw = np.random.default_rng(3)
    found = scaled(1e7 + draw.normal(size=(2, 200, 2)))
    back = found.restored(found.squashed(found.values))
    apart = ((back - found.values) / found.scale)[:, 10:].numpy()
    np.testing.assert_allclose(apart, 0.0, atol=1e-4)
