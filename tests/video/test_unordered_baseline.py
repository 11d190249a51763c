"""The baseline without order: right about places, blind to the direction of time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data import Examples
from apps.data.videos.video import Video
from apps.video.actions import Actions
from apps.video.unordered_baseline import FramesWithoutOrder


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Actions:
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPS_CACHE", str(cache))
        given = Actions(Actions.Config.from_values({"size": 16, "frames": 8, "units": 4}))
        given.compose(clips())
        return given


def clips(rows: int = 80, seed: int = 0) -> Examples:
    """A bright field wanders down in one class and up in the other; two places tell films apart."""
    draw, videos, labels = np.random.default_rng(seed), [], []
    for row in range(rows):
        frames = draw.integers(0, 60, (8, 16, 16, 3)).astype(np.uint8)
        side = 8 * (row // 2 % 2)
        for time in range(8):
            place = time if row % 2 else 7 - time
            frames[time, 2 * place : 2 * place + 2, side : side + 8] = 255
        videos.append(Video.of(frames, 8.0))
        labels.append(("down", "up")[row % 2 == 0])
    return Examples({"video": videos, "label": labels}, [str(r) for r in range(rows)], "made")


def relabelled(rows: Examples) -> Examples:
    """Classes by the side of the picture."""
    sides = [("left", "right")[row // 2 % 2] for row in range(len(rows))]
    return Examples({**rows.columns, "label": sides}, rows.places, rows.source)


def test_places_are_told_apart_and_the_direction_of_time_is_not(application: Actions) -> None:
    rows, others = clips(), clips(seed=1)
    for given, asked, labels, low, high in (
        (relabelled(rows), relabelled(others), ("left", "right"), 0.95, 1.0),
        (rows, others, ("down", "up"), 0.25, 0.75),
    ):
        baseline = FramesWithoutOrder(application.input, labels, seed=0)
        baseline.fit(given)
        found = np.array(labels)[baseline.predict(asked).argmax(-1)]
        assert low <= (found == np.array(asked["label"])).mean() <= high


def test_any_order_of_the_frames_gives_the_same_answer(application: Actions) -> None:
    rows = clips(8)
    baseline = FramesWithoutOrder(application.input, ("down", "up"), seed=0)
    baseline.fit(rows)
    order = np.array([5, 2, 7, 1, 0, 6, 3, 4])
    shuffled = [Video.of(clip.sampled(8, 16)[order], 8.0) for clip in rows["video"]]
    other = Examples({**rows.columns, "video": shuffled}, rows.places, rows.source)
    straight = [Video.of(clip.sampled(8, 16), 8.0) for clip in rows["video"]]
    same = Examples({**rows.columns, "video": straight}, rows.places, rows.source)
    np.testing.assert_allclose(baseline.predict(other), baseline.predict(same), atol=1e-6)


def test_it_is_restored_from_arrays(application: Actions, tmp_path: Path) -> None:
    rows = clips(8)
    fitted, other = (FramesWithoutOrder(application.input, ("down", "up"), 0) for _ in range(2))
    fitted.fit(rows)
    state: Any = fitted.state()
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz", allow_pickle=False) as arrays:
        other.restore(arrays)
    np.testing.assert_array_equal(other.predict(rows), fitted.predict(rows))
