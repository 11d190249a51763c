"""Where a machine has what the chief names by its own paths."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from apps.errors import UserError
from tuning.trials.job import Job


@dataclass(frozen=True)
class Paths:
    """Places that differ from the chief's; None where they are the same.

    Attributes:
        data: the training data.
        folder: the search's folder.
    """

    data: str | None = None
    folder: str | None = None

    def require_data(self, source: str) -> None:
        """Refuse to take trials where the data are not: each of them would fail.

        Args:
            source: the data as the chief says.

        Raises:
            UserError: neither that nor the place that is given here exists.
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
