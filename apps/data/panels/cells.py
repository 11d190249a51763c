"""The cells of a column: as texts, and whether they are numbers already."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

# What stands for a value that is not there, in lower case.
HOLES = (
    *("", "-", "--", "?", ".", "na", "n/a", "#n/a", "#na", "<na>", "nan", "nat", "null", "none"),
    *("nil", "missing", "\\n", "n.a.", "–", "—", "#value!", "#div/0!"),
)


def as_numbers(column: pandas.Series) -> np.ndarray | None:
    """The values of a column of Python or numpy numbers as float64; None for texts and dates."""
    import pandas

    dtype = column.dtype
    if pandas.api.types.is_numeric_dtype(dtype) and not pandas.api.types.is_complex_dtype(dtype):
        return column.to_numpy(np.float64, na_value=np.nan)
    if not pandas.api.types.is_object_dtype(dtype):
        return None
    if not any(isinstance(one, str | bytes | datetime.date) for one in column.dropna()):
        try:
            return pandas.to_numeric(column).to_numpy(np.float64, na_value=np.nan)
        except (TypeError, ValueError):
            return None
    return None


def as_texts(column: pandas.Series) -> Any:
    """The cells as an Arrow array of texts without white space around; a hole is empty."""
    import pandas
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = as_numbers(column)
    if numbers is not None:
        texts: Any = pa.array(map(_number_text, numbers), pa.large_string())
    elif isinstance(column.dtype, pandas.StringDtype):
        texts = pa.array(column, pa.large_string(), from_pandas=True)
    else:
        whole = column.astype(object).where(column.notna(), "")
        texts = pa.array([str(one) for one in whole], pa.large_string())
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return pc.fill_null(pc.utf8_trim_whitespace(texts), "")


def _number_text(value: float) -> str:
    if np.isnan(value):
        return ""
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def are_holes(texts: Any) -> np.ndarray:
    """Which texts stand for a missing value, `(rows,)` bool."""
    import pyarrow as pa
    import pyarrow.compute as pc

    holes = pa.array(HOLES, pa.large_string())
    return to_numpy(pc.is_in(pc.utf8_lower(texts), value_set=holes))


def to_numpy(array: Any) -> np.ndarray:
    """A writable numpy array of an Arrow array without missing values."""
    return np.array(array.to_numpy(zero_copy_only=False))
