"""Files of tokens as units of a few steps each; state is carried from one to the next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from apps.data.sequences import Sequences
from apps.data.views.buckets import Batch
from apps.data.views.streams import Streams
from apps.data.views.view import ArraySpec

_SHORTER = 5


class TokenStream(Streams):
    """Windows over files of tokens.

    A batch holds `target`, the tokens to predict, `ids`, the token before each of them (`start_id`
    before the first of a file), and `lengths`. Every token of a file is predicted once.

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
        super().__init__(-(-files.lengths // window), window, most_rows)
        self.files, self.start_id = files, start_id
        self.columns, self.varied = dict(columns or {}), varied
        self._other: TokenStream | None = None

    @property
    def lengths(self) -> np.ndarray:
        starts = self._number * self.window
        return np.minimum(self.files.lengths[self._stream] - starts, self.window)

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
        if not self.varied or not len(self):
            return super().epoch(batch_size, seed, epoch)
        draw = np.random.default_rng([seed, epoch])
        order = draw.permutation(len(self.files))
        window = self.window - int(draw.integers(self.window // _SHORTER + 1))
        return self._with(window)._laid(batch_size, order)

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
            tokens = self.files[self._stream[unit]]
            start = self._number[unit] * self.window
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
