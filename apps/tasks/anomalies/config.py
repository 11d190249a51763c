"""Hyperparameters of tasks that look for anomalies."""

from __future__ import annotations

from dataclasses import dataclass

from apps.configuration import ApplicationConfig, fixed


@dataclass(frozen=True)
class AlarmsConfig(ApplicationConfig):
    """Hyperparameters of every application that looks for anomalies.

    The threshold is chosen on held-out rows, without labels, so that of normal rows about
    `alarms_per_day` raise an alarm; 0 stands for one in 2,000 rows. Flagged rows with at most
    `merge` rows between them are one event.
    """

    alarms_per_day: float = fixed(0.0, low=0.0, high=86_400.0)
    merge: int = fixed(20, low=0, high=100_000)
