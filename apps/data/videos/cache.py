"""Sampled frames, and what a network makes of them, kept on disk and not made in every epoch."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from apps import environment
from apps.atomic import PARTIAL
from apps.data.videos.video import Video

# Files of another way to sample or to scale lie in another folder.
_VERSION = "2"
_FRAMES, _FEATURES = ".frames", ".features"
_CHECK_BYTES = 4
# Whoever runs over the limit makes room for more than one clip.
_KEPT = 0.9
_ABANDONED_SECONDS = 3600.0


def usual_folder() -> Path:
    """Where caches lie: `APPS_CACHE`, else `lstm-apps` below `XDG_CACHE_HOME` or `~/.cache`."""
    if named := os.environ.get("APPS_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lstm-apps"


class FrameCache:
    """Frames by content, number and size, and features of them; threads and processes may share it.

    What was not looked at for longest goes when the limit is reached. Where nothing can be written,
    frames are decoded whenever they are asked for, and that is said once.

    Args:
        folder: holds the files, alone; `videos/` in the usual folder if None.
        limit_bytes: the most that the files may take; with 0 none is written.
    """

    def __init__(self, folder: Path | None = None, limit_bytes: int = 8 << 30) -> None:
        self._folder = (usual_folder() / "videos" if folder is None else folder) / _VERSION
        self._limit = limit_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None
        self._writes = limit_bytes > 0

    def get(self, video: Video, count: int, size: int) -> np.ndarray:
        """The frames of `Video.sampled`, from disk or decoded.

        Args:
            video: the clip.
            count: number of frames.
            size: side of the pictures, pixels.

        Returns:
            `(count, size, size, 3)` uint8, RGB; it may be read-only.

        Raises:
            UserError: they are not on disk, and the video cannot be decoded.
        """
        file = f"{video.digest}-{count}x{size}{_FRAMES}"
        shape = (count, size, size, 3)
        return self._kept(file, shape, np.uint8, lambda: video.sampled(count, size))

    def features(
        self,
        video: Video,
        *,
        count: int,
        size: int,
        width: int,
        network: str,
        of: Callable[[np.ndarray], np.ndarray],
    ) -> np.ndarray:
        """What a network makes of the frames that `get` gives, from disk or computed.

        Args:
            video: the clip.
            count: number of frames.
            size: side of the pictures, pixels.
            width: numbers for each frame.
            network: names the network and its weights in a few letters and digits.
            of: makes `(count, width)` of the frames.

        Returns:
            `(count, width)` float16; it may be read-only.

        Raises:
            UserError: neither they nor the frames are on disk, and the video cannot be decoded.
        """

        def made() -> np.ndarray:
            return np.asarray(of(self.get(video, count, size)), np.float16)

        file = f"{video.digest}-{count}x{size}-{network}{_FEATURES}"
        return self._kept(file, (count, width), np.float16, made)

    def _kept(
        self, name: str, shape: tuple[int, ...], dtype: type, make: Callable[[], np.ndarray]
    ) -> np.ndarray:
        file = self._folder / name
        kept = _read(file, shape, np.dtype(dtype))
        if kept is None:
            kept = make()
            if self._writes:
                self._write(file, kept)
        return kept

    def _write(self, file: Path, array: np.ndarray) -> None:
        content = np.ascontiguousarray(array).tobytes()
        try:
            # What another process removes meanwhile is made again.
            self._folder.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=self._folder, prefix=PARTIAL)
            try:
                with os.fdopen(handle, "wb") as stream:
                    stream.write(content)
                    stream.write(_check(content))
                os.replace(beside, file)
            except BaseException:
                Path(beside).unlink(missing_ok=True)
                raise
            self._make_room(len(content) + _CHECK_BYTES)
        except OSError as error:
            with self._lock:
                said, self._writes = not self._writes, False
            if not said:
                environment.say(
                    f"frames cannot be kept in {self._folder} ({error.strerror or error}): clips "
                    "are decoded anew in each epoch; name another folder: APPS_CACHE=FOLDER"
                )

    def _make_room(self, added: int) -> None:
        with self._lock:
            self._bytes = None if self._bytes is None else self._bytes + added
            if self._bytes is not None and self._bytes <= self._limit:
                return
            # Other processes write too, so that only the folder itself knows.
            files = sorted(self._files())
            self._bytes = sum(size for _, size, _ in files)
            if self._bytes <= self._limit:
                return
            for _, size, path in files:
                path.unlink(missing_ok=True)
                self._bytes -= size
                if self._bytes <= _KEPT * self._limit:
                    break

    def _files(self) -> list[tuple[float, int, Path]]:
        """When each file was last used, its size and path; abandoned ones are removed."""
        found = []
        with os.scandir(self._folder) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat()
                    if entry.name.endswith((_FRAMES, _FEATURES)):
                        found.append((status.st_mtime, status.st_size, Path(entry.path)))
                    elif time.time() - status.st_mtime > _ABANDONED_SECONDS:
                        Path(entry.path).unlink(missing_ok=True)
        return found


def _read(file: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray | None:
    """The array of a file, None where there is none or it is damaged."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    array = memoryview(content)[:-_CHECK_BYTES]
    expected = dtype.itemsize * np.prod(shape)
    if len(array) != expected or content[-_CHECK_BYTES:] != _check(array):
        return None
    with contextlib.suppress(OSError):
        # The time of reading is kept by few file systems; that of writing stands for it.
        os.utime(file)
    return np.frombuffer(array, dtype).reshape(shape)


def _check(content: bytes | memoryview) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECK_BYTES, "big")
