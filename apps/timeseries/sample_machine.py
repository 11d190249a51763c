"""A made machine, whose faults are known by kind and time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from apps import environment
from apps.data import Examples
from apps.data.panels.table import Table

KINDS = ("spike", "drift", "stuck", "period", "correlation")
_START = np.datetime64("2024-01-01T00:00")
_MINUTES, _DAY = 5, 288
# Rows of a working cycle, by how much one differs from the next, and by what a fault divides it.
_CYCLE, _UNSTEADY, _CHANGED = 24, 0.02, (0.55, 1.8)
# Load in percent: its level, its day, its cycle, and noise that fades from row to row.
_LEVEL, _DAILY, _WORK, _NOISE, _MEMORY = 50.0, 12.0, 14.0, 1.0, 0.7
# Share of the way that the temperature goes to where the load drives it in one row.
_INERTIA = 0.15
_AMBIENT, _WARMING, _COOL_NIGHT = 25.0, 0.5, 2.0
_VIBRATION, _SHAKING = 0.6, 0.025
_PRESSURE, _GIVING = 6.0, 0.012
# Standard deviations of what the sensors add, of the vibration as a share of it.
_SENSOR = {"temperature": 0.25, "vibration": 0.12, "pressure": 0.04}
# Rows of a fault that is no spike, rows between faults, and most faults of a kind.
_LENGTHS, _APART, _MOST = (60, 120), 100, 4
# Height of a spike and end of a drift, in standard deviations of the channel.
_SPIKE, _DRIFT = (2.0, 4.0), (2.0, 3.0)
# Rows in which a relation is lost and found again.
_LOSING = 6


class Fault(NamedTuple):
    """A fault: its kind, its first row from 0, and the row behind its last one."""

    kind: str
    start: int
    end: int


def sample_machine(seed: int, days: int = 21, faulty: bool = True) -> Examples:
    """A machine with a daily and a working cycle, the second half of which has faults.

    Its columns are `time`, `load`, `temperature`, which follows the load with inertia,
    `vibration`, `pressure`, `label`, 1 in a fault, and `fault`, its kind.

    Args:
        seed: of machine and faults; without faults the machine is the same.
        days: of a row each five minutes.
        faulty: whether there are faults.
    """
    import pandas

    rows = days * _DAY
    plan = _planned(np.random.default_rng([seed, 1]), rows) if faulty else []
    channels = _machine(seed, rows, plan)
    _break(np.random.default_rng([seed, 2]), channels, plan)
    kinds = np.full(rows, "", object)
    for kind, start, end in plan:
        kinds[start:end] = kind
    frame = pandas.DataFrame(
        {
            "time": (_START + _MINUTES * np.arange(rows)).astype("datetime64[ns]"),
            "load": channels["load"].round(2),
            "temperature": channels["temperature"].round(3),
            "vibration": channels["vibration"].round(4),
            "pressure": channels["pressure"].round(4),
            "label": (kinds != "").astype(int),
            "fault": kinds,
        }
    )
    counts = [f"{sum(one.kind == kind for one in plan)} {kind}" for kind in KINDS]
    told = f"after row {rows // 2} these faults: {', '.join(counts)}" if plan else "no fault"
    environment.say(f"made machine: {rows} rows of {_MINUTES} minutes, {told}")
    table = Table(frame, "made machine", {"time": "time"})
    return Examples({"series": [table]}, ["made machine"], "made machine")


def faults_of(examples: Examples) -> list[Fault]:
    """The faults of a made machine, in the order of time."""
    kinds = examples["series"][0].frame["fault"].to_numpy(str)
    bounds = np.flatnonzero(kinds[1:] != kinds[:-1]) + 1
    pieces = zip([0, *bounds], [*bounds, len(kinds)], strict=True)
    return [Fault(str(kinds[start]), int(start), int(end)) for start, end in pieces if kinds[start]]


def _planned(draw: np.random.Generator, rows: int) -> list[Fault]:
    """As many faults of each kind as the second half has room for, well apart."""
    first = rows // 2
    most = (len(KINDS) - 1) * _LENGTHS[1] + 1 + len(KINDS) * _APART
    kinds = draw.permutation(KINDS * min(_MOST, (rows - first) // most))
    lengths = np.where(kinds == "spike", 1, draw.integers(*_LENGTHS, len(kinds), endpoint=True))
    free = rows - first - int(lengths.sum()) - _APART * len(kinds)
    before = _APART + draw.multinomial(free, np.full(len(kinds) + 1, 1 / (len(kinds) + 1)))[:-1]
    starts = first + np.cumsum(before) + np.cumsum(lengths) - lengths
    return [
        Fault(str(kind), int(start), int(start + length))
        for kind, start, length in zip(kinds, starts, lengths, strict=True)
    ]


def _machine(seed: int, rows: int, plan: Sequence[Fault]) -> dict[str, np.ndarray]:
    """The channels, with the faults that lie in the machine rather than in its sensors."""
    draw = np.random.default_rng([seed, 0])
    speed = (1 + _UNSTEADY * draw.normal(size=rows)) / _CYCLE
    turns = np.random.default_rng([seed, 3])
    for kind, start, end in plan:
        if kind == "period":
            speed[start:end] /= turns.choice(_CHANGED)
    phase = draw.uniform() + np.cumsum(speed)
    load = _load(draw, phase)
    # What another machine, half a cycle behind, would have.
    other = _temperature(draw, _load(draw, phase + 0.5))
    temperature = _temperature(draw, load)
    for kind, start, end in plan:
        if kind == "correlation":
            row = np.arange(start, end)
            lost = np.minimum(1.0, np.minimum(row - start + 1, end - row) / _LOSING)
            temperature[row] += lost * (other[row] - temperature[row])
    shaken = draw.lognormal(0, _SENSOR["vibration"], rows)
    return {
        "load": load,
        "temperature": temperature,
        "vibration": (_VIBRATION + _SHAKING * load) * shaken,
        "pressure": _PRESSURE - _GIVING * load + draw.normal(0, _SENSOR["pressure"], rows),
    }


def _load(draw: np.random.Generator, phase: np.ndarray) -> np.ndarray:
    from scipy.signal import lfilter

    noise = lfilter([1.0], [1.0, -_MEMORY], draw.normal(0, _NOISE, len(phase)))
    turn = 2 * np.pi * phase
    work = np.sin(turn) + 0.3 * np.sin(2 * turn)
    day = -np.cos(2 * np.pi * np.arange(len(phase)) / _DAY)
    return np.clip(_LEVEL + _DAILY * day + _WORK * work + noise, 0, 100)


def _temperature(draw: np.random.Generator, load: np.ndarray) -> np.ndarray:
    from scipy.signal import lfilter

    day = -np.cos(2 * np.pi * np.arange(len(load)) / _DAY)
    driven = _AMBIENT + _COOL_NIGHT * day + _WARMING * load
    # The machine has run before the first row.
    kept = [(1 - _INERTIA) * driven[:_DAY].mean()]
    warmth, _ = lfilter([_INERTIA], [1.0, _INERTIA - 1], driven, zi=kept)
    return warmth + draw.normal(0, _SENSOR["temperature"], len(load))


def _break(
    draw: np.random.Generator, channels: dict[str, np.ndarray], plan: Sequence[Fault]
) -> None:
    """Put in the faults of the sensors."""
    spread = {name: float(values.std()) for name, values in channels.items()}
    for kind, start, end in plan:
        name = draw.choice(list(channels) if kind == "stuck" else ("temperature", "pressure"))
        values, sign = channels[name], draw.choice([-1, 1])
        if kind == "spike":
            values[start:end] += sign * draw.uniform(*_SPIKE) * spread[name]
        elif kind == "drift":
            rise = np.linspace(0, 1, end - start + 1)[1:]
            values[start:end] += sign * draw.uniform(*_DRIFT) * spread[name] * rise
        elif kind == "stuck":
            values[start:end] = values[start - 1]
