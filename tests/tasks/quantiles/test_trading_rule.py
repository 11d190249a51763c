"""Late copies are called out, and a rule pays its costs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.tasks.quantiles.trading import trading_sections
from apps.tasks.quantiles.trading_rule import backtest, late_copy


def walk(rows: int = 400) -> np.ndarray:
    return np.cumsum(np.random.default_rng(0).normal(0, 1, rows))


def test_yesterday_as_a_forecast_is_a_late_copy() -> None:
    price = walk()
    found = late_copy(price[:-1], price[1:])
    assert found is not None
    assert found.late
    assert found.before == pytest.approx(1.0)


def test_a_forecast_that_knows_something_is_none() -> None:
    price = walk()
    noise = np.random.default_rng(1).normal(0, 0.3, 399)
    found = late_copy(price[1:] + noise, price[1:])
    assert found is not None
    assert not found.late


def test_few_rows_say_nothing() -> None:
    assert late_copy(np.arange(10.0), np.arange(10.0)) is None


def test_the_rule_holds_what_rises_and_pays_each_change() -> None:
    median = np.array([0.02, 0.02, -0.02, 0.02])
    came = np.array([0.01, 0.03, -0.05, 0.02])
    cost = -np.log1p(-0.001)
    found = backtest(median, came, 0.001)
    assert found.trades == 4
    assert found.invested == 0.75
    assert np.log(found.rule[-1]) == pytest.approx(0.06 - 4 * cost)
    assert np.log(found.hold[-1]) == pytest.approx(0.01 - 2 * cost)


def test_small_hopes_are_not_traded_on() -> None:
    found = backtest(np.full(20, 0.0005), np.full(20, 0.01), 0.001)
    assert found.trades == 0
    assert found.rule == pytest.approx(np.ones(21))


def test_drawdown_is_measured_from_the_highest_value() -> None:
    found = backtest(np.ones(3), np.log([1.1, 0.8, 1.2]), 0.0)
    assert found.drawdown(found.hold) == pytest.approx([0, 0, -0.2, -0.04])


def rows(count: int = 200) -> list[dict[str, Any]]:
    draw = np.random.default_rng(2)
    came = draw.normal(0, 0.01, count)
    close = 100 * np.exp(np.cumsum(came) - came)
    return [
        {
            "series": "",
            "time": 86_400.0 * number,
            "close": float(close[number]),
            "median": 0.0001,
            "low": -0.013,
            "high": 0.013,
            "came": float(came[number]),
        }
        for number in range(count)
    ]


def test_the_report_says_that_it_is_a_copy_and_no_advice() -> None:
    sections = {one.title: one.html for one in trading_sections(rows(), "return", 1, 0.001)}
    assert "a copy that comes one row late" in sections["Is it a copy of yesterday?"]
    assert "This is no advice" in sections["A simple rule, with costs"]
    assert "buy-and-hold" in sections["A simple rule, with costs"]
    assert "<svg" in sections["Forecasts against what came"]


def test_an_index_is_said_to_be_one_that_nobody_can_hold() -> None:
    for index in (False, True):
        section = trading_sections(rows(), "return", 1, 0.001, index=index)[-1]
        assert ("Nobody could have held this" in section.html) == index


def test_volatility_is_not_traded() -> None:
    titles = [one.title for one in trading_sections(rows(), "volatility", 5, 0.001)]
    assert "A simple rule, with costs" not in titles


def test_the_order_of_rows_does_not_matter() -> None:
    forwards = trading_sections(rows(), "return", 5, 0.001)
    backwards = trading_sections(rows()[::-1], "return", 5, 0.001)
    assert [one.html for one in forwards] == [one.html for one in backwards]


def test_no_rows_no_sections() -> None:
    assert trading_sections([], "return", 1, 0.001) == []
