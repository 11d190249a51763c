"""A run folder as training leaves it."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from apps.report.quantities import Metric

METRICS = (
    Metric("accuracy", "accuracy", "higher", rate=True),
    Metric("f1", "F1", "higher", rate=True),
    Metric("cross_entropy", "cross-entropy", "lower", unit="nats"),
    Metric("calibration_error", "calibration error", "lower", rate=True),
    Metric("perplexity", "perplexity", "lower"),
)
HISTORY = [
    (1, 100, 4.0, 1e-3, 0.61, 0.52, 0.78),
    (2, 200, 8.1, 7e-4, 0.43, 0.41, 0.86),
    (3, 300, 12.2, 3e-4, 0.31, 0.39, 0.913),
    (4, 400, 16.4, 1e-4, 0.24, 0.44, 0.88),
]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType], dict[str, dict[str, Any]]]:
    """A function that watches a module, and gives what each template was last filled with."""

    def watch(module: Any) -> dict[str, dict[str, Any]]:
        seen: dict[str, dict[str, Any]] = {}
        original = module.render

        def render(template: str, **values: Any) -> Any:
            seen[template] = values
            return original(template, **values)

        monkeypatch.setattr(module, "render", render)
        return seen

    return watch


@pytest.fixture
def metrics() -> tuple[Metric, ...]:
    """What the task of the run declares of its metrics, and one that it does not measure."""
    return METRICS


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished sentiment run whose model beats both baselines."""
    folder = tmp_path / "sentiment-run"
    folder.mkdir()
    files = {
        "config.json": {
            "application": "sentiment",
            "config": {"depth": 1, "units": 128, "epochs": 10, "tokens": None},
            "data": {"train": "reviews.csv", "validation": None},
            "seed": 7,
        },
        "environment.json": {
            "python": "3.11.2",
            "tensorflow": "2.21.0",
            "device": "CPU",
            "command": ["python", "-m", "apps", "train", "sentiment", "--data", "my reviews.csv"],
        },
        "metrics.json": {
            "examples": {"train": 4500, "validation": 500, "skipped": 3},
            "metrics": {
                "accuracy": 0.913,
                "f1": 0.9127,
                "cross_entropy": 0.24,
                "calibration_error": 0.031,
            },
            "interval": {
                "accuracy": [0.888, 0.936],
                "f1": [0.887, 0.935],
                "cross_entropy": [0.2, 0.28],
                "calibration_error": [0.02, 0.05],
            },
            "baselines": {
                "majority": {"accuracy": 0.52, "f1": 0.342, "cross_entropy": 0.692},
                "bag_of_words": {"accuracy": 0.861, "f1": 0.86, "cross_entropy": 0.35},
            },
            "cost": {
                "parameters": 1234567,
                "ms_per_example": 0.42,
                "peak_memory_mb": 812.0,
                "size_mb": 4.9,
            },
            "seconds": 754.2,
            "stopped": "patience",
            "best": {"epoch": 3, "step": 300},
        },
    }
    for name, value in files.items():
        (folder / name).write_text(json.dumps(value), encoding="utf-8")
    with (folder / "history.csv").open("w", encoding="utf-8", newline="") as lines:
        writer = csv.writer(lines)
        header = "epoch,step,seconds,learning_rate,loss,val_loss,val_accuracy"
        writer.writerow(header.split(","))
        writer.writerows(HISTORY)
    return folder
