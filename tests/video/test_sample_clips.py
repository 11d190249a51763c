"""The rendered sample: pairs of classes that only the order of the frames tells apart."""

from __future__ import annotations

from collections import Counter

import numpy as np

from apps.video.sample_clips import FRAMES, SIZE, sample_clips


def test_eight_classes_of_equal_number_and_one_seed_one_sample() -> None:
    one, other = (sample_clips(3, rows=16) for _ in range(2))
    assert Counter(one["label"]) == dict.fromkeys(one["label"], 2)
    assert len(set(one["label"])) == 8
    assert [c.digest for c in one["video"]] == [c.digest for c in other["video"]]
    assert len({clip.digest for clip in one["video"]}) == 16
    assert {(clip.frames, clip.width, clip.height) for clip in one["video"]} == {
        (FRAMES, SIZE, SIZE)
    }


def test_both_of_a_pair_move_as_much_in_every_part_of_the_clip() -> None:
    rows = sample_clips(0, rows=320)
    moved: dict[str, list[np.ndarray]] = {}
    for clip, label in zip(rows["video"], rows["label"], strict=True):
        frames = clip.sampled(FRAMES, SIZE).astype(float)
        moved.setdefault(label, []).append(np.abs(np.diff(frames, axis=0)).mean((1, 2, 3)))
    means = {label: np.mean(found, 0) for label, found in moved.items()}
    for one, other in (("sit down", "stand up"), ("open", "close"), ("lift", "lower")):
        # Most of the movement lies in the middle of both.
        assert abs(means[one].argmax() - FRAMES / 2) < 6
        assert means[one].sum() / means[other].sum() < 1.3
        assert means[other].sum() / means[one].sum() < 1.3
