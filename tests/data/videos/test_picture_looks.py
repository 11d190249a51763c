"""Video files: how a frame looks that is turned, mirrored, interlaced, transparent, or large."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from footage import frames, numbers, write

from apps.data.videos.probing import probe
from apps.data.videos.video import Video


def clip(path: Path) -> Video:
    video, _ = probe(path)
    assert not video.fault
    return video


def test_turned_pictures_stand_upright(tmp_path: Path) -> None:
    array = np.zeros((3, 32, 48, 3), np.uint8)
    array[:, :16, :24] = 200
    brightest = {}
    for turned in (0, 90, 180, 270):
        video = clip(write(tmp_path / f"{turned}.mp4", array, turned=turned))
        assert (video.width, video.height) == ((48, 32), (32, 48))[turned % 180 // 90]
        quarters = video.sampled(1, 2)[0].mean(-1)
        brightest[turned] = divmod(int(quarters.argmax()), 2)
    # Display matrices turn against the clock.
    assert brightest == {0: (0, 0), 90: (1, 0), 180: (1, 1), 270: (0, 1)}


@pytest.mark.parametrize(
    ("matrix", "brightest"),
    [
        ((-1, 0, 0, 1), (0, 1)),
        ((1, 0, 0, -1), (1, 0)),
        ((0, 1, 1, 0), (0, 0)),
        ((0, -1, -1, 0), (1, 1)),
    ],
)
def test_mirrored_pictures_are_seen_as_players_show_them(
    tmp_path: Path, matrix: tuple[int, int, int, int], brightest: tuple[int, int]
) -> None:
    array = np.zeros((3, 32, 48, 3), np.uint8)
    array[:, :16, :24] = 200
    array[:, :16, 24:] = 100
    video = clip(write(tmp_path / "mirrored.mp4", array, matrix=matrix))
    sideways = matrix[0] == 0
    assert (video.width, video.height) == ((32, 48) if sideways else (48, 32))
    quarters = video.sampled(1, 2)[0].mean(-1)
    assert divmod(int(quarters.argmax()), 2) == brightest
    beside = quarters[brightest[0], 1 - brightest[1]]
    other = quarters[1 - brightest[0], brightest[1]]
    assert bool(other > beside) is sideways


def test_pixels_that_are_not_square(tmp_path: Path) -> None:
    wide = clip(write(tmp_path / "wide.mp4", frames(2), aspect=Fraction(4, 3)))
    high = clip(write(tmp_path / "high.mkv", frames(2), aspect=Fraction(1, 2)))
    assert (wide.width, wide.height) == (43, 24)
    assert (high.width, high.height) == (32, 48)


@pytest.mark.parametrize(
    ("name", "codec", "pixels", "side"),
    [
        ("odd.mp4", "libx264", "yuv444p", (33, 17)),
        ("tiny.mkv", "ffv1", "gray", (1, 1)),
        ("tiny.mp4", "libx264", "yuv444p", (1, 1)),
        ("grey.mkv", "ffv1", "gray", (32, 24)),
        ("grey16.mkv", "ffv1", "gray16le", (32, 24)),
        ("ten.mp4", "libx264", "yuv420p10le", (32, 24)),
        ("full.avi", "mjpeg", "yuvj422p", (32, 24)),
        ("rgb.avi", "rawvideo", "bgr24", (32, 24)),
    ],
)
def test_sizes_and_formats_of_pixels(
    tmp_path: Path, name: str, codec: str, pixels: str, side: tuple[int, int]
) -> None:
    video = clip(write(tmp_path / name, frames(5, *side), codec=codec, pixels=pixels))
    assert (video.width, video.height) == side
    assert numbers(video.sampled(5, 16)) == [0, 1, 2, 3, 4]


def test_what_is_transparent_is_black(tmp_path: Path) -> None:
    path = tmp_path / "a.mov"
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("qtrle", 25)
        stream.width, stream.height, stream.pix_fmt = 16, 16, "argb"
        array = np.full((16, 16, 4), 200, np.uint8)
        array[:8, :, 0], array[8:, :, 0] = 0, 255
        container.mux(stream.encode(av.VideoFrame.from_ndarray(array, "argb")))
        container.mux(stream.encode(None))
    picture = clip(path).sampled(1, 2)[0]
    assert picture[..., 0].tolist() == [[0, 0], [200, 200]]


def test_fields_of_interlaced_frames_are_not_mixed(tmp_path: Path) -> None:
    array = np.zeros((4, 32, 32, 3), np.uint8)
    array[:, ::2], array[:, 1::2] = 200, 40
    combed = clip(write(tmp_path / "a.mp4", array, options={"x264-params": "tff=1"}))
    levels = combed.sampled(2, 8).astype(int)
    assert np.ptp(levels) <= 4
    assert min(abs(levels.mean() - 200), abs(levels.mean() - 40)) <= 4
    plain = clip(write(tmp_path / "b.mp4", array)).sampled(2, 8)
    assert plain.mean() == pytest.approx(120, abs=4)


def test_small_pictures_are_means_over_areas(tmp_path: Path) -> None:
    stripes = np.zeros((2, 64, 96, 3), np.uint8)
    stripes[:, :, ::2] = 250
    path = write(tmp_path / "a.mkv", stripes, codec="ffv1", pixels="bgr0")
    np.testing.assert_allclose(clip(path).sampled(2, 8), 125, atol=1)


def test_a_large_picture(tmp_path: Path) -> None:
    array = frames(3, 3840, 2160)
    video = clip(write(tmp_path / "a.mp4", array, options={"preset": "ultrafast"}))
    assert (video.width, video.height) == (3840, 2160)
    assert numbers(video.sampled(3, 64)) == [0, 1, 2]


def test_sound_beside_the_pictures(tmp_path: Path) -> None:
    video = clip(write(tmp_path / "a.mp4", frames(30), sound=True))
    assert video.seconds == pytest.approx(1.2)
    assert numbers(video.sampled(3, 8)) == [5, 15, 25]
