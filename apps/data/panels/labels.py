"""Labels of anomalies: a column of them, or windows of time in a file of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from apps.data.columns import quoted
from apps.data.panels.cells import are_holes, as_texts, to_numpy
from apps.data.panels.clock import read_times
from apps.data.panels.dates import Parts, form_of
from apps.data.panels.label_windows import Window, number_of, windows_of_file
from apps.data.panels.matching import Match, match
from apps.data.panels.naming import counted
from apps.data.panels.ordering import localised, shown
from apps.data.panels.series import DAY
from apps.errors import UserError, nearest

if TYPE_CHECKING:
    import pandas

_LABELS = ("label", "labels", "is_anomaly", "anomaly", "anomalous")
_NORMAL = frozenset("0 false no n normal".split())
_ANOMALY = frozenset("1 true yes y anomaly anomalous abnormal attack fault".split())


def label_column(columns: Iterable[str]) -> str | None:
    """The column that is called as labels are, None where there is none.

    Raises:
        UserError: there are several.
    """
    found = [name for name in columns if name.strip().casefold() in _LABELS]
    if len(found) > 1:
        raise UserError(
            f"the columns {quoted(found)} may each be the labels; say which: "
            f"--columns label={found[0]}"
        )
    return found[0] if found else None


def labels_of_column(
    frame: pandas.DataFrame, name: str, source: str, place: Callable[[int], str]
) -> np.ndarray:
    """Read a column of labels.

    Args:
        frame: the table.
        name: of the column.
        source: for messages.
        place: row to where it stands.

    Returns:
        `(rows,)` int8: 1 in an anomaly, 0 outside, -1 where the cell is empty.

    Raises:
        UserError: a cell says neither; names the row and what it holds.
    """
    coded = as_texts(frame[name]).dictionary_encode()
    codes, holes = to_numpy(coded.indices), are_holes(coded.dictionary)
    found = np.full(len(holes), -1, np.int8)
    for code, text in enumerate(coded.dictionary.to_pylist()):
        said = _truth(text)
        if said is not None:
            found[code] = said
        elif not holes[code]:
            rows = codes == code
            raise UserError(
                f"{place(int(np.argmax(rows)))}: the label '{name}' is '{text[:40]}' "
                f"({int(rows.sum())} of {counted(len(rows), 'row')} in {source}); write 1 for an "
                "anomaly, 0 for none, and nothing where it is not known"
            )
    return found[codes]


def _truth(text: str) -> int | None:
    word = text.casefold()
    if word in _NORMAL or word in _ANOMALY:
        return int(word in _ANOMALY)
    number = number_of(word)
    return int(number) if number in (0.0, 1.0) else None


def read_windows(path: str | Path) -> Windows:
    """Read windows of anomalies.

    Args:
        path: JSON `{"file.csv": [[start, end], …]}`, `[[start, end], …]` for a single series, or
            objects or a table with columns for start, end and, where there are several, series.

    Raises:
        UserError: the file is neither, or a window lacks a bound, has one that is no time, or ends
            before it starts; names the file, the row or key, and the remedy.
    """
    path = Path(path).expanduser()
    return Windows(str(path), windows_of_file(path))


@dataclass(frozen=True, eq=False)
class Windows:
    """The windows of a file.

    Attributes:
        path: of the file.
        windows: name of a series or of its file to its windows; the key "" is of the only series.
        placed: windows in which there are rows, with name and source of the series.
    """

    path: str
    windows: Mapping[str, Sequence[Window]]
    placed: set[tuple[Window, str, str]] = field(default_factory=set)

    def match(self, name: str, source: str) -> Match | None:
        """The key whose windows are of a series; None where none is."""
        if "" in self.windows:
            return Match(True, 0, True, True, "")
        return match(name, source, self.windows, self.path)

    def of(
        self,
        name: str,
        source: str,
        times: np.ndarray,
        dated: bool,
        zone: str,
        order: str,
        lines: np.ndarray,
    ) -> np.ndarray:
        """Which rows of a series lie in a window.

        A window between two rows is that of the later one. An end without a clock is a whole day.

        Args:
            name, source: of the series.
            times: `(rows,)`, rising.
            dated: whether they are dates.
            zone: of their clock, "" where times stay as they are.
            order: of day and month.
            lines: `(rows,)` number of the row in the source from 1, 0 where it was filled in.

        Returns:
            `(rows,)` bool.

        Raises:
            UserError: a bound cannot be read, lies before the other, or a window outside the rows.
        """
        inside = np.zeros(len(times), bool)
        found = self.match(name, source)
        if found is None or not len(times):
            return inside
        # Days of a place stay days, as in the series.
        zone = zone if (times % DAY).any() else ""
        windows = self.windows[found.key]
        span = f"{shown(float(times[0]), dated)} to {shown(float(times[-1]), dated)}"
        pieces = [(one, _rows_of(one, lines)) for one in windows if one.of_rows]
        timed = [one for one in windows if not one.of_rows]
        pieces += zip(timed, _rows_in(timed, times, dated, zone, order), strict=True)
        for window, rows in pieces:
            if len(rows):
                inside[rows] = True
                self.placed.add((window, name, source))
            elif found.named or not _one_of_many(name, source):
                raise _outside(window, f"{source}, from {span}")
        return inside

    def joined(self, name: str, source: str, inside: np.ndarray) -> int:
        """How many windows of a series are part of another, as they overlap or touch it.

        Args:
            name, source: of the series.
            inside: what `of` gave.
        """
        found = self.match(name, source)
        if found is None:
            return 0
        runs = int((np.diff(inside.astype(np.int8), prepend=0) == 1).sum())
        windows = self.windows[found.key]
        return sum((window, name, source) in self.placed for window in windows) - runs

    def unused(self, seen: Sequence[tuple[str, str]]) -> str:
        """Tell of keys that are of no series, after `of` of all series.

        Args:
            seen: name and source of each series.

        Returns:
            A line for the user, "" where there is nothing to tell.

        Raises:
            UserError: no key is of a series, one is of several files, windows without a name stand
                beside several series, or a window is outside all series of its file.
        """
        if "" in self.windows and len(seen) > 1:
            raise UserError(
                f"{self.path}: the windows have no names, the data have {len(seen)} series; name "
                f'them: {{"{seen[0][0] or Path(seen[0][1]).name}": [[start, end]]}}'
            )
        owners: dict[str, str] = {}
        bare: list[str] = []
        for name, source in seen:
            found = self.match(name, source)
            if found is None:
                bare.append(name or Path(source).name)
            elif owners.setdefault(found.key, source) != source and not found.named:
                raise UserError(
                    f"{self.path}: '{found.key}' fits both {owners[found.key]} and {source}; give "
                    "each a key of its own, with its folder, and [] where it has no window"
                )
        placed = {window for window, _, _ in self.placed}
        for key, source in owners.items():
            for window in self.windows[key]:
                if window not in placed:
                    raise _outside(window, f"all series of {source}")
        free = [key for key, windows in self.windows.items() if windows and key not in owners]
        if not free:
            return ""
        if not owners:
            raise UserError(
                f"{self.path}: '{free[0]}' is no series of the data, nor is another key"
                f"{_near(free[0], bare)}"
            )
        near = _near(free[0], bare)
        return (
            f"{self.path}: {len(free)} of {counted(len(self.windows), 'key')} are of no series "
            f"here, their windows are not used: {quoted(free, 4)}"
            + (near if "did you mean" in near else "")
        )


def _near(key: str, names: Sequence[str]) -> str:
    shown = nearest(Path(key).name, names) if names else ""
    if len(names) > 8 and "did you mean" not in shown:
        return f"; known: {quoted(names)}"
    return shown


def _one_of_many(name: str, source: str) -> bool:
    """Whether a series is one of a file, so that a window of that need not concern it."""
    stem = Path(source).as_posix().removesuffix(".gz").rpartition(".")[0]
    return bool(name) and not stem.endswith(name)


def _outside(window: Window, there: str) -> UserError:
    return UserError(
        f"{window.place}: the window from {window.start} to {window.end} lies outside {there}; "
        "correct it, or remove it"
    )


def _rows_of(window: Window, lines: np.ndarray) -> np.ndarray:
    """The rows of a window that counts rows."""
    first, last = (int(bound[1:]) for bound in (window.start, window.end))
    inside = (lines > first) & (lines <= last + 1)
    there = np.flatnonzero(lines)
    # A row that was filled in is of the window where both its neighbours are.
    after = np.searchsorted(there, np.arange(len(lines)))
    neighbours = there[np.maximum(after - 1, 0)], there[np.minimum(after, len(there) - 1)]
    inside |= (lines == 0) & inside[neighbours[0]] & inside[neighbours[1]]
    return np.flatnonzero(inside)


def _rows_in(
    windows: Sequence[Window], times: np.ndarray, dated: bool, zone: str, order: str
) -> list[np.ndarray]:
    """The rows of windows of time."""
    if not windows:
        return []
    texts = [text for window in windows for text in (window.start, window.end)]
    places = [window.place for window in windows for _ in range(2)]
    days = np.zeros(len(windows), bool)
    bounds = _dates(texts, places, zone, order, days) if dated else _numbers(texts, places)
    found = []
    for window, start, end, day in zip(windows, bounds[::2], bounds[1::2], days, strict=True):
        if end < start or (day and end == start):
            raise window.backwards()
        first = int(np.searchsorted(times, start))
        last = int(np.searchsorted(times, end, "left" if day else "right"))
        # One between two rows is that of the later.
        last = max(last, first + 1) if last and first < len(times) else first
        found.append(np.arange(first, last))
    return found


def _numbers(texts: Sequence[str], places: Sequence[str]) -> np.ndarray:
    found = [number_of(text) for text in texts]
    if None in found:
        at = found.index(None)
        raise UserError(
            f"{places[at]}: '{texts[at]}' is no number, and the data have no dates; give a number "
            "as their times are, or that of a row: '#100'"
        )
    return np.array(found, np.float64)


def _dates(
    texts: Sequence[str], places: Sequence[str], zone: str, order: str, days: np.ndarray
) -> np.ndarray:
    """Starts and ends in turn; `days` is set for each end that is a whole day, which is then the
    beginning of the next one."""
    import pyarrow as pa

    cells = pa.array(texts, pa.large_string())
    read = read_times(cells, places.__getitem__, "bound", order, order)
    if read is None or not read.dated:
        raise UserError(
            f"{places[0]}: '{texts[0]}' is no date; write it like 2020-01-31 or '2020-01-31 14:30',"
            " or name a row: '#100'"
        )
    values = read.values.copy()
    if "since 1970" not in read.note:
        form = form_of(cells)
        hours = None if form is None else Parts.of(cells, form).numbers.get("hour")
        days[:] = True if hours is None else hours[1::2] < 0
    values[1::2] += DAY * days
    if not zone or read.zoned:
        return values
    found = localised(values, zone, np.arange(len(values)) % 2 == 0)
    if (skipped := np.isnan(found)).any():
        at = int(np.argmax(skipped))
        raise UserError(f"{places[at]}: clocks in {zone} skip '{texts[at]}'; write another time")
    return found
