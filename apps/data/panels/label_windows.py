"""Files of windows: from when until when a series is not as it should be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.data.columns import quoted
from apps.data.files import check_decoded, open_text
from apps.data.panels.cells import HOLES
from apps.data.panels.dates import form_of
from apps.data.panels.delimited import read_delimited
from apps.data.panels.naming import plain
from apps.errors import UserError

# What the columns of windows are called, the plain word first.
_COLUMNS = {
    "start": "start begin from starttime begintime startdate starttimestamp onset".split(),
    "end": "end stop to until endtime stoptime enddate endtimestamp".split(),
    "series": (
        "series file filename path name id seriesid uniqueid sensor sensorid machine machineid "
        "device deviceid"
    ).split(),
}
_ROW = re.compile(r"#\s*(\d+)")
_PAIR = "write each window as [start, end], the end included"


@dataclass(frozen=True)
class Window:
    """A time of anomaly as it was written.

    Attributes:
        start, end: each a time, or "#100" for the row before which its source has 100 rows; the
            end is included.
        place: where it stands, ready for a message.
    """

    start: str
    end: str
    place: str

    @property
    def of_rows(self) -> bool:
        """Whether it counts rows."""
        return self.start.startswith("#")

    def backwards(self) -> UserError:
        """The error for an end before the start."""
        return UserError(
            f"{self.place}: the end {self.end} lies before the start {self.start}; swap them"
        )


def windows_of_file(path: Path) -> dict[str, list[Window]]:
    """Read windows of anomalies.

    Args:
        path: JSON `{"file.csv": [[start, end], …]}`, `[[start, end], …]` for a single series, or
            objects or a table with columns for start, end and, where there are several, series.

    Returns:
        Name of a series or of its file to its windows; the key "" is of a single series.

    Raises:
        UserError: the file is neither, or a window lacks a bound, has one that is no time, or ends
            before it starts; names the file, the row or key, and the remedy.
    """
    with open_text(path) as stream:
        content = stream.read().removeprefix("\ufeff")
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix == ".json" or content.lstrip()[:1] in ("{", "["):
        check_decoded(content, path, str(path))
        value = _parsed(content, path)
        if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
            names = list(dict.fromkeys(name for one in value for name in one))
            found = _of_rows(names, [[one.get(name) for name in names] for one in value], path)
        else:
            found = _of_keys(value, path)
    else:
        frame, _, _ = read_delimited(path)
        found = _of_rows(list(frame.columns), frame.to_numpy(object).tolist(), path)
    for windows in found.values():
        for window in windows:
            _check(window)
    return found


def number_of(text: str) -> float | None:
    """The number that a text is, None where it is none or not finite."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _parsed(content: str, path: Path) -> Any:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise UserError(f"{path}: the key '{twice}' is there twice; join what they hold")
        return dict(pairs)

    try:
        return json.loads(content, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON ({error}); correct it there") from None


def _of_keys(value: Any, path: Path) -> dict[str, list[Window]]:
    keyed = value if isinstance(value, dict) else {"": value}
    found: dict[str, list[Window]] = {}
    for key, windows in keyed.items():
        there = f"{path}, '{key}'" if isinstance(value, dict) else str(path)
        if isinstance(value, dict) and not key.strip():
            raise UserError(f"{path}: a key is empty; write the name of the series or of its file")
        if not isinstance(windows, list):
            raise UserError(f"{there}: {_shown(windows)} is no list of windows; {_PAIR}")
        found[key] = []
        for number, one in enumerate(windows, 1):
            place = f"{there} window {number}"
            if isinstance(one, dict):
                start, end, _ = _columns(list(one), place)
                one = [one[start], one[end]]
            if not isinstance(one, list) or len(one) != 2:
                raise UserError(f"{place}: {_shown(one)} has not two bounds; {_PAIR}")
            found[key].append(Window(_text(one[0], place), _text(one[1], place), place))
    return found


def _of_rows(
    columns: list[str], rows: Sequence[Sequence[Any]], path: Path
) -> dict[str, list[Window]]:
    names = _columns(columns, str(path))
    start, end, series = (columns.index(name) if name else -1 for name in names)
    keys = ["" if series < 0 or row[series] is None else str(row[series]).strip() for row in rows]
    found: dict[str, list[Window]] = {}
    for number, (key, row) in enumerate(zip(keys, rows, strict=True), 1):
        place = f"{path} row {number}"
        if not key and any(keys):
            raise UserError(f"{place}: '{names[2]}' is empty, elsewhere it is not; fill it in")
        window = Window(_text(row[start], place), _text(row[end], place), place)
        found.setdefault(key, []).append(window)
    return found


def _columns(columns: Sequence[str], where: str) -> tuple[str, str, str]:
    """The columns of start, end and series, the last "" where there is none."""
    found = []
    for what, known in _COLUMNS.items():
        named = [name for name in columns if plain(name) in known]
        if not named and what != "series":
            raise UserError(
                f"{where} has no '{what}' among {quoted(columns)}; windows have start, end and, "
                "where there are several series, series"
            )
        found.append(min(named, key=lambda name: known.index(plain(name)), default=""))
    return found[0], found[1], found[2]


def _text(bound: Any, place: str) -> str:
    if isinstance(bound, bool) or not isinstance(bound, str | int | float | None):
        raise UserError(f"{place}: {_shown(bound)} is no time; {_PAIR}")
    if isinstance(bound, float) and bound.is_integer():
        bound = int(bound)
    text = "" if bound is None else str(bound).strip()
    if text.casefold() in HOLES:
        raise UserError(f"{place} lacks a bound; {_PAIR}")
    row = _ROW.fullmatch(text)
    return f"#{row[1]}" if row else text


def _shown(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:60]


def _check(window: Window) -> None:
    """Refuse bounds that are wrong whatever the data are."""
    import pyarrow as pa

    bounds = (window.start, window.end)
    for text in bounds:
        if _ROW.fullmatch(text) or number_of(text) is not None:
            continue
        if form_of(pa.array([text], pa.large_string())) is None:
            raise UserError(
                f"{window.place}: '{text[:40]}' is no time; write it as the data do, like "
                "'2020-01-31 14:30', or name a row: '#100'"
            )
    if len({text.startswith("#") for text in bounds}) > 1:
        raise UserError(
            f"{window.place}: of {window.start} and {window.end} one is a row, the other is not; "
            "write both alike"
        )
    start, end = (number_of(text.removeprefix("#")) for text in bounds)
    if start is not None and end is not None and end < start:
        raise window.backwards()
