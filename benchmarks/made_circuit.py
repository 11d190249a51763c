"""A made water circuit: short series of related sensors, each with one lasting fault."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas
from scipy.signal import lfilter

SERIES, ROWS, NORMAL = 10, 1150, 400
_CHANNELS = (
    *("vibration 1", "vibration 2", "current", "pressure"),
    *("temperature", "coolant", "voltage", "flow"),
)
_LEVEL = np.array([0.03, 0.04, 1.0, 0.4, 70.0, 25.0, 230.0, 32.0])
_BETWEEN = np.array([0.003, 0.004, 0.3, 0.1, 3.0, 2.0, 3.0, 2.0])
_WITHIN = np.array([0.001, 0.001, 0.15, 0.12, 0.4, 0.05, 6.0, 0.8])
_DRIFT = np.array([0.0, 0.0, 0.0, 0.0, 0.01, 0.004, 0.0, 0.0])
_MEMORY = 0.5


def write_circuit(folder: Path, seed: int) -> None:
    """Write a CSV a series, one row a second, with the column `anomaly`.

    In each, two or three sensors leave their level by 1.5 to 5 deviations about row 570, within 30
    rows, and come back 250 to 380 rows later.

    Args:
        folder: is made.
        seed: of everything.
    """
    draw = np.random.default_rng([seed, 7])
    folder.mkdir()
    rows = np.arange(ROWS)
    for number in range(SERIES):
        noise = lfilter([1.0], [1.0, -_MEMORY], draw.normal(size=(ROWS, 8)), axis=0)
        noise *= np.sqrt(1 - _MEMORY**2)
        values = _LEVEL + _BETWEEN * draw.normal(size=8) + _WITHIN * noise
        values += _DRIFT * np.cumsum(draw.normal(size=(ROWS, 8)), 0)
        start = 570 + int(draw.integers(-30, 30))
        end = start + int(draw.integers(250, 380))
        height = np.clip((rows - start) / 30, 0, 1) * np.clip((end + 20 - rows) / 20, 0, 1)
        for channel in draw.choice(8, draw.integers(2, 4), replace=False):
            size = draw.choice([-1, 1]) * draw.uniform(1.5, 5.0)
            values[:, channel] += height * size * _WITHIN[channel]
        times = pandas.date_range("2024-03-09 12:00", periods=ROWS, freq="s")
        table = pandas.DataFrame(values, columns=list(_CHANNELS))
        table.insert(0, "time", times)
        table["anomaly"] = ((rows >= start) & (rows < end)).astype(int)
        table.to_csv(folder / f"circuit {number}.csv", index=False)
