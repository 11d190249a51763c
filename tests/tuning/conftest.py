"""Begins searches whose trials are invented."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from invented import GRID, Search

from tuning.settings import SearchSettings


@pytest.fixture
def begin(tmp_path: Path) -> Callable[..., Search]:
    def start(algorithm: str = "random", **settings: Any) -> Search:
        more = GRID if algorithm == "grid" else {}
        values = {"trials": 6, "finalists": 0, **more, **settings}
        return Search(
            tmp_path / "search",
            SearchSettings("sentiment", "sample", "accuracy", True, algorithm=algorithm, **values),
        )

    return start
