"""Sensors: rows of numbers that come one after the other, each to be judged by those before it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np

from apps import environment
from apps.configuration import changed, fixed
from apps.data import Column, Examples
from apps.data.kinds.panel import role
from apps.data.panels import naming
from apps.data.panels.labels import Windows, label_column, labels_of_column, read_windows
from apps.data.panels.making import Reading, series_of
from apps.data.panels.series import Channels, Step, TimeSeries
from apps.data.panels.steps import alike
from apps.data.panels.stretches import LABELS, STOP, UNKNOWN, divided, lazy, pieces, values
from apps.data.panels.table import Table
from apps.data.panels.windows import CHANNELS, SERIES, START
from apps.errors import UserError, nearest
from apps.following import Chunk
from apps.inputs.history_field import telling
from apps.inputs.sensor_chunks import sensor_chunks
from apps.inputs.sensor_field import SensorField
from apps.inputs.sensor_rows import SensorOptions
from apps.inputs.series_tables import SeriesTables, SeriesTablesConfig
from apps.layers.channel_names import ChannelNames
from apps.page_field import WholeField
from apps.signatures import Signature

# Rows without which scales are hardly known before the series ends.
_FEWEST = 50
SHARED, EACH = "shared", "each"
_KIND = {True: "dates", False: "numbers"}


@dataclass(frozen=True)
class SensorsConfig(SeriesTablesConfig):
    """Hyperparameters of every application that follows sensors.

    Gradients flow through `window` rows; the state is carried on. A step of more than `gap` usual
    ones is a gap, after which the state starts anew. Holes stay holes, and of several rows of one
    time the first one counts. `scope` says whether all series have one model (`shared`) or each
    its own (`each`).
    """

    scope: str = fixed(SHARED, choices=(SHARED, EACH))
    window: int = fixed(256, low=8, high=100_000)
    gap: float = fixed(3.0, low=1.0, high=1e6)
    fill: str = changed("keep", choices=("keep",))
    duplicates: str = changed("first")


class Sensors(SeriesTables):
    """Rows of one or many sensors, in stretches without a gap.

    Tensors are `series` `(batch, rows, channels)` float64, NaN for holes, `lengths` `(batch,)`
    int32 and, where rows are dated, `time` `(batch, rows)` float64. A unit is a piece of a stretch,
    to be measured with the state that the one before it leaves behind; what is only asked about is
    a whole stretch. Training learns from the beginning of every series and validates on its end.
    """

    config: SensorsConfig
    passed_over = "in series of one row"
    for_one: ClassVar[Mapping[str, Any]] = {"scope": SHARED}
    stream_options = SensorOptions
    page_field: ClassVar[WholeField] = SensorField("about_sensors")
    aligned = ("time",)
    attributes: Mapping[str, Column] = {
        **{name: role() for name in ("time", "id", "target", "label")},
    }

    @property
    def names(self) -> ChannelNames:
        """The layer that knows the channels."""
        return self.adapted["channels"]

    @property
    def channels(self) -> Channels:
        """What the model learnt from."""
        return Channels.from_dict(self.names.channels)

    def walked(self, examples: Examples) -> tuple[Sequence[TimeSeries], int]:
        return self.check(examples, learning=True)[SERIES], _FEWEST

    @property
    def trains_each(self) -> bool:
        return self.config.scope == EACH

    def each(self, examples: Examples) -> dict[str, Examples]:
        found: dict[str, Examples] = {}
        for number, (one, name) in enumerate(
            zip(examples[SERIES], self.names_of(examples), strict=True)
        ):
            if name in found:
                raise UserError(
                    f"{one.place(0)}: a series '{name}' is there twice; give each a name of "
                    "its own, or name the column that tells them apart: --columns id=NAME"
                )
            found[name] = examples.select(np.array([number]))
        if short := [name for name in found if self._rows(found[name]) < _FEWEST]:
            raise UserError(
                f"{examples.source}: series '{short[0]}' has too few rows for a model of its own; "
                f"give at least {_FEWEST}, or one model for all: --set scope={SHARED}"
            )
        return found

    @staticmethod
    def _rows(examples: Examples) -> int:
        return len(examples[SERIES][0].times)

    def names_of(self, units: Examples) -> list[str]:
        # The only series of a file has the name of the file.
        return [one.name or Path(one.source).stem for one in units[SERIES]]

    def labelled(self, examples: Examples, labels: str | os.PathLike[str]) -> Examples:
        windows = read_windows(Path(labels))
        return Examples(
            {**examples.columns, LABELS: [windows] * len(examples)},
            examples.places,
            examples.source,
        )

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Series with the labels of their rows."""
        if CHANNELS in examples:
            return examples
        found = self._labelled_series(examples, None if learning else self.names)
        longest = max(len(one.times) for one in found[SERIES])
        if learning and longest < _FEWEST:
            raise UserError(
                f"{examples.source}: {naming.counted(longest, 'row')} in its longest series are "
                f"too few to learn from; give at least {_FEWEST}"
            )
        return found

    def _labelled_series(self, examples: Examples, known: ChannelNames | None) -> Examples:
        channels = Channels.from_dict(known.channels) if known else None
        series: list[TimeSeries] = []
        labels: list[np.ndarray] = []
        windows = examples[LABELS][0] if LABELS in examples else None
        steps = list(known.steps) if known else []
        for value in examples[SERIES]:
            if isinstance(value, TimeSeries):
                series.append(value)
                labels.append(np.full(len(value.times), UNKNOWN, np.int8))
                continue
            found, own, cells = self._read(value, channels)
            channels = channels or own
            if windows is not None and cells is not None:
                environment.say(
                    f"{value.source}: its column of labels is passed over; {windows.path} says"
                )
            if own.targets != channels.targets:
                raise UserError(
                    f"{value.source}: its channels are {', '.join(own.targets)}, those of the "
                    f"others {', '.join(channels.targets)}; give tables of the same channels, or "
                    "name them: --columns target=A+B"
                )
            if own.step.dated != channels.step.dated:
                raise UserError(
                    f"{value.source}: its times are {_KIND[own.step.dated]}, those of the others "
                    f"{_KIND[channels.step.dated]}; write all in one way, or name the column: "
                    "--columns time=NAME"
                )
            self._check_step(value.source, own, steps, known is not None)
            series += found
            labels += [self._labels_of(one, value, own, cells, windows) for one in found]
        if channels is None:
            raise UserError(
                f"{examples.source}: series without the names of their channels; give a table"
            )
        if windows is not None:
            told = windows.unused([(one.name, one.source) for one in series])
            if told:
                environment.say(told)
        columns: dict[str, Any] = {
            SERIES: series,
            CHANNELS: [{**channels.to_dict(), "steps": steps}] * len(series),
            LABELS: labels,
        }
        return Examples(columns, [one.place(0) for one in series], examples.source)

    def _read(
        self, table: Table, known: Channels | None
    ) -> tuple[list[TimeSeries], Channels, np.ndarray | None]:
        """Series of a table, their channels, and the cells of its column of labels."""
        roles = dict(table.roles)
        column = _label_of(table, roles.pop("label", None))
        cells = None
        if column is not None:
            index = table.frame.index.to_numpy()
            found = labels_of_column(
                table.frame,
                column,
                table.source,
                lambda row: f"{table.source} row {index[row] + 1}",
            )
            # By the number of the row in the source.
            cells = np.full(int(index.max(initial=-1)) + 2, UNKNOWN, np.int8)
            cells[index + 1] = found
            table = replace(table, frame=table.frame.drop(columns=[column]), roles=roles)
        series, own = series_of(table, self._reading, known, environment.say)
        return series, replace(own, step=series[0].step), cells

    @property
    def _reading(self) -> Reading:
        return replace(super()._reading, complete=False, any_step=True)

    def _check_step(
        self, source: str, own: Channels, steps: list[dict[str, Any]], learnt: bool
    ) -> None:
        """Note a step that was not there, or refuse it where a model has learnt others."""
        if any(alike(own.step, Step(**one)) for one in steps):
            return
        if learnt:
            known = ", ".join(str(Step(**one)) for one in steps)
            raise UserError(
                f"{source} has {own.step}, the data that were learnt from {known}; bring it to "
                "those steps: --set frequency=STEP when you train, or resample the table"
            )
        steps.append(dataclasses.asdict(own.step))

    def _labels_of(
        self,
        one: TimeSeries,
        table: Table,
        channels: Channels,
        cells: np.ndarray | None,
        windows: Windows | None,
    ) -> np.ndarray:
        if windows is not None:
            config = self.config
            inside = windows.of(
                one.name,
                one.source,
                one.times,
                channels.step.dated,
                config.timezone,
                config.date_order or channels.date_order,
                one.lines,
            )
            return inside.astype(np.int8)
        if cells is None:
            return np.full(len(one.times), UNKNOWN, np.int8)
        if self.config.frequency:
            raise UserError(
                f"{table.source}: rows that are put onto steps (frequency={self.config.frequency}) "
                "have no label of their own; give windows: --labels FILE"
            )
        return cells[one.lines]

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        """The beginning of every series to learn from, and its end to choose by."""
        return divided(examples, fraction)

    def units(self, examples: Examples) -> Examples:
        if START in examples:
            return examples
        return pieces(examples, self.config.gap, self.config.window)

    def asked(self, examples: Examples, metadata: Mapping[str, Any]) -> Examples:
        """Whole stretches."""
        channels = metadata["channels"]
        known = ChannelNames(
            {name: value for name, value in channels.items() if name != "steps"}, channels["steps"]
        )
        found = examples if CHANNELS in examples else self._labelled_series(examples, known)
        units = pieces(found, metadata["gap"], None)
        if len(units) > len(found):
            environment.say(
                f"{examples.source}: gaps divide {len(found)} series "
                f"into {len(units)} stretches, each of which has an answer of its own"
            )
        return units

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        channels = dict(examples[CHANNELS][0])
        steps = channels.pop("steps")
        return {"channels": ChannelNames(channels, steps, name="channels")}

    def tensors(self, examples: Examples) -> dict[str, Any]:
        shape = (len(self.channels.targets),)
        found: dict[str, Any] = {SERIES: lazy(examples, values, np.float64, shape)}
        # Of what is only asked about, each is a stream.
        found["begins"] = np.ones(len(examples), bool)
        if self.channels.step.dated:
            found["time"] = lazy(
                examples, lambda one, start, stop: one.times[start:stop], np.float64, ()
            )
        return found

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        shape = (None, len(self.channels.targets))
        found = {SERIES: keras.Input(shape, dtype="float64", name=SERIES)}
        if self.channels.step.dated:
            found["time"] = keras.Input((None,), dtype="float64", name="time")
        return found

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return self.names(raw)

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        pieces = [
            (one, int(start), int(stop))
            for one, start, stop in zip(
                examples[SERIES], examples[START], examples[STOP], strict=True
            )
        ]
        size = max(stop - start for _, start, stop in pieces)
        width = len(metadata["channels"]["targets"])
        found = {SERIES: np.full((len(pieces), size, width), np.nan)}
        if metadata["channels"]["step"]["dated"]:
            found["time"] = np.zeros((len(pieces), size))
        for row, (one, start, stop) in enumerate(pieces):
            found[SERIES][row, : stop - start] = values(one, start, stop)
            if "time" in found:
                found["time"][row, : stop - start] = one.times[start:stop]
        return found

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Nothing but holes, zeros, a large constant, and a jump."""
        rows = 70
        cases = np.zeros((4, rows, len(self.channels.targets)))
        cases[0] = np.nan
        cases[2] = 1e12
        cases[3, rows // 2 :] = 10.0
        found = {SERIES: cases}
        if self.channels.step.dated:
            found["time"] = np.tile(np.arange(rows) * self.channels.step.size, (4, 1))
        return found

    def metadata(self) -> dict[str, Any]:
        config = self.config
        return {
            "channels": {**self.names.channels, "steps": self.names.steps},
            "gap": config.gap,
            "timezone": config.timezone,
            "date_order": config.date_order or self.names.channels["date_order"],
            "decimal": config.decimal or self.names.channels["decimal"],
        }

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        about = {"config": self.config.to_dict(), "seed": self.seed, **self.metadata()}
        return telling(self.page_field, about)

    def chunks(self, source: Any, metadata: Mapping[str, Any], options: Any) -> Iterable[Chunk]:
        return sensor_chunks(source, metadata, options)

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": place} for place in examples.places]


def _label_of(table: Table, named: str | None) -> str | None:
    """The column of labels, the named one or that called so; None where there is none."""
    columns = list(table.frame.columns)
    if named is not None:
        found = naming.alike(named, columns)
        if found is None:
            raise UserError(
                f"{table.source} has no column '{named}' for the label{nearest(named, columns)}"
            )
        return found
    try:
        return label_column(columns)
    except UserError as error:
        raise UserError(f"{table.source}: {error}") from None
