"""Folds of the cross-validation: every clip once, no source in two of them, classes in balance."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import video_folds


def manifests(folder: Path, sources: int = 12) -> Path:
    """Two manifests that share a clip; sources hold from one clip to five."""
    lines = [
        f"{source}-{clip}.mp4,{'ab'[source % 2]},film {source}"
        for source in range(sources)
        for clip in range(1 + source % 5)
    ]
    for name, part in (("train", lines[:20]), ("test", lines[19:])):
        (folder / f"{name}.csv").write_text("\n".join(["video,label,source", *part]) + "\n")
    return folder


def test_every_clip_is_in_one_fold_and_so_is_every_source(tmp_path: Path) -> None:
    rows = video_folds.read(manifests(tmp_path), "source")
    assert len(rows) == 33
    assert all(Path(row["video"]).parent == tmp_path for row in rows)
    folds = video_folds.divided(rows, 3, seed=0)
    assert sorted(number for fold in folds for number in fold) == list(range(33))
    held = [{rows[number]["group"] for number in fold} for fold in folds]
    assert sum(map(len, held)) == len(set.union(*held)) == 12
    for fold in folds:
        counts = Counter(rows[number]["label"] for number in fold)
        assert min(counts.values()) >= 3
    assert folds != video_folds.divided(rows, 3, seed=1)
    assert folds == video_folds.divided(rows, 3, seed=0)


def test_clips_count_alike_whatever_fold_they_are_in() -> None:
    folds = [
        {"clips": 10, "accuracy": 0.5, "majority": 0.5, "frames_without_order": 0.2},
        {"clips": 30, "accuracy": 0.9, "majority": 0.5, "frames_without_order": 0.6},
    ]
    found = video_folds.pooled(folds)
    assert found == pytest.approx({"accuracy": 0.8, "majority": 0.5, "frames_without_order": 0.5})
