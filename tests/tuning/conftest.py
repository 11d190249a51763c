"""Begins searches whose trials are invented."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented import GRID, Search
from toy_metrics import METRICS

from tuning.settings import SearchSettings


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Search]:
    # Searches are killed here, but no power is lost.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

    def start(algorithm: str = "random", **settings: Any) -> Search:
        more = GRID if algorithm == "grid" else {}
        values = {"objective": "accuracy", "trials": 6, "finalists": 0, **more, **settings}
        return Search(
            tmp_path / "search",
            SearchSettings(application="toy", metrics=METRICS, algorithm=algorithm, **values),
        )

    return start
