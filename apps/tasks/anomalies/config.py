"""Hyperparameters of tasks that look for anomalies."""

from __future__ import annotations

from dataclasses import dataclass

from apps.configuration import ApplicationConfig, fixed

FORECASTER, AUTOENCODER = "forecaster", "autoencoder"
SURPRISE, DYNAMIC = "surprise", "dynamic"
CHECKED, STREAM, RANGE = "checked", "stream", "range"


@dataclass(frozen=True)
class AlarmsConfig(ApplicationConfig):
    """Hyperparameters of every application that looks for anomalies.

    The `model` says the next rows (`forecaster`) or the last ones again (`autoencoder`). The
    `scorer` tells how rare its errors are (`surprise`), or how far above a threshold that follows
    them (`dynamic`: telemanom). `reference` is what rows are compared with: what their `stream` has
    shown so far; the `range` of the training rows too; or that if sensors are of one kind and
    held-out rows have kept to it (`checked`).

    The threshold is chosen on held-out rows, without labels, so that of normal rows about
    `alarms_per_day` raise an alarm; 0 stands for one in 2,000 rows, or for the dynamic scorer's
    own. Flagged rows with at most `merge` rows between them are one event.
    """

    model: str = fixed(FORECASTER, choices=(FORECASTER, AUTOENCODER))
    scorer: str = fixed(SURPRISE, choices=(SURPRISE, DYNAMIC))
    reference: str = fixed(CHECKED, choices=(CHECKED, STREAM, RANGE))
    alarms_per_day: float = fixed(0.0, low=0.0, high=86_400.0)
    merge: int = fixed(20, low=0, high=100_000)
