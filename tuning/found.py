"""What a search has found, for Python code: trials, winner, the winner's run."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.errors import UserError
from tuning.folder import SearchFolder
from tuning.record import SearchRecord, read_search

if TYPE_CHECKING:
    from apps.run import Run


class Found(Mapping[str, Any]):
    """A search in a folder as it stands; a mapping with what `show --json` prints.

    Args:
        folder: of the search.

    Attributes:
        folder: of the search.
        record: everything that is known of it.

    Raises:
        UserError: there is no search in it, or a file of it is damaged.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._files = SearchFolder(folder)
        self.folder = Path(folder)
        self.record: SearchRecord = read_search(self.folder)

    def __repr__(self) -> str:
        return f"Found({str(self.folder)!r}, best={self.best})"

    @property
    def best(self) -> dict[str, Any] | None:
        """The winner: `id`, `score`, `spread`, `seeds`, `values` and `cost`; None without one."""
        return None if self.record.best is None else dict(self.record.best)

    @property
    def trials(self) -> list[dict[str, Any]]:
        """All trials in the order in which they began: `id`, `status`, `score`, `values`, …"""
        return [
            {name: value for name, value in dataclasses.asdict(row).items() if name != "feasible"}
            for row in self.record.trials
        ]

    @property
    def run(self) -> Run:
        """The winner's finished run, ready to predict, measure and export.

        Raises:
            UserError: the search has not ended.
        """
        import apps

        if self.record.phase != "done":
            raise UserError(f"{self.folder}: the search has not ended; go on with --resume")
        return apps.load(self._files.final)

    def __getitem__(self, key: str) -> Any:
        return self.to_dict()[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self.to_dict())

    def __len__(self) -> int:
        return len(self.to_dict())

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON values: what `python -m tuning show --json` prints."""
        record = self.record
        return {
            "application": record.settings.application,
            "algorithm": record.settings.algorithm,
            "objective": record.settings.objective,
            "maximise": record.settings.maximise,
            "phase": record.phase,
            "seconds": round(record.elapsed, 2),
            "trials": self.trials,
            "finals": [dataclasses.asdict(final) for final in record.finals],
            "best": self.best,
            "test": None if record.test is None else dict(record.test),
        }
