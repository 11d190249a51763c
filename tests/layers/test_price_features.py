"""Features of quotes: what they are, and that none knows a later row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.layers.price_features import MONTH, PriceFeatures, row_variance

DAYS = {"alias": "B", "size": 86_400.0, "dated": True, "regular": True}
MINUTES = {"alias": "min", "size": 60.0, "dated": True, "regular": True}
ALL = ("open", "high", "low", "close", "volume")


def channels(*targets: str, past: tuple[str, ...] = (), step: Any = DAYS) -> dict[str, Any]:
    return {"targets": targets, "past": past, "step": step}


def quotes(rows: int, *names: str) -> np.ndarray:
    draw = np.random.default_rng(3)
    close = 50 * np.exp(np.cumsum(draw.normal(0, 0.01, rows)))
    opened = close * np.exp(draw.normal(0, 0.004, rows))
    made = {
        "open": opened,
        "high": np.maximum(opened, close) * np.exp(np.abs(draw.normal(0, 0.004, rows))),
        "low": np.minimum(opened, close) * np.exp(-np.abs(draw.normal(0, 0.004, rows))),
        "close": close,
        "volume": draw.integers(0, 1000, rows).astype(float),
    }
    return np.stack([made[name] for name in names], 1)


def raw(rows: int, *names: str, past: int = 0) -> dict[str, np.ndarray]:
    """Quotes from Monday, the fifth of January 1970."""
    given = {"series": quotes(rows, *names), "time": 86_400.0 * (4 + np.arange(rows))}
    return {**given, "past": np.ones((rows, past))}


@pytest.mark.parametrize("names", [ALL, ("close",), ("high", "low", "close")])
def test_no_feature_knows_a_later_row(names: tuple[str, ...]) -> None:
    layer = PriceFeatures(channels(*names), 1e-8, level=True)
    given = raw(60, *names)
    before = layer.of(given)
    for row in (0, 30, 45, 59):
        changed = {**given, "series": given["series"].copy()}
        changed["series"][row] *= 1.5
        after = layer.of(changed)
        kept = max(row - MONTH, 0)
        np.testing.assert_array_equal(after[:kept], before[:kept])
        if row >= MONTH:
            assert (after[row - MONTH] != before[row - MONTH]).any()


@pytest.mark.parametrize("names", [ALL, ("close",), ("open", "close")])
@pytest.mark.parametrize("step", [DAYS, MINUTES])
def test_a_window_gives_what_the_series_gives(names: tuple[str, ...], step: Any) -> None:
    layer = PriceFeatures(channels(*names, past=("x",), step=step), 1e-8)
    given = raw(80, *names, past=1)
    whole = layer.of(given)
    assert whole.shape == (80 - MONTH, len(layer.names))
    part = layer.of({name: value[20:60] for name, value in given.items()})
    np.testing.assert_allclose(part, whole[20 : 60 - MONTH], rtol=1e-9, atol=1e-12)


def test_what_features_are() -> None:
    layer = PriceFeatures(channels(*ALL), 0.0)
    given = raw(40, *ALL)
    last = dict(zip(layer.names, layer.of(given)[-1], strict=True))
    opened, high, low, close, _ = given["series"].T
    assert last["return"] == pytest.approx(np.log(close[-1] / close[-2]))
    assert last["overnight"] == pytest.approx(np.log(opened[-1] / close[-2]))
    assert last["intraday"] == pytest.approx(np.log(close[-1] / opened[-1]))
    assert last["range"] == pytest.approx(np.log(np.log(high[-1] / low[-1])))
    assert last["from_month"] == pytest.approx(np.log(close[-1]) - np.log(close[-22:]).mean())
    variance = np.asarray(row_variance(dict(zip(ALL, given["series"].T[:, None], strict=True))))[0]
    assert last["week"] == pytest.approx(0.5 * np.log(variance[-5:].mean()))
    # Forty days from a Monday end on a Friday.
    days = [last[name] for name in ("monday", "tuesday", "wednesday", "thursday", "friday")]
    assert days == [0, 0, 0, 0, 1]


def test_the_variance_is_that_of_a_walk() -> None:
    """Of a walk in small steps, estimates from ranges are right on average."""
    draw = np.random.default_rng(0)
    steps = draw.normal(0, 0.02 / np.sqrt(2000), (1500, 2000))
    path = np.cumsum(steps.reshape(-1)).reshape(1500, 2000)
    before = np.concatenate([[0.0], path[:-1, -1]])
    given = {
        "open": np.exp(before),
        "high": np.exp(np.maximum(path.max(1), before)),
        "low": np.exp(np.minimum(path.min(1), before)),
        "close": np.exp(path[:, -1]),
    }
    for names in (("open", "high", "low", "close"), ("high", "low", "close"), ("close",)):
        found = np.asarray(row_variance({name: given[name][None] for name in names}))
        assert np.sqrt(found.mean()) == pytest.approx(0.02, rel=0.06)


def test_a_row_without_range_has_the_variance_of_its_return() -> None:
    close = np.array([[10.0, 11.0, 12.0]])
    found = np.asarray(row_variance(dict.fromkeys(("open", "high", "low", "close"), close)))
    assert found == pytest.approx(np.diff(np.log(close)) ** 2)
