"""Folders of images as clips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footage import frames, numbers
from PIL import Image

from apps.data.videos.probing import probe
from apps.data.videos.stills import images_of, read_image
from apps.errors import UserError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve images, of which frame10 comes after frame2."""
    clip = tmp_path / "clip"
    clip.mkdir()
    for i, array in enumerate(frames(12)):
        Image.fromarray(array).save(clip / f"frame{i + 1}.png")
    return clip


def test_images_are_in_numeric_order(folder: Path) -> None:
    (folder / "notes.txt").write_text("no image")
    (folder / "._frame1.png").write_bytes(b"left by a Macintosh")
    video, share = probe(folder)
    assert (video.path, video.fault, share) == (str(folder), "", 1.0)
    assert (video.frames, video.width, video.height) == (12, 32, 24)
    assert video.seconds == pytest.approx(12 / 25)
    assert numbers(video.sampled(12, 8)) == list(range(12))
    assert numbers(video.sampled(3, 8)) == [2, 6, 10]
    assert numbers(video.part(0.16, 0.32).sampled(4, 8)) == [4, 5, 6, 7]


def test_the_folder_may_state_its_rate(folder: Path) -> None:
    before = probe(folder)[0].digest
    (folder / "fps.txt").write_text("12\n")
    video, _ = probe(folder)
    assert video.seconds == 1.0
    assert video.digest != before
    (folder / "fps.txt").write_text("fast")
    with pytest.raises(UserError, match=r"fps\.txt says 'fast'; write one number"):
        probe(folder)


def test_the_digest_is_of_the_content(folder: Path) -> None:
    digest = probe(folder)[0].digest
    moved = folder.rename(folder.with_name("moved"))
    assert probe(moved)[0].digest == digest
    Image.new("RGB", (32, 24)).save(moved / "frame3.png")
    assert probe(moved)[0].digest != digest


def test_folders_that_are_no_clips(folder: Path, tmp_path: Path) -> None:
    assert images_of(tmp_path) == []
    with pytest.raises(UserError, match="is a folder, and no clip"):
        probe(tmp_path)
    (folder / "more").mkdir()
    with pytest.raises(UserError, match="and no folders"):
        probe(folder)


def test_damaged_images(folder: Path, capsys: Any) -> None:
    video, _ = probe(folder)
    for number in (1, 2):
        (folder / f"frame{number + 4}.png").write_bytes(b"")
    assert numbers(video.sampled(12, 8)) == [0, 1, 2, 3, 3, 6, *range(6, 12)]
    assert "is no image that can be read" in capsys.readouterr().err
    for number in range(2, 13):
        (folder / f"frame{number}.png").write_bytes(b"\x89PNG")
    with pytest.raises(UserError, match=r"no image that can be read .* 10 more of that clip"):
        video.sampled(12, 8)
    (folder / "frame1.png").write_bytes(b"")
    assert "no image that can be read" in probe(folder)[0].fault
    for file in images_of(folder)[:4]:
        file.unlink()
    with pytest.raises(UserError, match="has lost images"):
        video.sampled(12, 8)


@pytest.mark.parametrize(
    ("mode", "value", "seen"),
    [
        ("L", 90, 90),
        ("RGB", (90, 90, 90), 90),
        ("RGBA", (90, 90, 90, 0), 0),
        ("LA", (90, 255), 90),
        ("1", 1, 255),
        ("I;16", 90 * 257, 90),
    ],
)
def test_modes_of_images(tmp_path: Path, mode: str, value: Any, seen: int) -> None:
    file = tmp_path / "a.png"
    Image.new(mode, (3, 2), value).save(file)
    array = read_image(file)
    assert (array.shape, array.dtype) == ((2, 3, 3), np.uint8)
    assert (array == seen).all()


def test_photographs_stand_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (6, 4))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (6, 4, 3)
