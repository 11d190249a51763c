"""Anomalies: scores of rows, alarms and events."""

from apps.tasks.anomalies.config import AlarmsConfig
from apps.tasks.anomalies.task import AnomalyScores

__all__ = ["AlarmsConfig", "AnomalyScores"]
