"""The made machine: its faults are where it says, and its rules hold outside them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from apps.timeseries.sample_machine import KINDS, faults_of, sample_machine

CHANNELS = ["load", "temperature", "vibration", "pressure"]
# Rows of load from which the temperature is told.
BEFORE = 24
SEEDS = range(3)


def frame_of(seed: int, **options: Any) -> Any:
    return sample_machine(seed, **options)["series"][0].frame


def surprise(seed: int) -> np.ndarray:
    """By how much each temperature differs from what a line of the loads before it says, where
    the line is fitted on the first half; in standard deviations of that half."""
    frame = frame_of(seed)
    load, warmth = (frame[name].to_numpy() for name in CHANNELS[:2])
    turn = 2 * np.pi * np.arange(len(load)) / 288
    columns = [np.roll(load, lag) for lag in range(BEFORE)]
    told = np.stack([*columns, np.sin(turn), np.cos(turn), np.ones(len(load))], 1)
    rows = slice(BEFORE, len(load) // 2)
    weights = np.linalg.lstsq(told[rows], warmth[rows], rcond=None)[0]
    return np.abs(warmth - told @ weights) / warmth[rows].std()


def test_a_seed_says_all() -> None:
    assert frame_of(3).equals(frame_of(3))
    assert not frame_of(3)[CHANNELS].equals(frame_of(4)[CHANNELS])


@pytest.mark.parametrize("seed", SEEDS)
def test_faults_are_in_the_second_half_and_well_apart(seed: int) -> None:
    examples = sample_machine(seed)
    table, faults = examples["series"][0], faults_of(examples)
    assert table.roles == {"time": "time"}
    assert list(table.frame) == ["time", *CHANNELS, "label", "fault"]
    assert Counter(one.kind for one in faults) == dict.fromkeys(KINDS, 3)
    labels = np.zeros(len(table.frame), int)
    for kind, start, end in faults:
        labels[start:end] = 1
        assert end - start == 1 if kind == "spike" else 60 <= end - start <= 120
    assert (table.frame["label"] == labels).all()
    ends = [len(labels) // 2, *(one.end for one in faults)]
    assert all(one.start - end >= 100 for one, end in zip(faults, ends, strict=False))
    assert ends[-1] <= len(labels)


def test_the_first_half_is_that_of_the_machine_without_faults() -> None:
    broken, sound = frame_of(1), frame_of(1, faulty=False)
    half = len(sound) // 2
    assert broken.iloc[:half].equals(sound.iloc[:half])
    assert not sound["label"].any()
    assert faults_of(sample_machine(1, faulty=False)) == []


@pytest.mark.parametrize(("days", "each"), [(2, 0), (7, 1), (30, 4), (60, 4)])
def test_more_days_have_more_faults(days: int, each: int, capsys: Any) -> None:
    assert len(faults_of(sample_machine(0, days))) == each * len(KINDS)
    said = f"{each} spike" if each else "no fault"
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("seed", SEEDS)
def test_temperature_follows_load_but_where_the_relation_is_lost(seed: int) -> None:
    frame, apart = frame_of(seed), surprise(seed)
    near = np.convolve(frame["label"], np.ones(BEFORE))[: len(frame)] > 0
    sound = apart[BEFORE:][~near[BEFORE:]]
    assert np.sqrt(np.mean(sound**2)) < 0.06
    lost = (frame["fault"] == "correlation").to_numpy()
    assert np.sqrt(np.mean(apart[lost] ** 2)) > 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_where_the_relation_is_lost_each_channel_looks_normal(seed: int) -> None:
    frame = frame_of(seed)
    lost, first = frame[frame["fault"] == "correlation"], frame.iloc[: len(frame) // 2]
    for name in CHANNELS:
        margin = 0.25 * (first[name].max() - first[name].min())
        assert lost[name].between(first[name].min() - margin, first[name].max() + margin).all()
    jumps = lost["temperature"].diff().abs()[lost.index.to_series().diff() == 1]
    assert jumps.max() < 3 * first["temperature"].diff().abs().max()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_faults_are(seed: int) -> None:
    examples = sample_machine(seed)
    frame = examples["series"][0].frame
    sound = frame.iloc[: len(frame) // 2]
    broken = ["temperature", "pressure"]
    noise = sound[broken].diff().std()
    for kind, start, end in faults_of(examples):
        rows = frame.iloc[start - 1 : end + 1]
        moves = rows[CHANNELS].diff().abs()
        if kind == "spike":
            assert (moves[broken].iloc[1:] > 2 * noise).all().any()
        elif kind == "stuck":
            assert (moves.iloc[1:-1] == 0).all().sum() == 1
        elif kind == "drift":
            assert (moves[broken].iloc[-1] > 2 * noise).any()
        elif kind == "period":
            assert abs(np.log2(_cycle(rows["load"]) / _cycle(sound["load"]))) > 0.5


def _cycle(load: Any) -> float:
    """Rows of the strongest cycle, the day aside."""
    row = np.arange(len(load))
    lengths = np.arange(10.0, 60.0, 0.5)
    steady = load.to_numpy() - load.rolling(48, center=True, min_periods=1).mean().to_numpy()
    strengths = [abs(np.sum(steady * np.exp(2j * np.pi * row / length))) for length in lengths]
    return float(lengths[int(np.argmax(strengths))])
