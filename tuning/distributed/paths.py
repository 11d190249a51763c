"""The paths of a worker's machine, where they differ from the chief's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from apps.errors import UserError
from tuning.trials.job import Job


@dataclass(frozen=True)
class Paths:
    """Paths that differ from the chief's; None where they are the same.

    Attributes:
        data: the training data.
        folder: the search's folder.
    """

    data: str | None = None
    folder: str | None = None

    def require_data(self, source: str) -> None:
        """Refuse to work where the data are missing, since each trial would fail.

        Args:
            source: the data by the chief's path.

        Raises:
            UserError: the data do not exist on this machine.
        """
        asked = self.data or source
        elsewhere = asked == "sample" or asked.startswith("tfds:") or "," in asked
        if not elsewhere and not Path(asked).exists():
            raise UserError(f"{asked}: not on this machine; give --data SRC")

    def localized(self, job: Job) -> Job:
        """A job with the paths of this machine."""
        if self.data is not None:
            job = replace(job, data=self.data)
        if self.folder is not None:
            continues = job.continues and self._here(job.continues)
            job = replace(job, folder=self._here(job.folder), continues=continues)
        return job

    def _here(self, path: str) -> str:
        return str(Path(self.folder or "") / Path(path).name)
