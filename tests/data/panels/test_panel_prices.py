"""Tables of quotes: names, order, faults, splits, leaks."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas
import pytest
from panel_tables import SAID, Told

from apps.data.panels.leaks import check_leaks
from apps.data.panels.making import Reading
from apps.data.panels.prices import read_prices
from apps.data.panels.quote_names import quotes_of
from apps.data.panels.reversion import mean_reverting
from apps.data.panels.series import Channels, TimeSeries
from apps.data.panels.table import read_tables
from apps.errors import UserError


def read(
    source: object, known: Channels | None = None, **roles: str
) -> tuple[list[TimeSeries], Channels]:
    found: list[TimeSeries] = []
    for table in read_tables(source, roles) or []:
        series, known = read_prices(table, Reading(), known, SAID)
        found += series
    assert known is not None
    return found, known


def frame(days: int = 40, **columns: object) -> pandas.DataFrame:
    """Quotes of working days; columns given replace the made ones."""
    draw = np.random.default_rng(0)
    close = 100 * np.exp(np.cumsum(draw.normal(0, 0.01, days)))
    opened = close * np.exp(draw.normal(0, 0.003, days))
    made = {
        "Date": pandas.bdate_range("2020-01-01", periods=days).strftime("%Y-%m-%d"),
        "Open": opened,
        "High": np.maximum(opened, close) * 1.005,
        "Low": np.minimum(opened, close) * 0.995,
        "Close": close,
        "Volume": draw.integers(1000, 2000, days),
    }
    return pandas.DataFrame({**made, **columns})


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        (
            ["Date", "Open", "High", "Low", "Close", "Adj Close", "Volume"],
            {"adjusted": "Adj Close", "close": "Close", "volume": "Volume"},
        ),
        (
            ["Date", "Close/Last", "Volume", "Open", "High", "Low"],
            {"close": "Close/Last", "open": "Open"},
        ),
        (
            ["timestamp", "1. open", "4. close", "5. adjusted close", "6. volume"],
            {"open": "1. open", "close": "4. close", "adjusted": "5. adjusted close"},
        ),
        (
            ["Date", "Price", "Open", "High", "Low", "Vol.", "Change %"],
            {"close": "Price", "volume": "Vol."},
        ),
        (["DATE", "OPEN", "HIGH", "LOW", "CLOSE"], {"close": "CLOSE", "low": "LOW"}),
        (
            ["Datum", "Erster", "Hoch", "Tief", "Schlusskurs", "Stücke", "Volumen"],
            {"open": "Erster", "high": "Hoch", "low": "Tief", "close": "Schlusskurs"},
        ),
        (
            ["Date", "Ouverture", "Plus Haut", "Plus Bas", "Clôture", "Volume"],
            {"open": "Ouverture", "high": "Plus Haut", "low": "Plus Bas", "close": "Clôture"},
        ),
        (
            ["Fecha", "Último", "Apertura", "Máximo", "Mínimo", "Vol."],
            {"close": "Último", "open": "Apertura", "high": "Máximo", "low": "Mínimo"},
        ),
        (
            ["Date", "SPY.Open", "SPY.Close", "SPY.Adjusted"],
            {"close": "SPY.Close", "adjusted": "SPY.Adjusted"},
        ),
        (["t", "o", "h", "l", "c", "v"], {"open": "o", "high": "h", "close": "c", "volume": "v"}),
    ],
)
def test_quotes_are_known_by_usual_names(columns: list[str], wanted: dict[str, str]) -> None:
    found = quotes_of(columns)
    assert {kind: found.get(kind) for kind in wanted} == wanted


def test_rows_are_used_as_they_come(tmp_path: Path, told: Told) -> None:
    rows = frame().drop([5, 6, 20])
    path = tmp_path / "quotes.csv"
    rows.iloc[::-1].to_csv(path, index=False)
    (one,), known = read(str(path))
    assert known.targets == ("open", "high", "low", "close", "volume")
    assert len(one.times) == 37
    assert (one.lines > 0).all()
    assert np.allclose(one.targets[:, 3], rows["Close"])
    assert "close is 'Close'" in told.text


def test_signs_suffixes_and_empty_fields(tmp_path: Path) -> None:
    days = frame(60)
    prices = [f"${value:,.2f}" for value in 30 * days["Close"]]
    volume = [f"{value / 1000:.2f}M" for value in days["Volume"]]
    volume[7] = "-"
    prices[9] = ""
    written = pandas.DataFrame({"Date": days["Date"], "Price": prices, "Vol.": volume})
    path = tmp_path / "quotes.csv"
    written.to_csv(path, index=False)
    (one,), known = read(str(path))
    assert known.targets == ("close", "volume")
    assert len(one.times) == 59
    assert one.targets[0, 0] == pytest.approx(30 * days["Close"][0], abs=0.01)
    assert one.targets[7, 1] == one.targets[6, 1]
    assert one.targets[0, 1] == pytest.approx(1000 * days["Volume"][0], rel=0.01)
    assert "row 10: rows without a close are left out, 1 in all" in SAID.text


def test_adjusted_close_scales_the_others() -> None:
    days = frame()
    factor = np.where(np.arange(40) < 20, 0.5, 1.0)
    days["Adj Close"] = days["Close"] * factor
    (one,), known = read(days)
    assert "adjusted" not in known.targets
    assert np.allclose(one.targets[:, 0], days["Open"] * factor)
    assert np.allclose(one.targets[:, 3], days["Adj Close"])


def test_a_price_that_is_not_positive_is_refused() -> None:
    days = frame()
    days.loc[12, "Close"] = -3.0
    with pytest.raises(UserError, match=r"row 13: the close is -3"):
        read(days)


def test_an_open_of_zero_is_not_known(told: Told) -> None:
    days = frame()
    days.loc[3, "Open"] = 0.0
    (one,), _ = read(days)
    assert one.targets[3, 0] == pytest.approx(days["Close"][3])
    assert "row 4: the open is 0" in told.text


def test_contradictions_are_named(told: Told) -> None:
    days = frame()
    days.loc[[4, 8], "High"] = days["Low"] * 0.9
    (one,), _ = read(days)
    assert "row 5: open, high, low and close contradict one another, in 2 rows" in told.text
    assert (one.targets[:, 1] >= one.targets[:, 3]).all()


def test_a_split_is_named_and_left(told: Told) -> None:
    days = frame(60)
    for name in ("Open", "High", "Low", "Close"):
        days.loc[30:, name] = days.loc[30:, name] / 2
    (one,), _ = read(days)
    assert re.search(r"row 31: the price is 0\.\d+ times that of the row before", told.text)
    assert one.targets[30, 3] == pytest.approx(days["Close"][30])


def test_a_day_of_great_range_is_no_split(told: Told) -> None:
    days = frame(60)
    days.loc[30, "High"] = 2.2 * days["Close"][30]
    for name in ("High", "Close"):
        days.loc[31:, name] = 2 * days.loc[31:, name]
    days.loc[31:, ["Open", "Low"]] = 2 * days.loc[31:, ["Open", "Low"]]
    read(days)
    assert "split" not in told.text


def test_several_tickers() -> None:
    both = pandas.concat([frame().assign(Ticker="A"), frame().assign(Ticker="B")])
    found, known = read(both.reset_index(drop=True))
    assert [one.name for one in found] == ["A", "B"]
    assert known.id == ("Ticker",)


def test_a_column_for_each_price(told: Told) -> None:
    days = frame()
    wide = pandas.DataFrame(
        {"Date": days["Date"], "EURUSD": days["Close"], "GBPUSD": 2 * days["Close"]}
    )
    found, known = read(wide)
    assert [one.name for one in found] == ["EURUSD", "GBPUSD"]
    assert known.targets == ("close",)
    assert "each column is the price of one" in told.text


def test_no_close_is_refused() -> None:
    with pytest.raises(UserError, match=r"no column of closing prices.*--columns target=NAME"):
        read(pandas.DataFrame({"Date": frame()["Date"], "note": ["x"] * 40}))


def test_the_close_may_be_named() -> None:
    days = frame().rename(columns={"Close": "Fixing"})
    (one,), _ = read(days, target="Fixing")
    assert np.allclose(one.targets[:, 3], days["Fixing"])


def test_a_model_asks_for_its_quotes_again() -> None:
    _, known = read(frame())
    (one,), _ = read(frame().rename(columns={"Close": "Last", "Volume": "Vol."}), known)
    assert np.allclose(one.targets[:, 3], frame()["Close"])
    with pytest.raises(UserError, match="no column of the open, which the model reads"):
        read(frame().drop(columns="Open"), known)


def leaking(ahead: int, noise: float) -> tuple[TimeSeries, Channels]:
    days = frame(300)
    returns = np.diff(np.log(days["Close"]), append=np.nan)
    spoilt = np.roll(np.nan_to_num(returns), -(ahead - 1))
    days["signal"] = spoilt + np.random.default_rng(1).normal(0, noise, 300)
    (one,), known = read(days, past="signal")
    quotes = np.concatenate([one.targets, one.past], 1)
    had = np.diff(np.log(one.targets[:, 3:4]), axis=0, prepend=np.nan)
    fields = {**vars(one), "past": quotes, "targets": had, "observed": np.isfinite(had)}
    return TimeSeries(**fields), known


@pytest.mark.parametrize("ahead", [1, 3])
def test_a_covariate_that_knows_the_future_is_named(ahead: int) -> None:
    one, known = leaking(ahead, 0.003)
    with pytest.raises(UserError, match="the covariate 'signal' knows the future"):
        check_leaks([one], known, 1)


def test_a_covariate_that_knows_today_is_none() -> None:
    one, known = leaking(0, 0.0)
    check_leaks([one], known, 1)


def test_levels_that_return_to_a_mean() -> None:
    draw = np.random.default_rng(0)
    walk = np.cumsum(draw.normal(size=2000))
    back = np.zeros(2000)
    for row in range(1, 2000):
        back[row] = 0.95 * back[row - 1] + draw.normal()
    assert mean_reverting(back)
    assert not mean_reverting(walk)
    assert not mean_reverting(np.zeros(2000))
