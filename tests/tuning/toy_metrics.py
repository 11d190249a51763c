"""What a task of which the trials are invented measures."""

from __future__ import annotations

from apps.report.quantities import Metric

METRICS = (
    Metric("accuracy", "accuracy", "higher", rate=True),
    Metric("f1", "F1", "higher", rate=True),
    Metric("cross_entropy", "cross-entropy", "lower", unit="nats"),
)
