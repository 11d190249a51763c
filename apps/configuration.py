"""Hyperparameters: frozen dataclasses whose fields carry default, range and scale."""

from __future__ import annotations

import dataclasses
import math
import typing
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field
from typing import Any, Self

from apps.errors import UserError, nearest

_RANGE, _CHANGES = "range", "changes"
# What a stack may be made of, as `apps.layers.alternatives` has it.
STACKS = ("lstm", "gru", "rnn", "minlstm", "mlstm", "ssm", "transformer")


@dataclass(frozen=True)
class Range:
    """The values that a hyperparameter may take, and how a search samples them.

    Attributes:
        low, high: inclusive bounds of a number; None where there is none.
        log: whether a search samples on a logarithmic scale.
        choices: the admissible values, in place of bounds.
        searched: whether tuning varies it unless told otherwise.
        per: name of the integer hyperparameter that says how many of this one there are: a single
            value holds for all of them, a tuple gives each its own.
        span: the part of the bounds that a search covers; None for all of it.
        when: name of another hyperparameter and the least value at which this one has an effect.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] | None = None
    searched: bool = False
    per: str | None = None
    span: tuple[float, float] | None = None
    when: tuple[str, int] | None = None

    def check(self, key: str, value: Any) -> None:
        """Raise UserError unless the value, or each value of a tuple, lies in the range."""
        if isinstance(value, tuple):
            for one in value:
                self.check(key, one)
            return
        if self.choices is not None:
            if value not in self.choices:
                raise UserError(f"{key}={value}: choose one of {', '.join(map(str, self.choices))}")
            return
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{key}={value}: give a finite number")
        if self.low is not None and value < self.low:
            raise UserError(f"{key}={value}: must be at least {self.low:g}")
        if self.high is not None and value > self.high:
            raise UserError(f"{key}={value}: must be at most {self.high:g}")


def searched(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] | None = None,
    per: str | None = None,
    span: tuple[float, float] | None = None,
    when: tuple[str, int] | None = None,
) -> Any:
    """Dataclass field of a hyperparameter that tuning varies; arguments as in `Range`."""
    extent = Range(low, high, log, choices, searched=True, per=per, span=span, when=when)
    return field(default=default, metadata={_RANGE: extent})


def fixed(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[Any, ...] | None = None,
) -> Any:
    """Dataclass field of a hyperparameter that tuning leaves alone; arguments as in `Range`."""
    return field(default=default, metadata={_RANGE: Range(low, high, choices=choices)})


def changed(default: Any, **changes: Any) -> Any:
    """Dataclass field that changes the default of the base class's field of that name.

    Args:
        default: the default.
        **changes: attributes of the base class's `Range` to replace; all others stay.
    """
    return field(default=default, metadata={_CHANGES: changes})


@dataclass(frozen=True)
class Options:
    """Named values with defaults and ranges, read from Python or from the command line."""

    def __post_init__(self) -> None:
        for key, extent in self.ranges().items():
            value = getattr(self, key)
            if value is not None:
                extent.check(key, value)
            if isinstance(value, tuple) and len(value) != getattr(self, extent.per or ""):
                raise UserError(
                    f"{key}={_written(value)}: gives {len(value)} values, but {extent.per} is "
                    f"{getattr(self, extent.per or '')}; make them equal, or give one for all"
                )

    @classmethod
    def ranges(cls) -> dict[str, Range]:
        """The range of every hyperparameter, by name."""
        return {f.name: _range(cls, f.name) for f in dataclasses.fields(cls)}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """The default of every hyperparameter, by name."""
        return {f.name: f.default for f in dataclasses.fields(cls) if f.default is not MISSING}

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Self:
        """Config from a mapping of values, or of texts as the command line gives them.

        Args:
            values: hyperparameter names to values; a text is read as the field's type.

        Returns:
            The config, defaults where nothing was given.

        Raises:
            UserError: an unknown name (the nearest is suggested), a text that is not of the type,
                or a value out of range.
        """
        types = typing.get_type_hints(cls)
        read = {}
        for key, value in values.items():
            if key not in types:
                raise UserError(f"unknown setting '{key}'{nearest(key, types)}")
            read[key] = _read(key, value, types[key])
        return cls(**read)

    def to_dict(self) -> dict[str, Any]:
        """The values by name, ready for JSON."""
        values = dataclasses.asdict(self)
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


@dataclass(frozen=True)
class ApplicationConfig(Options):
    """Hyperparameters that every application has; subclasses add their own.

    `accumulation_steps` cuts each batch into that many pieces and adds up their gradients: the same
    steps with less memory. `objective` names the metric by which the best epoch is chosen; where it
    is empty, the application's own. Unless `epochs` is given, few rows are passed through as often
    as it takes for `updates` steps; unless `patience` is given, it covers a quarter of those.
    `averaging` is the momentum of a moving average of the weights, which is what is measured and
    kept; 0 keeps the weights of the last step of an epoch.
    """

    learning_rate: float = searched(1e-3, low=1e-5, high=1e-1, log=True, span=(3e-4, 1e-2))
    batch_size: int = searched(32, low=1, high=4096, log=True, span=(16, 128))
    epochs: int = fixed(12, low=1, high=100_000)
    patience: int = fixed(5, low=1, high=100_000)
    updates: int = fixed(500, low=1, high=10_000_000)
    averaging: float = fixed(0.0, low=0.0, high=0.99999)
    warmup: float = fixed(0.05, low=0.0, high=0.5)
    weight_decay: float = fixed(0.0, low=0.0, high=1.0)
    clip_norm: float = fixed(1.0, low=1e-6, high=1e6)
    validation_fraction: float = fixed(0.1, low=0.001, high=0.5)
    accumulation_steps: int = fixed(1, low=1, high=64)
    objective: str = fixed("")


@dataclass(frozen=True)
class StackConfig(ApplicationConfig):
    """Hyperparameters of every application whose model has a stack of LSTMs.

    `units` is the width of all layers, or one width for each. `layer_dropout` is applied between
    layers, `weight_dropout` to the LSTMs' recurrent kernels, `output_dropout` before the last
    layer. `chrono` is the longest range of dependencies in steps, for which the LSTMs' gates are
    set at the beginning. `stack` names what stands in the LSTMs' place, to compare them with it.
    """

    stack: str = fixed(STACKS[0], choices=STACKS)
    chrono: float | None = fixed(None, low=2.0, high=1e6)
    depth: int = searched(1, low=1, high=8, span=(1, 3))
    units: int | tuple[int, ...] = searched(
        128, low=1, high=4096, log=True, per="depth", span=(32, 256)
    )
    bidirectional: bool = searched(True, choices=(False, True))
    input_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6))
    layer_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6), when=("depth", 2))
    weight_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6))
    output_dropout: float = searched(0.4, low=0.0, high=0.9, span=(0.0, 0.7))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chrono and self.stack != "lstm":
            raise UserError(f"chrono={self.chrono:g}: is for LSTMs, not for stack={self.stack}")


def _range(kind: type[Options], name: str) -> Range:
    """The range of a field; that of a `changed` field is the inherited one with its changes."""
    owner = next(one for one in kind.__mro__ if name in vars(one).get("__annotations__", {}))
    metadata = vars(owner)["__dataclass_fields__"][name].metadata
    if _CHANGES not in metadata:
        return metadata.get(_RANGE, Range())
    rest = kind.__mro__[kind.__mro__.index(owner) + 1 :]
    base = next(one for one in rest if name in vars(one).get("__annotations__", {}))
    return dataclasses.replace(_range(base, name), **metadata[_CHANGES])


def _read(key: str, value: Any, kind: Any) -> Any:
    """One value as the field's type; texts are parsed, numbers widened."""
    options = typing.get_args(kind) or (kind,)
    if any(typing.get_origin(option) is tuple for option in options):
        return _one_or_several(key, value, options[0])
    if value is None or (isinstance(value, str) and value.lower() == "none"):
        if type(None) in options:
            return None
        raise UserError(f"{key}={value}: give {_article(options[0])}")
    target = next(option for option in options if option is not type(None))
    try:
        if target is bool:
            return _boolean(value)
        if isinstance(value, bool) or (target is int and not float(value).is_integer()):
            raise ValueError
        return target(value)
    except (ValueError, TypeError):
        raise UserError(f"{key}={value}: give {_article(target)}") from None


def _one_or_several(key: str, value: Any, kind: Any) -> Any:
    """A value, or a tuple of them from a sequence or a text such as `128,64`."""
    if isinstance(value, str):
        value = value.strip().strip("[]()").split(",")
    if not isinstance(value, (list, tuple)):
        return _read(key, value, kind)
    several = tuple(_read(key, one, kind) for one in value)
    return several[0] if len(several) == 1 else several


def _written(value: tuple[Any, ...]) -> str:
    return ",".join(map(str, value))


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


def _article(kind: type) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    return names.get(kind, kind.__name__)
