"""Series: rows of numbers in the order of time, cut into windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apps.components import Input
from apps.configuration import ApplicationConfig, fixed
from apps.data import Examples, LazyRows, Windows, split, split_by_time
from apps.data.kinds.group import group
from apps.data.kinds.number import number
from apps.data.kinds.time import time as time_column
from apps.errors import UserError

# Place of a row among those of its series: 1 more than the row before, unless time has a gap there.
_POSITION = "position"
# A step so many times longer than the usual one is a gap.
_GAP = 3.0


@dataclass(frozen=True)
class SeriesConfig(ApplicationConfig):
    """Hyperparameters of every application that takes series.

    A window has `context` rows, and the next one starts `stride` rows later.
    """

    context: int = fixed(128, low=1, high=100_000)
    stride: int = fixed(64, low=1, high=100_000)


class Series(Input):
    """Windows over one or many series, as `series` `(batch, context, channels)` float32.

    A unit is a window. Of the other columns, a label say, it has the value of its last row. Rows
    are put in the order of time; a window never reaches over a gap, or from one series into
    another. Training and validation are parted by `group` where the data has that column, else by
    time: validation gets the end of every series, and no window of one side touches one of the
    other.

    Args:
        channels: the numeric columns that a model sees.
        time: column of the time; the order of the rows counts where the data has none.
        of: column that says which series a row belongs to, such as a person or a machine; all rows
            are one series where the data has none.
    """

    config: SeriesConfig
    passed_over = "in stretches shorter than a window"

    def __init__(self, channels: Sequence[str], *, time: str = "time", of: str = "series") -> None:
        self.channels, self.time, self.of = tuple(channels), time, of
        self.columns = {name: number() for name in channels}
        self.attributes = {time: time_column(required=False), of: group()}

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Rows in the order of time, those of stretches that hold no window left out."""
        if _POSITION in examples:
            return examples
        usable = self._whole(self._ordered(examples))
        if not len(usable):
            raise self._too_short(examples)
        return usable

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        if "group" in examples:
            return split(examples, fraction, self.seed, stratify=stratify)
        sides: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
        for rows in self._series(examples):
            parts = split_by_time(len(rows), fraction, self.config.context)
            for side, part in zip(sides, parts, strict=True):
                side.append(rows[part])
        training, validation = (np.concatenate(side) for side in sides)
        kept = [self._whole(examples.select(side)) for side in (training, validation)]
        if not all(map(len, kept)):
            raise UserError(
                f"{examples.source}: {len(examples)} rows are too few to hold back "
                f"{fraction:.0%} of each series and a gap of {self.config.context} rows; give "
                "longer series, name a file of its own with --validation FILE, or set "
                "context=ROWS"
            )
        return kept[0], kept[1]

    def units(self, examples: Examples) -> Examples:
        ordered = examples if _POSITION in examples else self._ordered(examples)
        stretches = self._stretches(ordered)
        values = np.stack([np.asarray(ordered[name], np.float32) for name in self.channels], 1)
        config = self.config
        windows = Windows([values[s] for s in stretches], config.context, 0, config.stride)
        if not len(windows):
            raise self._too_short(examples)
        first = np.array([stretches[number][start] for number, start in windows.places], np.int64)
        last = first + config.context - 1
        rest = {
            name: [column[row] for row in last]
            for name, column in ordered.columns.items()
            if name not in (*self.channels, _POSITION)
        }
        columns = {**rest, "series": [windows[i] for i in range(len(windows))]}
        columns["block"] = windows.blocks.tolist()
        places = [
            f"{ordered.places[a]} to {ordered.places[b].removeprefix(ordered.source).strip()}"
            for a, b in zip(first, last, strict=True)
        ]
        return Examples(columns, places, ordered.source)

    def tensors(self, examples: Examples) -> dict[str, Any]:
        shape = (self.config.context, len(self.channels))
        rows = examples["series"]
        return {"series": LazyRows(rows.__getitem__, len(rows), np.dtype(np.float32), shape)}

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        shape = (self.config.context, len(self.channels))
        return {"series": keras.Input(shape, dtype="float32", name="series")}

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        return {"series": np.stack(examples["series"]).astype(np.float32)}

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Nothing but zeros, a constant, and a jump."""
        flat = np.zeros((self.config.context, len(self.channels)), np.float32)
        jump = flat.copy()
        jump[self.config.context // 2 :] = 10.0
        return {"series": np.stack([flat, flat - 10.0, jump])}

    def metadata(self) -> dict[str, Any]:
        return {"channels": list(self.channels), "context": self.config.context}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": place} for place in examples.places]

    def _ordered(self, examples: Examples) -> Examples:
        """Rows series by series in the order of time, with their positions."""
        rows, number = len(examples), np.zeros(len(examples), np.int64)
        if self.of in examples:
            names = {name: i for i, name in enumerate(dict.fromkeys(examples[self.of]))}
            number = np.array([names[name] for name in examples[self.of]], np.int64)
        moments = np.arange(rows, dtype=np.float64)
        if self.time in examples:
            moments = np.asarray(examples[self.time], np.float64)
        order = np.lexsort((moments, number))
        steps, same = np.diff(moments[order]), np.diff(number[order]) == 0
        for row in np.flatnonzero(same & (steps == 0)):
            raise UserError(
                f"{examples.places[order[row + 1]]}: has the same {self.time} as "
                f"{examples.places[order[row]]}; remove one of them, or say which series each "
                f"belongs to: --columns {self.of}=NAME"
            )
        usual = np.median(steps[same]) if same.any() else 1.0
        breaks = ~same | (steps > _GAP * usual)
        position = np.arange(rows) + np.concatenate([[0], np.cumsum(breaks)])[:rows]
        chosen = examples.select(order)
        columns = {**chosen.columns, _POSITION: position.tolist()}
        return Examples(columns, chosen.places, chosen.source)

    def _whole(self, examples: Examples) -> Examples:
        """The rows of stretches that hold a window."""
        stretches = self._stretches(examples) if len(examples) else []
        whole = [stretch for stretch in stretches if len(stretch) >= self.config.context]
        return examples.select(np.concatenate([np.arange(0), *whole]))

    def _series(self, examples: Examples) -> list[np.ndarray]:
        """Numbers of the rows of each series."""
        if self.of not in examples:
            return [np.arange(len(examples))]
        names = np.asarray(examples[self.of], object)
        return [np.flatnonzero(names == name) for name in dict.fromkeys(names)]

    def _stretches(self, examples: Examples) -> list[np.ndarray]:
        """Numbers of rows that follow one another without a gap."""
        breaks = np.diff(np.asarray(examples[_POSITION], np.int64)) != 1
        return np.split(np.arange(len(examples)), np.flatnonzero(breaks) + 1)

    def _too_short(self, examples: Examples) -> UserError:
        return UserError(
            f"{examples.source}: no stretch without a gap has the {self.config.context} rows of a "
            "window; give longer series, or set context=ROWS when you train"
        )
