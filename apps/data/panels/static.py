"""Features of a series that do not change in it."""

from __future__ import annotations

import numpy as np

from apps.data.panels.ordering import Rows
from apps.errors import UserError


def static_features(
    rows: Rows, names: list[str], channels: tuple[str, ...], source: str
) -> np.ndarray:
    """The one value that each series has of each feature.

    Args:
        rows: in the order of series.
        names: of the series.
        channels: names of the features.
        source: for messages.

    Returns:
        `(series, features)` float64, in the order of the rows.

    Raises:
        UserError: a series has two values, or none.
    """
    starts, values = rows.starts, rows.values["static"]
    if not channels:
        return np.zeros((len(starts), 0))
    there = ~np.isnan(values)
    least = np.minimum.reduceat(np.where(there, values, np.inf), starts, axis=0)
    most = np.maximum.reduceat(np.where(there, values, -np.inf), starts, axis=0)
    for at, channel in zip(*np.nonzero(least != most), strict=True):
        name = names[int(rows.codes[starts[at]])]
        series = f" of the series '{name}'" if name else ""
        stop = starts[at + 1] if at + 1 < len(starts) else len(rows)
        piece = values[starts[at] : stop, channel]
        given = np.flatnonzero(~np.isnan(piece))
        column = channels[channel].partition("=")[0]
        if not len(given):
            raise UserError(
                f"{source}: the static feature '{column}'{series} is empty; "
                "fill it in in one row at least"
            )
        other = given[np.argmax(piece[given] != piece[given[0]])]
        both = sorted(int(rows.lines[starts[at] + row]) for row in (given[0], other))
        raise UserError(
            f"{source} rows {both[0]} and {both[1]}: the static feature '{column}'{series} "
            f"differs; make it equal, or a covariate: --columns past={column}"
        )
    return least
