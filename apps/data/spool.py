"""Arrays put end to end before their number is known, on disk if memory does not suffice."""

from __future__ import annotations

import tempfile
from typing import IO

import numpy as np

from apps.errors import UserError

# Two hours of 16-bit sound at 16 kHz; the arrays of smaller data sets never touch the disk.
_MOST_BYTES_IN_MEMORY = 256 << 20


class Spool:
    """Appends arrays; past a limit they go to an unlinked temporary file, read back as a map.

    The file lies where `TMPDIR` says. It has no name, so it is gone with the last array that maps
    it, however the process ends.

    Args:
        dtype: of the elements.
        most_bytes: how much is held in memory.
    """

    def __init__(self, dtype: np.typing.DTypeLike, most_bytes: int = _MOST_BYTES_IN_MEMORY) -> None:
        self._dtype = np.dtype(dtype)
        self._most_bytes = most_bytes
        self._arrays: list[np.ndarray] = []
        self._bytes = 0
        self._lengths: list[int] = []
        self._file: IO[bytes] | None = None
        self._shape: tuple[int, ...] = ()

    def append(self, array: np.ndarray | list) -> None:
        """Add elements at the end.

        Args:
            array: `(length, …)`, a length of 0 included; it must not change afterwards.

        Raises:
            UserError: the temporary folder is full.
        """
        row = np.asarray(array, self._dtype)
        self._lengths.append(len(row))
        self._shape = row.shape[1:] or self._shape
        self._arrays.append(row)
        self._bytes += row.nbytes
        if self._bytes > self._most_bytes:
            self._write()

    def finish_on_disk(self) -> tuple[IO[bytes], np.ndarray] | None:
        """The file that holds everything, and `offsets` in elements; None if memory holds it.

        The elements of a map that were looked at stay in memory; those read from a file do not.
        Nothing may be appended afterwards.
        """
        if self._file is None:
            return None
        self._write()
        file, self._file = self._file, None
        return file, np.concatenate([[0], np.cumsum(self._lengths)])

    def finish(self) -> tuple[np.ndarray, np.ndarray]:
        """Everything that was appended; nothing may be appended afterwards.

        Returns:
            `values` `(total, …)`, read-only where it maps a file, and `offsets` `(arrays + 1,)`
            int64: array `i` is `values[offsets[i]:offsets[i + 1]]`.
        """
        offsets = np.zeros(len(self._lengths) + 1, np.int64)
        np.cumsum(self._lengths, out=offsets[1:])
        if self._file is None:
            empty = np.zeros(0, self._dtype)
            values = np.concatenate(self._arrays) if self._arrays else empty
        else:
            self._write()
            with self._file as file:
                file.flush()
                values = np.asarray(np.memmap(file, self._dtype, mode="r"))
                values = values.reshape(-1, *self._shape)
        self._arrays = []
        return values, offsets

    def _write(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115  (finish closes it)
            for array in self._arrays:
                self._file.write(np.ascontiguousarray(array).data)
            self._file.flush()
        except OSError as error:
            total = sum(self._lengths) * self._dtype.itemsize
            raise UserError(
                f"{total / 1e9:.1f} GB of data are more than memory should hold and cannot be "
                f"written to the folder {tempfile.gettempdir()} ({error.strerror or error}); "
                "name a roomier one: TMPDIR=FOLDER"
            ) from None
        self._arrays, self._bytes = [], 0
