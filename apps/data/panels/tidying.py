"""A frame without the rows and columns that hold nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from apps.data.panels.cells import are_holes, as_texts
from apps.data.panels.naming import counted
from apps.errors import UserError

if TYPE_CHECKING:
    import pandas


def tidy(frame: pandas.DataFrame, source: str, say: Callable[[str], None]) -> pandas.DataFrame:
    """The frame without rows and nameless columns that are empty.

    Raises:
        UserError: nothing is left, or two columns have one name.
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise UserError(f"{source}: the column '{twice[0]}' is there twice; rename one of them")
    if not len(frame) or not len(frame.columns):
        raise UserError(f"{source} has no rows; give at least two")
    if len(frame.columns) == 1:
        return frame
    blank = np.ones(len(frame), bool)
    nameless = []
    for name in frame.columns:
        holes = are_holes(as_texts(frame[name])) if frame[name].dtype.kind in "OU" else None
        if holes is None:
            holes = frame[name].isna().to_numpy()
        blank &= holes
        if holes.all() and (not name or name.startswith(("column ", "Unnamed"))):
            nameless.append(name)
    if nameless:
        frame = frame.drop(columns=nameless)
    if blank.any():
        first = int(np.argmax(blank)) + 1
        count = counted(int(blank.sum()), "empty row")
        say(f"{source}: {count} passed over, the first is row {first}")
        frame = frame.loc[~blank]
        if not len(frame):
            raise UserError(f"{source} has no rows but empty ones; give at least two")
    return frame
