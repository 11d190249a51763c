"""What the server tells about itself while it runs; metrics subclass it."""

from __future__ import annotations

from collections.abc import Sequence

from apps.serving.models.states import VersionStatus


class Observer:
    """Hears of every batch, warm-up and change of a version; this one does nothing with it.

    All methods are called on the server's event loop and must return at once.
    """

    def batch_executed(
        self, name: str, version: int, rows: int, padded_rows: int, waits: Sequence[float]
    ) -> None:
        """A batch has been computed.

        Args:
            name: the model's name.
            version: the version's number.
            rows: rows of requests.
            padded_rows: rows that were computed, with the padding to an allowed batch size.
            waits: for every request, the seconds that it spent in the queue.
        """

    def queue_changed(self, name: str, version: int, rows: int) -> None:
        """The number of rows that wait for a batch has changed.

        Args:
            name: the model's name.
            version: the version's number.
            rows: rows waiting, over all signatures.
        """

    def version_changed(self, name: str, status: VersionStatus) -> None:
        """A version has entered a state.

        Args:
            name: the model's name.
            status: the version, its state, and its error where it was refused.
        """

    def warmed_up(self, name: str, version: int, records: int, seconds: float) -> None:
        """A version has run its warm-up requests.

        Args:
            name: the model's name.
            version: the version's number.
            records: how many there were.
            seconds: how long they took.
        """
