"""Units that follow one another in streams; state is carried from one to the next."""

from __future__ import annotations

import numpy as np

from apps.data.views.buckets import Batch
from apps.data.views.view import View


class Streams(View):
    """Streams of units, for truncated backpropagation through time.

    State never passes from one stream to another. Mikolov 2012, "Statistical language models based
    on neural networks", section 2.3.2.

    Args:
        sizes: `(streams,)` int64, units of each stream, which stand one after the other.
        window: steps of a unit, at most.
        most_rows: so many streams are measured at a time at most.
    """

    carries_state = True

    def __init__(self, sizes: np.ndarray, window: int, most_rows: int | None = None) -> None:
        if window < 1:
            raise ValueError(f"window={window}: give at least 1")
        self.sizes, self.window, self.most_rows = np.asarray(sizes, np.int64), window, most_rows
        self._first_unit = np.cumsum(self.sizes) - self.sizes
        self._stream = np.repeat(np.arange(len(self.sizes)), self.sizes)
        self._number = np.arange(len(self._stream)) - self._first_unit[self._stream]

    def __len__(self) -> int:
        return len(self._stream)

    @property
    def blocks(self) -> np.ndarray:
        """`(units,)` int64, the stream of each unit."""
        return self._stream

    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        """Streams in random order, end to end, cut into `batch_size` parallel rows.

        Each is a row in every batch of the epoch; its state is zero where it or a stream begins.
        """
        if not len(self):
            return []
        order = np.random.default_rng([seed, epoch]).permutation(len(self.sizes))
        return self._laid(batch_size, order)

    def _laid(self, batch_size: int, order: np.ndarray) -> list[Batch]:
        units = np.concatenate([self._units_of(stream) for stream in order])
        steps = self.steps(batch_size)
        rows = np.full(batch_size * steps, -1, np.int64)
        rows[: len(units)] = units
        return self._batches(list(rows.reshape(batch_size, steps)), steps)

    def sweep(self, batch_size: int) -> list[Batch]:
        """Every stream by itself, the longest ones first."""
        batch_size = min(batch_size, self.most_rows or batch_size)
        streams = np.argsort(-self.sizes, kind="stable")
        streams = streams[self.sizes[streams] > 0]
        batches: list[Batch] = []
        for at in range(0, len(streams), batch_size):
            rows = [self._units_of(stream) for stream in streams[at : at + batch_size]]
            batches += self._batches(rows, len(rows[0]))
        return batches

    def _units_of(self, stream: int) -> np.ndarray:
        return self._first_unit[stream] + np.arange(self.sizes[stream])

    def _batches(self, rows: list[np.ndarray], steps: int) -> list[Batch]:
        units = np.full((len(rows), steps), -1, np.int64)
        for row, own in zip(units, rows, strict=True):
            row[: len(own)] = own
        begins = (units >= 0) & (self._number[units] == 0)
        begins[:, 0] = True
        return [Batch(units[:, i], self.window, begins[:, i]) for i in range(steps)]
