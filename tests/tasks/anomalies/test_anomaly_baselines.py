"""Baselines: as pandas has them, each row by the rows before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from apps.data import Examples
from apps.data.panels.series import Step, TimeSeries
from apps.tasks.anomalies.baselines import (
    MovingDifference,
    RandomScore,
    RollingZ,
    RowScore,
    SeasonalDifference,
    rolling,
)

BASELINES = (RandomScore, RollingZ, MovingDifference, SeasonalDifference)
DAY = 24


def series(values: np.ndarray, name: str = "") -> TimeSeries:
    """Hourly rows, holes filled by the value before."""
    rows = len(values)
    return TimeSeries(
        name=name,
        source="made.csv",
        times=np.arange(rows) * 3600.0,
        targets=pd.DataFrame(values).ffill().fillna(0.0).to_numpy(),
        observed=np.isfinite(values),
        past=np.zeros((rows, 0)),
        future=np.zeros((rows, 0)),
        static=np.zeros(0),
        lines=np.arange(1, rows + 1),
        end=rows,
        first=0,
        last=rows,
        step=Step("h", 3600.0, True, True),
    )


def units(pieces: Sequence[tuple[TimeSeries, int, int]]) -> Examples:
    one, start, stop = zip(*pieces, strict=True)
    columns: dict[str, Any] = {"series": one, "start": np.array(start), "stop": np.array(stop)}
    return Examples(columns, ["made.csv"] * len(pieces), "made.csv")


def highest(scores: Sequence[np.ndarray]) -> float:
    return max(float(np.nanmax(one)) for one in scores)


def scores_of(kind: type[RowScore], values: np.ndarray) -> np.ndarray:
    baseline = kind(highest, 0)
    return baseline.predict(units([(series(values), 0, len(values))]))["score"][0]


@pytest.mark.parametrize("level", [0.0, 1e7])
def test_rolling_moments_are_those_of_pandas_one_row_later(level: float) -> None:
    rows = level + np.random.default_rng(0).normal(size=(1500, 2)) * [1.0, 30.0]
    mean, deviation = rolling(rows)
    wanted = pd.DataFrame(rows).rolling(400, min_periods=1)
    np.testing.assert_allclose(mean[1:], wanted.mean().shift(1)[1:], rtol=1e-12, atol=1e-9)
    np.testing.assert_allclose(deviation[1:], wanted.std(ddof=0).shift(1)[1:], atol=1e-6)
    assert mean[0].tolist() == rows[0].tolist()
    assert not deviation[0].any()


@pytest.mark.parametrize("kind", BASELINES)
def test_a_score_never_depends_on_later_rows(kind: type[RowScore]) -> None:
    draw = np.random.default_rng(0)
    values = draw.normal(size=(700, 2)) + 50.0
    values[draw.random(values.shape) < 0.05] = np.nan
    other = values.copy()
    other[500:] = draw.normal(size=(200, 2)) * 1e6
    one, two = scores_of(kind, values), scores_of(kind, other)
    np.testing.assert_array_equal(one[:500], two[:500])
    assert np.isfinite(one).all()
    assert (one >= 0.0).all()


def test_each_finds_what_it_is_made_for() -> None:
    draw = np.random.default_rng(1)
    hours = np.arange(40 * DAY)
    values = (10 * np.sin(2 * np.pi * hours / DAY) + draw.normal(0, 0.1, len(hours)))[:, None]
    spike = values.copy()
    spike[600] += 100.0
    for kind in (RollingZ, MovingDifference, SeasonalDifference):
        assert scores_of(kind, spike)[2 * DAY :].argmax() == 600 - 2 * DAY
    # As high as at any noon, and at midnight.
    shifted = values.copy()
    shifted[600:606] = values[606:612]
    assert 600 <= scores_of(SeasonalDifference, shifted)[2 * DAY :].argmax() + 2 * DAY < 606 + DAY
    assert scores_of(RollingZ, shifted)[600:606].max() < 3.0


@pytest.mark.parametrize("kind", [RollingZ, MovingDifference, SeasonalDifference])
def test_constant_sensors_and_holes_have_no_score(kind: type[RowScore]) -> None:
    values = np.full((300, 2), 3.0)
    values[:, 1] = np.random.default_rng(0).normal(size=300)
    values[100:150] = np.nan
    scores = scores_of(kind, values)
    assert np.isfinite(scores).all()
    assert not scores[100:150].any()
    assert not scores_of(kind, values[:, :1]).any()


@pytest.mark.parametrize("kind", BASELINES)
def test_pieces_have_the_scores_of_the_whole(kind: type[RowScore]) -> None:
    draw = np.random.default_rng(2)
    one, two = (series(draw.normal(size=(count, 1)), str(count)) for count in (90, 60))
    baseline = kind(highest, 3)
    pieces = [(one, 0, 40), (one, 40, 90), (two, 10, 60)]
    baseline.fit(units(pieces))
    found = baseline.predict(units(pieces))
    assert found["score"].shape == (3, 50)
    assert np.isnan(found["score"][0, 40:]).all()
    whole = baseline.predict(units([(one, 0, 90), (two, 0, 60)]))["score"]
    joined = np.concatenate([found["score"][0, :40], found["score"][1]])
    np.testing.assert_array_equal(joined, whole[0])
    np.testing.assert_array_equal(found["score"][2], whole[1, 10:60])
    # The threshold was chosen from the same pieces: their highest score alone reaches it.
    assert found["flag"].sum() == (found["score"] == np.nanmax(found["score"])).sum() >= 1
    again = kind(highest, 3)
    again.restore(baseline.state())
    np.testing.assert_array_equal(again.predict(units(pieces))["flag"], found["flag"])
