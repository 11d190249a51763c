"""From errors to scores: by the stream so far, by the training rows, or by a moving threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.data import Examples
from apps.data.panels.stretches import LABELS, values
from apps.data.panels.windows import SERIES
from apps.errors import UserError
from apps.layers.anomalies.dynamic_threshold import DynamicThreshold
from apps.layers.anomalies.error_tails import ErrorTails
from apps.layers.anomalies.trained_range import STATE, TrainedRange, of_one_kind
from apps.tasks.anomalies.config import AUTOENCODER, DYNAMIC, RANGE, STREAM, AlarmsConfig

# What is kept of the outputs on held-out rows.
JUDGED = ("surprise", "error", "known", "rarity")
Layers = Mapping[str, keras.layers.Layer]


def learnt_rows(examples: Examples) -> list[np.ndarray]:
    """The training rows of each series, `(rows, channels)`, NaN where they are known anomalies."""
    pairs = zip(examples[SERIES], examples[LABELS], strict=True)
    rows = []
    for one, labels in {id(one): (one, own) for one, own in pairs}.values():
        last = min(one.last, one.end)
        usual = labels[one.first : last, None] != 1
        rows.append(np.where(usual, values(one, one.first, last), np.nan))
    return rows


def judging_layers(
    rows: Sequence[np.ndarray], channels: int, config: AlarmsConfig
) -> dict[str, keras.layers.Layer]:
    """The layers that make scores of errors, by name, adapted to the training rows.

    Args:
        rows: as `learnt_rows` gives them.
        channels: of each row.
        config: the settings.

    Raises:
        UserError: settings contradict each other.
    """
    if config.scorer == DYNAMIC:
        if config.reference == RANGE:
            raise UserError(
                "scorer=dynamic takes its threshold from the stream, reference=range from the "
                "training rows; leave one of them out"
            )
        return {"dynamic": DynamicThreshold(channels, name="dynamic")}
    within = TrainedRange(channels, name="range")
    within.build()
    found: dict[str, keras.layers.Layer] = {"range": within}
    if not keeps_to_training(rows, config):
        return found
    within.adapt(rows)
    if config.model == AUTOENCODER:
        found["tails"] = ErrorTails(channels, name="tails")
        found["tails"].build()
    return found


def keeps_to_training(rows: Sequence[np.ndarray], config: AlarmsConfig) -> bool:
    """Whether the training rows say what is usual to every sensor."""
    return config.reference == RANGE or (config.reference != STREAM and of_one_kind(rows))


def training_scale(rows: Sequence[np.ndarray], config: AlarmsConfig) -> list[list[float]] | None:
    """Mean and deviation of each channel over the training rows, if they say what is usual."""
    if config.model != AUTOENCODER or not keeps_to_training(rows, config):
        return None
    whole = np.concatenate(rows)
    deviation = np.nanstd(whole, 0)
    return [np.nanmean(whole, 0).tolist(), np.where(deviation > 0, deviation, 1.0).tolist()]


def judging_states(layers: Layers, channels: int) -> dict[str, tf.TensorSpec]:
    """The states that the layers carry on, by name."""
    if "dynamic" in layers:
        return layers["dynamic"].state_specs()
    return {STATE: tf.TensorSpec((None, channels), tf.float64)}


def judged(
    layers: Layers,
    outputs: Mapping[str, Any],
    series: Any,
    lengths: Any,
    states: Mapping[str, Any],
) -> dict[str, Any]:
    """Outputs of a network with the scores of the layers as its `surprise`, and their states."""
    error, known = outputs["error"], outputs["known"]
    if "dynamic" in layers:
        score, after = layers["dynamic"](error, known, lengths, states)
        return {**outputs, "surprise": score, **after}
    score = outputs["surprise"]
    if "tails" in layers:
        score = layers["tails"](error, known, score)
    score, rarity, after = layers["range"](score, series, lengths, states[STATE])
    return {**outputs, "surprise": score, "rarity": rarity, STATE: after}


def held_out_scores(
    layers: Layers,
    batches: Sequence[tuple[Mapping[str, np.ndarray], np.ndarray]],
    config: AlarmsConfig,
) -> tuple[list[np.ndarray], list[np.ndarray] | None]:
    """Scores of held-out pieces, after the layers have learnt from them what they need to.

    Args:
        layers: take note.
        batches: outputs, and which rows count, `(batch, rows)` bool.
        config: the settings.

    Returns:
        `(rows,)` of each piece, NaN for rows that do not count: of the errors, and of the range
        of the training rows where rows are judged by it.
    """
    found = [outputs["surprise"] for outputs, _ in batches]
    if "tails" in layers:
        tails = layers["tails"]
        for outputs, usable in batches:
            known = outputs["known"] & usable[..., None]
            tails.observe(outputs["error"][usable], known[usable])
        found = [tails(outputs["error"], outputs["known"]).numpy() for outputs, _ in batches]
    scores = [
        np.where(usable, one.max(-1), np.nan)
        for one, (_, usable) in zip(found, batches, strict=True)
    ]
    rare = None
    if "range" in layers:
        rare = [np.where(usable, outputs["rarity"].max(-1), np.nan) for outputs, usable in batches]
        if not _use_range(layers["range"], np.concatenate([one.ravel() for one in rare]), config):
            rare = None
    of_pieces = [row for one in scores for row in one]
    return of_pieces, None if rare is None else [row for one in rare for row in one]


def _use_range(layer: TrainedRange, rarity: np.ndarray, config: AlarmsConfig) -> bool:
    """Decide whether rows are judged by the range of the training rows too, and say it."""
    if config.reference == STREAM:
        return False
    holds = layer.tails.seen and layer.holds(rarity[np.isfinite(rarity)])
    used = holds or config.reference == RANGE
    if not layer.tails.seen:
        told = "the sensors lie in ranges of their own: rows are judged by their stream alone"
    elif holds:
        told = "held-out rows keep to the range of the training rows: rows are judged by it too"
    else:
        told = "held-out rows leave the range of the training rows: rows are judged by " + (
            "it all the same" if used else "the model's errors alone"
        )
    environment.say(told)
    return used
