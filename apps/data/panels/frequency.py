"""Rows put onto the steps that a user asks for."""

from __future__ import annotations

import numpy as np

from apps.data.panels.ordering import Rows
from apps.data.panels.series import Step
from apps.errors import UserError


def resampled(rows: Rows, alias: str, dated: bool, source: str) -> tuple[Rows, Step]:
    """Rows on regular steps, each the mean of those that fall into it.

    Args:
        rows: in order.
        alias: of pandas.
        dated: whether times are dates.
        source: for messages.

    Returns:
        The rows, those of steps without any left out, and the step.

    Raises:
        UserError: there is no such step, or times are no dates.
    """
    import pandas

    if not dated:
        raise UserError(f"{source} has no dates; frequency={alias} needs them")
    try:
        offset = pandas.tseries.frequencies.to_offset(alias)
        if offset is None:
            raise ValueError
    except (ValueError, TypeError):
        raise UserError(
            f"frequency={alias} is no step; write it like h, 15min, D, B, W-SUN, MS"
        ) from None
    stamps = (rows.times * 1000).round().astype(np.int64).astype("datetime64[ms]")
    keys = [rows.codes, pandas.Grouper(key="time", freq=offset)]
    blocks, lines = {}, None
    for role, array in rows.values.items():
        frame = pandas.DataFrame(array)
        frame["time"] = stamps
        frame["line"] = rows.lines
        groups = frame.groupby(keys, sort=True)
        lines = groups["line"].max()
        blocks[role] = groups[list(range(array.shape[1]))].mean().to_numpy(np.float64)
        blocks[role] = blocks[role].reshape(len(lines), array.shape[1])
    assert lines is not None
    codes = lines.index.get_level_values(0).to_numpy(np.int64)
    times = lines.index.get_level_values(1).to_numpy("datetime64[ms]").astype(np.int64) / 1000
    begin = pandas.Timestamp(2021, 1, 1) + offset
    span = (begin + 12 * offset - begin).total_seconds() / 12
    alias = offset.freqstr
    size = 86_400.0 if alias == "B" else span
    return Rows(codes, times, lines.to_numpy(np.int64), blocks), Step(alias, size, True, True)
