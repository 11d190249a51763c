"""Files of tokens as units of a few steps each; state is carried from one to the next."""

from __future__ import annotations

import numpy as np

from apps.data.sequences import Sequences
from apps.data.views.buckets import Batch
from apps.data.views.view import ArraySpec, View


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
    """

    carries_state = True

    def __init__(self, files: Sequences, window: int, start_id: int = 0) -> None:
        if window < 1:
            raise ValueError(f"window={window}: give at least 1")
        self.files, self.window, self.start_id = files, window, start_id
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
        tokens = ArraySpec(self.files.dtype, (None, self.window))
        vector = (None,)
        return {
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
        order = np.random.default_rng([seed, epoch]).permutation(len(self.files))
        units = np.concatenate([self._units_of(file) for file in order])
        steps = self.steps(batch_size)
        streams = np.full(batch_size * steps, -1, np.int64)
        streams[: len(units)] = units
        return self._batches(list(streams.reshape(batch_size, steps)), steps)

    def sweep(self, batch_size: int) -> list[Batch]:
        """Every file as a stream of its own, the longest files first."""
        files = np.argsort(-self._per_file, kind="stable")
        files = files[self._per_file[files] > 0]
        batches: list[Batch] = []
        for at in range(0, len(files), batch_size):
            streams = [self._units_of(file) for file in files[at : at + batch_size]]
            batches += self._batches(streams, len(streams[0]))
        return batches

    def fetch(self, batch: Batch) -> dict[str, np.ndarray]:
        assert batch.begins is not None
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
        return {"ids": ids, "target": target, "lengths": lengths, "begins": batch.begins}

    def _units_of(self, file: int) -> np.ndarray:
        return self._first_unit[file] + np.arange(self._per_file[file])

    def _batches(self, streams: list[np.ndarray], steps: int) -> list[Batch]:
        units = np.full((len(streams), steps), -1, np.int64)
        for row, stream in zip(units, streams, strict=True):
            row[: len(stream)] = stream
        begins = (units >= 0) & (self._start[units] == 0)
        begins[:, 0] = True
        return [Batch(units[:, i], self.window, begins[:, i]) for i in range(steps)]
