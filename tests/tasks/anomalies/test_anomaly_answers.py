"""Flags and events in the graph: as `events_of` and plain loops have them."""

from __future__ import annotations

import datetime
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.tasks.anomalies.answers import SensorAnswers
from apps.tasks.anomalies.events import events_of

NAMES = ("pressure", "flow", "heat")
BATCH, ROWS = 6, 60
LENGTHS = np.array([60, 41, 0, 1, 60, 17], np.int32)


def answering(merge: int, *, dated: bool = False, threshold: float = 0.5) -> SensorAnswers:
    layer = SensorAnswers(NAMES, merge, dated)
    layer.build()
    layer.threshold.assign(threshold)
    return layer


def outputs(surprise: np.ndarray) -> dict[str, tf.Tensor]:
    band = {name: tf.constant(surprise, tf.float64) for name in ("expected", "low", "high")}
    return {"surprise": tf.constant(surprise, tf.float32), **band}


def surprises(flagged: float) -> np.ndarray:
    """Of so large a share of rows one reaches 0.5; many of them are equal."""
    draw = np.random.default_rng(int(1000 * flagged))
    found = np.round(draw.uniform(0.0, 0.4, (BATCH, ROWS, len(NAMES))), 1)
    rows = draw.random((BATCH, ROWS)) < flagged
    channel = draw.integers(0, len(NAMES), (BATCH, ROWS))
    height = np.round(draw.uniform(0.5, 1.0, (BATCH, ROWS)), 1)
    np.put_along_axis(found, channel[..., None], np.where(rows, height, 0.3)[..., None], 2)
    return found.astype(np.float32)


def numbers(found: dict[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(value) for name, value in found.items()}


@pytest.mark.parametrize("merge", [0, 1, 3, 100])
@pytest.mark.parametrize("flagged", [0.05, 0.3, 0.9, 1.0])
def test_events_are_those_of_a_loop(merge: int, flagged: float) -> None:
    surprise = surprises(flagged)
    found = numbers(answering(merge)(outputs(surprise), tf.constant(LENGTHS)))
    score = surprise.max(2)
    np.testing.assert_array_equal(found["score"], score)
    np.testing.assert_array_equal(found["flag"], score >= 0.5)
    np.testing.assert_array_equal(found["channel"], surprise.argmax(2))
    for row, length in enumerate(LENGTHS):
        wanted = events_of(score[row, :length] >= 0.5, merge)
        count = int(found["events_counts"][row])
        assert count == len(wanted)
        for event, (start, end) in enumerate(wanted):
            peak = start + int(score[row, start : end + 1].argmax())
            said = [found[f"events_{name}"][row, event] for name in ("start", "end", "peak")]
            assert said == [start, end, peak]
            assert found["events_score"][row, event] == score[row, peak]
            channel = NAMES[surprise[row, peak].argmax()]
            assert found["events_channel"][row, event].decode() == channel


def test_events_have_the_times_of_their_rows() -> None:
    surprise = surprises(0.2)
    time = 1_700_000_000.0 + 60.0 * np.arange(ROWS) + 1e6 * np.arange(BATCH)[:, None]
    layer = answering(1, dated=True)
    found = numbers(layer(outputs(surprise), tf.constant(LENGTHS), tf.constant(time)))
    assert found["events_counts"].sum() > 10
    origin = datetime.datetime(1970, 1, 1)
    for row, count in enumerate(found["events_counts"]):
        for name, place in (("from", "start"), ("to", "end")):
            rows = found[f"events_{place}"][row, :count]
            moments = [origin + datetime.timedelta(seconds=float(time[row, one])) for one in rows]
            said = [text.decode() for text in found[f"events_{name}"][row, :count]]
            assert said == [moment.isoformat() for moment in moments]


def test_without_flags_there_are_no_events() -> None:
    surprise = surprises(0.0)
    time = tf.zeros((BATCH, ROWS), tf.float64)
    layer = answering(2, dated=True)
    found = numbers(layer(outputs(surprise), tf.constant(LENGTHS), time))
    assert not found["flag"].any()
    assert not found["events_counts"].any()
    for name in ("start", "end", "peak", "score", "channel", "from", "to"):
        assert found[f"events_{name}"].shape == (BATCH, 0)
    # What stands behind a series' end is no event of it.
    late = np.where(np.arange(ROWS)[None, :, None] >= 17, 1.0, surprise)
    lengths = tf.fill([BATCH], 17)
    found = numbers(layer(outputs(late), lengths, time))
    assert not found["events_counts"].any()


def test_an_infinite_threshold_flags_nothing() -> None:
    layer = answering(2, threshold=np.inf)
    found = numbers(layer(outputs(surprises(1.0)), tf.constant(LENGTHS)))
    assert not found["flag"].any()
    assert not found["events_counts"].any()


def test_answers_are_as_they_are_described() -> None:
    layer = answering(1, dated=True)
    inputs = {
        name: keras.Input((None, len(NAMES)), dtype=dtype)
        for name, dtype in (
            ("surprise", "float32"),
            *dict.fromkeys(("expected", "low", "high"), "float64").items(),
        )
    }
    lengths, time = keras.Input((), dtype="int32"), keras.Input((None,), dtype="float64")
    described = layer(inputs, lengths, time)
    found = layer(
        outputs(surprises(0.3)), tf.constant(LENGTHS), tf.zeros((BATCH, ROWS), tf.float64)
    )
    assert set(found) == set(described)
    for name, value in found.items():
        assert value.dtype.name == described[name].dtype, name
        assert len(value.shape) == len(described[name].shape), name
        for size, said in zip(value.shape, described[name].shape, strict=True):
            assert said in (None, size), name
    assert SensorAnswers.from_config(layer.get_config()).get_config() == layer.get_config()
