"""From a table to series: roles, times, order, holes and limits, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from apps.data.panels import bounds, naming
from apps.data.panels.assembling import Assembly
from apps.data.panels.cells import are_holes, as_texts
from apps.data.panels.clock import Times
from apps.data.panels.finding_time import TimeColumns
from apps.data.panels.frequency import resampled
from apps.data.panels.holes import with_missing_rows
from apps.data.panels.ids import find_ids
from apps.data.panels.ordering import Rows, in_utc, ordered, shown, without_repeats
from apps.data.panels.roles import COVARIATES, Roles, Values, series_codes, sources
from apps.data.panels.series import DAY, Channels, Step, TimeSeries
from apps.data.panels.static import static_features
from apps.data.panels.steps import alike, find_step, fits
from apps.data.panels.table import Table
from apps.data.panels.tidying import tidy
from apps.errors import UserError


@dataclass(frozen=True)
class Reading:
    """How tables are read where it is not left to be found out.

    Attributes:
        timezone: whose clock times without a zone show; "" leaves them as they are.
        date_order: "dmy", "mdy" or "ymd".
        decimal: "." or ",".
        frequency: alias of pandas; rows are put onto its steps by their mean.
        fill: holes get the `last` value, the `seasonal` one, `zero`, are refused: `refuse`, or are
            holes to whoever asks what was observed: `keep`.
        duplicates: rows of one time are refused (`refuse`), or the `first`, the `last`, their
            `mean` or `sum` counts.
        season: rows of a season.
        complete: whether rows that are missing between others are put in; else rows are used as
            they come.
        any_step: whether rows may follow one another in other steps than those that were learnt
            from, which the caller then compares.
    """

    timezone: str = ""
    date_order: str = ""
    decimal: str = ""
    frequency: str = ""
    fill: str = "last"
    duplicates: str = "refuse"
    season: int = 0
    complete: bool = True
    any_step: bool = False


def series_of(
    table: Table, reading: Reading, known: Channels | None, say: Callable[[str], None]
) -> tuple[list[TimeSeries], Channels]:
    """The series of a table.

    Args:
        table: as it was read.
        reading: what the user decides.
        known: the channels of a model; None where they are to be found.
        say: takes a line for the user.

    Returns:
        The series in the order in which they come, and their channels.

    Raises:
        UserError: names the row or the column at fault, and the remedy.
    """
    return _Making(table, reading, known, say).made()


class _Making:
    def __init__(
        self, table: Table, reading: Reading, known: Channels | None, say: Callable[[str], None]
    ) -> None:
        self.table, self.reading, self.known, self.say = table, reading, known, say
        self.source = table.source
        self.frame = tidy(table.frame, self.source, say)
        self.lines = self.frame.index.to_numpy(np.int64) + 1
        self.taken = naming.resolved(dict(table.roles), list(self.frame.columns), self.source)

    def made(self) -> tuple[list[TimeSeries], Channels]:
        time, times = self._time()
        used = {*time, *(name for names in self.taken.values() for name in names)}
        ids = self._ids(times, [name for name in self.frame.columns if name not in used])
        used |= set(ids)
        roles = Roles(
            self.frame,
            self.source,
            self._place,
            {role: names for role, names in self.taken.items() if role not in ("time", "id")},
            self.known,
            self.say,
            self.reading.decimal,
            (self.known.decimal if self.known is not None else "")
            or ("," if self.table.separator == ";" else "."),
            self.table.bare,
        )
        values = roles.read([name for name in self.frame.columns if name not in used])
        for name in ids:
            if (holes := are_holes(as_texts(self.frame[name]))).any():
                raise UserError(
                    f"{self._place(int(np.argmax(holes)))}: '{name}', which names the series, is "
                    f"empty ({naming.counted(int(holes.sum()), 'row')}); fill it in, or remove the "
                    "row"
                )
        codes, names = series_codes(self.frame, ids)
        if not ids:
            names = [self.table.name]
        rows = self._rows(codes, names, times, time, values)
        static = static_features(rows, names, values["static"].names, self.source)
        rows, step = self._stepped(rows, times)
        named = {role: block.names for role, block in values.items()}
        reading = self.reading
        limits = bounds.Limits.read(
            self.table.since,
            self.table.until,
            times.dated,
            self._zone(times),
            reading.date_order or times.order,
        )
        assembly = Assembly(rows, names, named, static, step, self.source, self.say)
        series = assembly.series(reading.fill, reading.season, limits)
        self._say_what(time, times, rows, step, len(series))
        return series, self._channels(named, time, times, ids, roles, step)

    def _channels(
        self,
        named: dict[str, tuple[str, ...]],
        time: list[str],
        times: Times,
        ids: tuple[str, ...],
        roles: Roles,
        step: Step,
    ) -> Channels:
        if self.known is not None:
            return self.known
        return Channels(
            targets=named["target"],
            past=named["past"],
            future=named["future"],
            static=named["static"],
            time="+".join(time),
            id=ids,
            categories=roles.categories,
            step=step,
            date_order=times.order,
            decimal=roles.found_decimal,
        )

    def _place(self, row: int) -> str:
        return f"{self.source} row {self.lines[row]}"

    def _time(self) -> tuple[list[str], Times]:
        """The columns of the time, and what they hold."""
        known, columns = self.known, list(self.frame.columns)
        finder = TimeColumns(
            self.frame,
            self.source,
            self._place,
            self.reading.date_order,
            known.date_order if known is not None else "",
        )
        if "time" in self.taken:
            return self.taken["time"], finder.named(self.taken["time"])
        if known is not None and known.time:
            parts = [naming.alike(part, columns) for part in (known.time, *known.time.split("+"))]
            before = [parts[0]] if parts[0] else parts[1:]
            if all(before):
                names = [name for name in before if name]
                return names, finder.named(names)
        used = {name for names in self.taken.values() for name in names}
        if known is not None:
            roles = ("targets", "past", "future", "static")
            used |= {n for r in roles for n in sources(getattr(known, r), known.categories)}
        free = [name for name in columns if name not in used]
        found = None if self.table.bare else finder.find(free)
        if found is not None:
            return found
        rows = np.arange(len(self.frame), dtype=np.float64)
        if known is not None and known.time:
            if not self.table.bare:
                raise UserError(
                    f"{self.source} has no time; its columns are {naming.listed(columns)}; "
                    f"say which one holds what was '{known.time}': --columns time=NAME"
                )
            self.say(f"{self.source}: numbers without times follow one another by {known.step}")
            return [], Times(rows * known.step.size, known.step.dated)
        self.say(f"{self.source}: no column of times; rows are steps")
        return [], Times(rows, False)

    def _ids(self, times: Times, others: list[str]) -> tuple[str, ...]:
        if "id" in self.taken:
            return tuple(self.taken["id"])
        known = self.known
        if known is not None and known.id:
            found = [naming.alike(name, list(self.frame.columns)) for name in known.id]
            if all(found):
                return tuple(name for name in found if name)
        if self.table.bare:
            return ()
        if known is not None:
            used = {n for r in ("targets", *COVARIATES) for n in getattr(known, r, ())}
            others = [name for name in others if name not in used and name not in known.categories]
        return find_ids(self.frame, times.values, others, self.source, self.say)

    def _rows(
        self,
        codes: np.ndarray,
        names: list[str],
        times: Times,
        time: list[str],
        values: dict[str, Values],
    ) -> Rows:
        """Rows in the order of series and time, one for each time."""
        blocks = {role: block.values for role, block in values.items()}
        if not time:
            # Without times each series counts its own rows.
            order = np.argsort(codes, kind="stable")
            rank = np.empty(len(codes))
            starts = np.flatnonzero(np.concatenate([[True], np.diff(codes[order]) != 0]))
            sizes = np.diff(np.append(starts, len(codes)))
            rank[order] = np.arange(len(codes)) - np.repeat(starts, sizes)
            size = self.known.step.size if self.known is not None else 1.0
            return Rows(codes, rank * size, self.lines, blocks).take(order)
        rows = Rows(codes, times.values, self.lines, blocks)
        if zone := self._zone(times):
            utc = in_utc(rows, zone, self.source, "+".join(time))
            rows = replace(rows, times=utc)
        rows = ordered(rows, self.source, times.dated, self.say)
        how = self.reading.duplicates
        if self.reading.frequency and how == "refuse":
            how = "mean"
        return without_repeats(rows, self.frame, names, self.source, times.dated, how, self.say)

    def _zone(self, times: Times) -> str:
        """The place on whose clock times are; "" where they have zones, or are days."""
        if times.zoned or not times.dated or not (times.values % DAY).any():
            return ""
        return self.reading.timezone

    def _stepped(self, rows: Rows, times: Times) -> tuple[Rows, Step]:
        """The rows with those that are missing, and the step from one to the next."""
        known = self.known.step if self.known is not None else None
        if self.reading.any_step:
            known = None
        if self.reading.frequency:
            rows, step = resampled(rows, self.reading.frequency, times.dated, self.source)
        elif (
            known is not None
            and known.dated == times.dated
            and (not known.regular or fits(known, rows.times, rows.inner))
        ):
            step = known
        else:
            found = find_step(rows.times, rows.inner, times.dated)
            step = found or known or Step("", 1.0, times.dated, False)
        if known is not None and not alike(step, known):
            raise UserError(
                f"{self.source} has {step}, the data that were learnt from {known}; bring it to "
                "those steps" + (f": --set frequency={known.alias}" if known.alias else "")
            )
        if not self.reading.complete:
            return rows, step
        if not step.regular and len(rows) > 1:
            self.say(
                f"{self.source}: rows follow one another in no regular step, so that each counts "
                "as one; --set frequency=h, say, puts them onto hours"
            )
        return with_missing_rows(rows, step, self.source, self.say), step

    def _say_what(self, time: list[str], times: Times, rows: Rows, step: Step, count: int) -> None:
        if not time:
            return
        first, last = (
            shown(float(one), times.dated) for one in (rows.times.min(), rows.times.max())
        )
        note = f" ({times.note})" if times.note else ""
        series = f" in {count} series" if count > 1 else ""
        self.say(
            f"{self.source}: the time is '{'+'.join(time)}'{note}, from {first} to {last}, {step}, "
            f"{naming.counted(len(rows), 'row')}{series}"
        )
