"""The benchmark of reading videos reads the same pictures with both readers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks import video_reading


def test_all_contenders_read_the_clips_that_are_made(tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("cv2")
    videos = video_reading._videos(video_reading._make(tmp_path, 1), 5)
    assert video_reading._agree(videos) < 4
    found = video_reading.measure(videos, rounds=1)
    assert {threads: len(contenders) for threads, contenders in found.items()} == {"1": 3, "2": 4}
    assert all(speed > 0 for contenders in found.values() for speed in contenders.values())


def test_a_folder_without_videos(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="has no video that can be read"):
        video_reading._videos(tmp_path, 5)
