"""Files of tokens as units of a few steps each; state is carried from one to the next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from apps.data.sequences import Sequences
from apps.data.views.buckets import Batch
from apps.data.views.view import ArraySpec, View

_SHORTER = 5


class TokenStream(View):
    """Windows over files of tokens, for truncated backpropagation through time.

    A batch holds `target`, the tokens to predict, `ids`, the token before each of them (`start_id`
    before the first of a file), and `lengths`. Every token of a file is predicted once. State never
    passes from one file to the next.

    Mikolov 2012, "Statistical language models based on neural networks", section 2.3.2.

    Args:
        files: token ids, one row per file; an empty file has no units.
        window: number of steps through which gradients flow.
        start_id: stands before the first token of a file.
        columns: further arrays of a batch by name, `(units, …)`.
        varied: whether an epoch's windows begin and end elsewhere than those of the others, and
            are shorter by up to a fifth, so that no token is always the first (Merity et al. 2018,
            "Regularizing and optimizing LSTM language models", section 4.1).
        most_rows: so many files are measured at a time at most.
    """

    carries_state = True

    def __init__(
        self,
        files: Sequences,
        window: int,
        start_id: int = 0,
        *,
        columns: Mapping[str, np.ndarray] | None = None,
        varied: bool = False,
        most_rows: int | None = None,
    ) -> None:
        if window < 1:
            raise ValueError(f"window={window}: give at least 1")
        self.files, self.window, self.start_id = files, window, start_id
        self.columns, self.varied = dict(columns or {}), varied
        self.most_rows = most_rows
        self._other: TokenStream | None = None
        self._per_file = -(-files.lengths // window)
        first = np.cumsum(self._per_file) - self._per_file
        self._file = np.repeat(np.arange(len(files)), self._per_file)
        self._start = (np.arange(len(self._file)) - first[self._file]) * window
        self._first_unit = first

    def __len__(self) -> int:
        return len(self._file)

    @property
    def lengths(self) -> np.ndarray:
        return np.minimum(self.files.lengths[self._file] - self._start, self.window)

    @property
    def blocks(self) -> np.ndarray:
        """`(units,)` int64, the file of each unit."""
        return self._file

    def specs(self) -> dict[str, ArraySpec]:
        tokens = ArraySpec(self.files.dtype, (None, None if self.varied else self.window))
        vector = (None,)
        further = {n: ArraySpec(c.dtype, (None, *c.shape[1:])) for n, c in self.columns.items()}
        return {
            **further,
            "ids": tokens,
            "target": tokens,
            "lengths": ArraySpec(np.dtype(np.int32), vector),
            "begins": ArraySpec(np.dtype(np.bool_), vector),
        }

    def epoch(self, batch_size: int, seed: int, epoch: int) -> list[Batch]:
        """Files in random order, end to end, cut into `batch_size` parallel streams.

        Each stream is a row in every batch of the epoch; its state is zero where it or a file
        begins.
        """
        if not len(self):
            return []
        draw = np.random.default_rng([seed, epoch])
        order = draw.permutation(len(self.files))
        if self.varied:
            window = self.window - int(draw.integers(self.window // _SHORTER + 1))
            return self._with(window)._epoch(batch_size, order)
        return self._epoch(batch_size, order)

    def _epoch(self, batch_size: int, order: np.ndarray) -> list[Batch]:
        units = np.concatenate([self._units_of(file) for file in order])
        steps = self.steps(batch_size)
        streams = np.full(batch_size * steps, -1, np.int64)
        streams[: len(units)] = units
        return self._batches(list(streams.reshape(batch_size, steps)), steps)

    def sweep(self, batch_size: int) -> list[Batch]:
        """Every file as a stream of its own, the longest files first."""
        batch_size = min(batch_size, self.most_rows or batch_size)
        files = np.argsort(-self._per_file, kind="stable")
        files = files[self._per_file[files] > 0]
        batches: list[Batch] = []
        for at in range(0, len(files), batch_size):
            streams = [self._units_of(file) for file in files[at : at + batch_size]]
            batches += self._batches(streams, len(streams[0]))
        return batches

    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        assert batch.begins is not None
        if batch.length != self.window:
            return self._with(batch.length).fetch(batch)
        shape = (len(batch.rows), self.window)
        ids = np.full(shape, self.start_id, self.files.dtype)
        target = np.zeros(shape, self.files.dtype)
        lengths = np.zeros(len(batch.rows), np.int32)
        for row, unit in enumerate(batch.rows):
            if unit < 0:
                continue
            tokens, start = self.files[self._file[unit]], self._start[unit]
            stop = min(start + self.window, len(tokens))
            lengths[row] = stop - start
            target[row, : stop - start] = tokens[start:stop]
            before = tokens[max(start - 1, 0) : stop - 1]
            ids[row, stop - start - len(before) : stop - start] = before
        # An empty row has the values of some other one, which nobody reads.
        further = {name: column[batch.rows] for name, column in self.columns.items()}
        return {
            **further,
            "ids": ids,
            "target": target,
            "lengths": lengths,
            "begins": batch.begins,
        }

    def _with(self, window: int) -> TokenStream:
        """The same files in windows of another size, without further columns."""
        if self._other is None or self._other.window != window:
            self._other = TokenStream(self.files, window, self.start_id)
        return self._other

    def _units_of(self, file: int) -> np.ndarray:
        return self._first_unit[file] + np.arange(self._per_file[file])

    def _batches(self, streams: list[np.ndarray], steps: int) -> list[Batch]:
        units = np.full((len(streams), steps), -1, np.int64)
        for row, stream in zip(units, streams, strict=True):
            row[: len(stream)] = stream
        begins = (units >= 0) & (self._start[units] == 0)
        begins[:, 0] = True
        return [Batch(units[:, i], self.window, begins[:, i]) for i in range(steps)]
