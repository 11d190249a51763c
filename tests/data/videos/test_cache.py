"""Frames that are kept on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footage import frames

from apps.data.videos import cache as caches
from apps.data.videos.cache import FrameCache
from apps.data.videos.video import Video

BYTES = 4 * 8 * 8 * 3 + 4


def video(number: int) -> Video:
    return Video.of(np.full((5, 6, 7, 3), number, np.uint8), 25)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests of all videos that were decoded."""
    found: list[str] = []
    plain = Video.sampled

    def sampled(self: Video, count: int, size: int) -> np.ndarray:
        found.append(self.digest)
        return plain(self, count, size)

    monkeypatch.setattr(Video, "sampled", sampled)
    return found


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.frames"))


def test_frames_are_decoded_once(tmp_path: Path, decoded: list[str]) -> None:
    one = video(9)
    for _ in range(2):
        found = FrameCache(tmp_path).get(one, 4, 8)
        np.testing.assert_array_equal(found, np.full((4, 8, 8, 3), 9))
        assert found.dtype == np.uint8
    assert len(decoded) == 1
    FrameCache(tmp_path).get(one, 4, 16)
    FrameCache(tmp_path).get(one, 3, 8)
    FrameCache(tmp_path).get(one.part(0.0, 0.1), 4, 8)
    assert len(decoded) == 4
    assert len(kept(tmp_path)) == 4


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("APPS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    FrameCache().get(video(1), 4, 8)
    assert len(kept(tmp_path / "home" / ".cache" / "lstm-apps" / "videos")) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    FrameCache().get(video(1), 4, 8)
    assert len(kept(tmp_path / "xdg" / "lstm-apps" / "videos")) == 1
    monkeypatch.setenv("APPS_CACHE", str(tmp_path / "named"))
    FrameCache().get(video(1), 4, 8)
    assert len(kept(tmp_path / "named" / "videos")) == 1


@pytest.mark.parametrize("damage", ["short", "empty", "changed"])
def test_a_damaged_entry_is_decoded_anew(tmp_path: Path, decoded: list[str], damage: str) -> None:
    cache = FrameCache(tmp_path)
    cache.get(video(9), 4, 8)
    (file,) = kept(tmp_path)
    content = file.read_bytes()
    assert len(content) == BYTES
    changed = bytes([content[0] ^ 1]) + content[1:]
    file.write_bytes({"short": content[:50], "empty": b"", "changed": changed}[damage])
    for _ in range(2):
        np.testing.assert_array_equal(cache.get(video(9), 4, 8), np.full((4, 8, 8, 3), 9))
    assert len(decoded) == 2


def test_what_was_not_used_for_longest_goes_at_the_limit(
    tmp_path: Path, decoded: list[str]
) -> None:
    cache = FrameCache(tmp_path, limit_bytes=10 * BYTES)
    for number in range(10):
        cache.get(video(number), 4, 8)
    for age, file in enumerate(kept(tmp_path)):
        os.utime(file, (1000 + age, 1000 + age))
    oldest = kept(tmp_path)[0]
    used = next(one for one in map(video, range(10)) if oldest.name.startswith(one.digest))
    cache.get(used, 4, 8)
    assert len(decoded) == 10
    cache.get(video(10), 4, 8)
    left = kept(tmp_path)
    assert len(left) == 9
    assert oldest in left
    cache.get(video(10), 4, 8)
    cache.get(used, 4, 8)
    assert len(decoded) == 11


def test_no_limit_no_files(tmp_path: Path, decoded: list[str]) -> None:
    cache = FrameCache(tmp_path, limit_bytes=0)
    cache.get(video(1), 4, 8)
    cache.get(video(1), 4, 8)
    assert len(decoded) == 2
    assert kept(tmp_path) == []


def test_what_a_killed_process_left_goes(tmp_path: Path) -> None:
    FrameCache(tmp_path).get(video(1), 4, 8)
    left = kept(tmp_path)[0].parent / ".partial-x"
    fresh = left.with_name(".partial-y")
    left.write_bytes(b"x")
    fresh.write_bytes(b"x")
    os.utime(left, (1000, 1000))
    FrameCache(tmp_path).get(video(2), 4, 8)
    assert not left.exists()
    assert fresh.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path, decoded: list[str], capsys: Any) -> None:
    # The superuser may write everywhere; below a file there is no folder for anybody.
    (tmp_path / "file").write_text("")
    cache = FrameCache(tmp_path / "file")
    for number in (1, 1, 2):
        assert (cache.get(video(number), 4, 8) == number).all()
    assert len(decoded) == 3
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "frames cannot be kept in" in said
    assert "APPS_CACHE=FOLDER" in said


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    cache = FrameCache(tmp_path)
    cache.get(video(1), 4, 8)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caches.os, "replace", full)
    for number in (1, 2, 3):
        assert (cache.get(video(number), 4, 8) == number).all()
    assert capsys.readouterr().err.count("No space left on device") == 1
    assert len(list(kept(tmp_path)[0].parent.iterdir())) == 1


def test_threads(tmp_path: Path) -> None:
    cache = FrameCache(tmp_path, limit_bytes=7 * BYTES)
    with ThreadPoolExecutor(8) as pool:
        numbers = [number % 12 for number in range(120)]
        found = pool.map(lambda number: cache.get(video(number), 4, 8), numbers)
        for number, pictures in zip(numbers, found, strict=True):
            assert (pictures == number).all()
    assert len(kept(tmp_path)) <= 7


_OTHER = """
import sys
from pathlib import Path
import numpy as np
from apps.data.videos.cache import FrameCache
from apps.data.videos.video import Video
cache = FrameCache(Path(sys.argv[1]), limit_bytes=int(sys.argv[2]))
for turn in range(10):
    for number in range(12):
        one = Video.of(np.full((5, 6, 7, 3), number, np.uint8), 25)
        assert (cache.get(one, 4, 8) == number).all()
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _OTHER, str(tmp_path), str(7 * BYTES)]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for one in both:
        _, said = one.communicate(timeout=120)
        assert (one.returncode, said) == (0, b"")
    # Each counts what it wrote itself until it looks again.
    assert len(kept(tmp_path)) <= 14


def test_frames_of_a_file(tmp_path: Path) -> None:
    one = Video.of(frames(4), 25)
    cache = FrameCache(tmp_path)
    np.testing.assert_array_equal(cache.get(one, 4, 8), cache.get(one, 4, 8))
