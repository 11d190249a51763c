"""The search space: the application's Config as KerasTuner's hyperparameters, and back.

Names, bounds, scales and defaults are those of the Config; there is no second list of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras_tuner

from apps.configuration import ApplicationConfig, Range
from apps.errors import UserError, nearest

# Trials are compared on the same rows, by the same metric, after the same schedule.
_NOT_SEARCHED = ("epochs", "validation_fraction", "accumulation_steps", "objective")


@dataclass(frozen=True)
class Dimension:
    """One searched hyperparameter: `choices`, or a range of whole or other numbers.

    Attributes:
        key: its name in the Config.
        default: where a search begins.
        low, high: inclusive bounds.
        whole: whether the numbers are whole.
        log: whether it is sampled on a logarithmic scale.
        choices: the values, in place of bounds.
        per, when: as in `apps.configuration.Range`.
    """

    key: str
    default: Any
    low: float | None = None
    high: float | None = None
    whole: bool = False
    log: bool = False
    choices: tuple[Any, ...] | None = None
    per: str | None = None
    when: tuple[str, int] | None = None

    def __str__(self) -> str:
        if self.choices is not None:
            return ",".join(map(str, self.choices))
        return f"{self.low:g}:{self.high:g}{':log' if self.log else ''}"

    @property
    def most(self) -> int:
        """The largest value of a hyperparameter that counts others."""
        return int(max(self.choices) if self.choices is not None else self.high or 0)

    def points(self) -> tuple[Any, ...]:
        """The values of a grid: all choices, or both ends, middle and default of a range."""
        if self.choices is not None:
            return self.choices
        low, high = self.low or 0.0, self.high or 0.0
        middle = (low * high) ** 0.5 if self.log else (low + high) / 2
        values = {low, middle, high, self.default}
        return tuple(sorted({round(v) if self.whole else v for v in values}))


class Space:
    """What a search varies, and how a point of it becomes the Config of a trial.

    Args:
        kind: the application's Config.
        fixed: hyperparameters that are given, as texts or values.
        ranges: hyperparameters whose range is given, as `low:high`, `low:high:log` or `a,b,c`.

    Raises:
        UserError: an unknown name, a value out of bounds, no range, or nothing to search.
    """

    def __init__(
        self,
        kind: type[ApplicationConfig],
        fixed: Mapping[str, Any] | None = None,
        ranges: Mapping[str, Any] | None = None,
    ) -> None:
        self._kind = kind
        fixed = dict(fixed or {})
        ranges = {key: written(value) for key, value in (ranges or {}).items()}
        for key in fixed.keys() & ranges.keys():
            raise UserError(f"{key}: given with --fix and with --space; leave one of them out")
        self.dimensions = tuple(self._dimensions(fixed, ranges))
        self.fixed = self._read(fixed)
        if not any(self._places(dimension) for dimension in self.dimensions):
            raise UserError("every hyperparameter is fixed: leave a --fix out, or use train")

    def _dimensions(self, fixed: Mapping[str, Any], ranges: Mapping[str, str]) -> Iterable[Any]:
        known = self._kind.ranges()
        for key in (*fixed, *ranges):
            if key not in known:
                raise UserError(f"unknown setting '{key}'{nearest(key, known)}")
        for key in ranges:
            if key in _NOT_SEARCHED:
                raise UserError(f"--space {key}: has to be the same in all trials; use --fix {key}")
        if "objective" in fixed:
            raise UserError("--fix objective: use --objective METRIC")
        defaults = self._kind.defaults()
        # KerasTuner knows conditions only on hyperparameters that it has seen, so that those which
        # count others or switch them on come first.
        order = sorted(known, key=lambda key: bool(known[key].per or known[key].when))
        for key in order:
            if key in ranges:
                yield _given(self._kind, key, known[key], ranges[key], defaults[key])
            elif known[key].searched and key not in fixed:
                yield _own(key, known[key], defaults[key])

    def _read(self, fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Given values as their types; one value per layer needs a fixed depth."""
        searched = {dimension.key for dimension in self.dimensions}
        known = self._kind.ranges()
        for key, value in fixed.items():
            several = not isinstance(value, str) and isinstance(value, Sequence)
            several = several or (isinstance(value, str) and "," in value)
            if known[key].per in searched and several:
                raise UserError(
                    f"--fix {key}={value}: gives several values while {known[key].per} is "
                    f"searched; fix {known[key].per} too, or give one value"
                )
        config = self._kind.from_values(fixed)
        return {key: getattr(config, key) for key in fixed}

    def described(self) -> dict[str, str]:
        """Each dimension as `--space` writes it."""
        return {dimension.key: str(dimension) for dimension in self.dimensions}

    def grid_points(self) -> int:
        """How many points a grid has at most."""
        sizes = [len(d.points()) ** len(self._places(d)) for d in self.dimensions]
        return math.prod(sizes)

    def hyperparameters(self, *, grid: bool = False) -> keras_tuner.HyperParameters:
        """The space as KerasTuner's, with conditional hyperparameters below their conditions.

        Args:
            grid: take a few points of each range in place of the range.
        """
        space = keras_tuner.HyperParameters()
        by_key = {dimension.key: dimension for dimension in self.dimensions}
        for dimension in self.dimensions:
            for name, parent, least in self._places(dimension):
                if parent is None:
                    _register(space, name, dimension, grid)
                    continue
                switches = [v for v in _values(by_key[parent], grid) if v >= least]
                if switches:
                    with space.conditional_scope(parent, switches):
                        _register(space, name, dimension, grid)
        return space

    def settings(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Complete Config values of a point of the space.

        Args:
            values: KerasTuner's values by name; inactive ones are ignored, or left out.
        """
        return self._kind.from_values({**self.fixed, **self._searched(values)}).to_dict()

    def shown(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The active hyperparameters of a point, searched or given, as the Config has them."""
        settings = self.settings(values)
        known = self._kind.ranges()
        keys = [d.key for d in self.dimensions] + list(self.fixed)
        return {
            key: settings[key] for key in known if key in keys and _active(known[key], settings)
        }

    def _searched(self, values: Mapping[str, Any]) -> dict[str, Any]:
        counts = {d.key: values[d.key] for d in self.dimensions if d.key in values}
        found = {}
        for dimension in self.dimensions:
            if dimension.per is None:
                if dimension.key in values:
                    found[dimension.key] = values[dimension.key]
                continue
            count = counts.get(dimension.per, self._constant(dimension.per))
            names = [_numbered(dimension.key, i) for i in range(int(count))]
            widths = tuple(values[name] for name in names)
            found[dimension.key] = widths[0] if len(widths) == 1 else widths
        return found

    def _places(self, dimension: Dimension) -> list[tuple[str, str | None, int]]:
        """KerasTuner's names of a dimension, each with its parent and the parent's least value."""
        by_key = {d.key: d for d in self.dimensions}
        if dimension.per is not None:
            parent = by_key.get(dimension.per)
            most = parent.most if parent else int(self._constant(dimension.per))
            return [
                (_numbered(dimension.key, i), dimension.per if parent else None, i + 1)
                for i in range(most)
            ]
        if dimension.when is not None:
            name, least = dimension.when
            if name in by_key:
                return [(dimension.key, name, least)]
            if self._constant(name) < least:
                return []
        return [(dimension.key, None, 0)]

    def _constant(self, key: str) -> Any:
        config = self._kind.from_values({key: self.fixed[key]} if key in self.fixed else {})
        return getattr(config, key)


def written(values: Any) -> str:
    """A range as `--space` writes it, from such a text or from a list of values."""
    if isinstance(values, (list, tuple, set, frozenset)):
        return ",".join(map(str, values))
    return str(values)


def _numbered(key: str, index: int) -> str:
    return f"{key}_{index + 1}"


def _active(extent: Range, settings: Mapping[str, Any]) -> bool:
    return extent.when is None or settings[extent.when[0]] >= extent.when[1]


def _values(dimension: Dimension, grid: bool) -> tuple[Any, ...]:
    """All values of a whole-numbered dimension."""
    if grid or dimension.choices is not None:
        return dimension.points()
    return tuple(range(int(dimension.low or 0), int(dimension.high or 0) + 1))


def _register(
    space: keras_tuner.HyperParameters, name: str, dimension: Dimension, grid: bool
) -> None:
    if grid or dimension.choices is not None:
        space.Choice(name, list(dimension.points()), default=dimension.default)
        return
    sampling = "log" if dimension.log else "linear"
    if dimension.whole:
        low, high = int(dimension.low or 0), int(dimension.high or 0)
        space.Int(name, low, high, sampling=sampling, default=dimension.default)
    else:
        space.Float(
            name, dimension.low, dimension.high, sampling=sampling, default=dimension.default
        )


def _own(key: str, extent: Range, default: Any) -> Dimension:
    """The dimension that the Config describes."""
    if extent.choices is not None:
        return Dimension(key, default, choices=extent.choices, per=extent.per, when=extent.when)
    low, high = extent.span or (extent.low, extent.high)
    whole = isinstance(default, int)
    return Dimension(key, default, low, high, whole, extent.log, per=extent.per, when=extent.when)


def _given(
    kind: type[ApplicationConfig], key: str, extent: Range, text: str, default: Any
) -> Dimension:
    """The dimension that `--space` describes; a default outside it moves to its nearest end."""
    about = f"--space {key}={text}"
    per, when = extent.per, extent.when

    def value(part: str) -> Any:
        try:
            # One width at a time is checked here, whatever the depth.
            one = getattr(kind.from_values({key: part.strip()}), key)
        except UserError as error:
            raise UserError(f"{about}: {error}") from None
        if one is None or isinstance(one, tuple):
            raise UserError(f"{about}: write low:high, low:high:log, or values as a,b,c")
        return one

    if ":" not in text:
        choices = tuple(dict.fromkeys(value(part) for part in text.split(",")))
        if len(choices) < 2:
            raise UserError(f"{about}: one value is no range; use --fix {key}={text}")
        first = default if default in choices else choices[0]
        return Dimension(key, first, choices=choices, per=per, when=when)
    low_text, high_text, *rest = text.split(":")
    if rest not in ([], ["log"]):
        raise UserError(f"{about}: write low:high, low:high:log, or values as a,b,c")
    low, high = value(low_text), value(high_text)
    if any(isinstance(end, (bool, str)) for end in (low, high)):
        raise UserError(f"{about}: not a number; give its values as a,b,c")
    if low >= high:
        raise UserError(f"{about}: the low end must lie below the high one")
    if rest and low <= 0:
        raise UserError(f"{about}: a logarithmic scale begins above 0")
    whole = isinstance(low, int)
    inside = min(max(default, low), high) if isinstance(default, (int, float)) else low
    return Dimension(key, inside, low, high, whole, bool(rest), per=per, when=when)
