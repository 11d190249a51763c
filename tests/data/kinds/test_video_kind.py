"""What readers ask of clips; decoding and manifests have tests of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data.kinds.video import video
from apps.data.videos.video import Video

KIND = video().kind
ARRAY = np.zeros((3, 4, 5, 3), np.uint8)
CLIP = Video.of(ARRAY, 25)


def test_declaring() -> None:
    assert video() == video()
    assert video().required
    assert not video(required=False).required


@pytest.mark.parametrize(
    ("value", "alone"),
    [
        ("a.mp4", True),
        (CLIP, True),
        ((ARRAY, 25), True),
        ({"array": ARRAY, "fps": 25}, True),
        ({"bytes": b"RIFF"}, True),
        ({"path": "a.mp4"}, True),
        (("a.mp4", "yes"), False),
        ({"video": "a.mp4"}, False),
        ({"path": "a.mp4", "label": "x"}, False),
    ],
)
def test_what_is_one_clip_by_itself(value: Any, alone: bool) -> None:
    assert KIND.is_value(value) is alone


@pytest.mark.parametrize(
    ("value", "place"),
    [("a.mp4", "a.mp4"), (Path("b/c.mp4"), "b/c.mp4"), (" ", None), (CLIP, None)],
)
def test_a_path_alone_names_its_row(value: Any, place: str | None) -> None:
    assert KIND.place(value) == place


def test_the_digest_is_of_the_content() -> None:
    def digest(clip: Video) -> list[bytes]:
        fed: list[bytes] = []
        KIND.digest(clip, fed.append)
        return fed

    assert digest(CLIP) == digest(Video.of(ARRAY, 25, "elsewhere"))
    assert digest(CLIP) != digest(CLIP.part(0.0, 0.04))
