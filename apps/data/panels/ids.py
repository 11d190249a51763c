"""Which columns of a long table say to which series a row belongs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from apps.data.panels import naming
from apps.data.panels.cells import as_numbers, as_texts
from apps.data.panels.numerals import read_numerals
from apps.data.panels.roles import series_codes
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas

_NAMES = {naming.plain(name): rank for rank, name in enumerate(naming.IDS)}
# Share of rows whose time is there once more in their series, as in summer time's last hour.
_FEW = 0.01
# So many rows each has of the values of a column of numbers that may be an id.
_MANY = 4
# More columns are not tried together.
_MOST = 5


def find_ids(
    frame: pandas.DataFrame,
    times: np.ndarray,
    others: Sequence[str],
    source: str,
    say: Callable[[str], None],
) -> tuple[str, ...]:
    """The columns that tell series apart.

    Args:
        frame: the table.
        times: `(rows,)`.
        others: columns without a role.
        source: for messages.
        say: takes a line for the user.

    Returns:
        Their names, () where the table is one series.

    Raises:
        UserError: several columns may be meant.
    """
    called = sorted((n for n in others if naming.plain(n) in _NAMES), key=_rank)
    if not clash(frame, times, ()):
        alone = [n for n in called if _is_text(frame[n]) and _few_values(frame[n])]
        if alone:
            say(f"{source}: '{alone[0]}' names the series")
        return tuple(alone[:1])
    for count in range(1, min(len(called), 3) + 1):
        for some in combinations(called, count):
            if not clash(frame, times, some):
                together = " and ".join(f"'{name}'" for name in some)
                say(f"{source}: {together} name{'s' * (count == 1)} the series, as times repeat")
                return some
    if len(np.unique(times)) > 0.9 * len(times):
        return ()
    texts = [n for n in others if _is_text(frame[n]) and _few_values(frame[n])]
    fit = [name for name in texts if not clash(frame, times, (name,))]
    if len(fit) == 1:
        say(f"{source}: '{fit[0]}' names the series, as times repeat")
        return (fit[0],)
    if not fit:
        few = [*texts, *(n for n in others if n not in texts and _few_numbers(frame[n]))][:_MOST]
        for count in range(1, len(few) + 1):
            for some in combinations(few, count):
                if not clash(frame, times, some):
                    together = " together" if count > 1 else ""
                    raise UserError(
                        f"{source}: times repeat, and {naming.listed(some)}{together} may name the "
                        f"series; say so: --columns id={'+'.join(some)}"
                    )
        return ()
    raise UserError(
        f"{source}: times repeat, and {naming.listed(fit)} could each name the series; "
        f"say which: --columns id={fit[0]}"
    )


def clash(frame: pandas.DataFrame, times: np.ndarray, columns: Sequence[str]) -> bool:
    """Whether rows of one series and one time differ, more than a few of them."""
    codes, _ = series_codes(frame, columns)
    order = np.lexsort((times, codes))
    same = (np.diff(times[order]) == 0) & (np.diff(codes[order]) == 0)
    if same.sum() <= _FEW * len(times):
        return False
    again = frame.iloc[order[np.flatnonzero(same)[:1000]]]
    before = frame.iloc[order[np.flatnonzero(same)[:1000] + 1]]
    equal = (_as_cells(again) == _as_cells(before)).all(axis=1)
    return bool((~equal).mean() > _FEW)


def _as_cells(frame: pandas.DataFrame) -> np.ndarray:
    return np.stack([np.array(as_texts(frame[name]).to_pylist()) for name in frame], axis=1)


def _rank(name: str) -> int:
    return _NAMES[naming.plain(name)]


def _is_text(column: pandas.Series) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if as_numbers(column) is not None:
        return False
    try:
        pc.cast(as_texts(column.iloc[:1000]), pa.float64())
    except pa.ArrowInvalid:
        return True
    return False


def _few_numbers(column: pandas.Series) -> bool:
    """Whether a column has whole numbers, each of them in many rows."""
    values = read_numerals({"": column}, "", ".")[""].values
    known = values[np.isfinite(values)]
    if len(known) < len(values) or (known % 1).any():
        return False
    return len(np.unique(known)) * _MANY <= len(known)


def _few_values(column: pandas.Series) -> bool:
    return bool(column.nunique() * 2 <= len(column))
