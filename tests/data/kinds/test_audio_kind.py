"""What readers ask of recordings; decoding and manifests have tests of their own."""

from pathlib import Path

import numpy as np
import pytest

from apps.data import Clip, audio

KIND = audio().kind
CLIP = Clip.of(np.array([1, 2, 3], np.int16), 8000)


def test_declaring():
    assert audio() == audio()
    assert audio().required
    assert not audio(required=False).required


@pytest.mark.parametrize(
    ("value", "alone"),
    [
        ("a.wav", True),
        (CLIP, True),
        ((CLIP.samples, 8000), True),
        ({"array": CLIP.samples, "sampling_rate": 8000}, True),
        ({"bytes": b"RIFF"}, True),
        (("a.wav", "yes"), False),
        ({"audio": "a.wav"}, False),
    ],
)
def test_what_is_one_recording_by_itself(value, alone):
    assert KIND.is_value(value) is alone


@pytest.mark.parametrize(
    ("value", "place"),
    [("a.wav", "a.wav"), (Path("b/c.wav"), "b/c.wav"), (" ", None), (CLIP, None)],
)
def test_a_path_alone_names_its_row(value, place):
    assert KIND.place(value) == place


def test_the_digest_is_of_rate_and_samples():
    def digest(clip):
        fed: list[bytes] = []
        KIND.digest(clip, fed.append)
        return fed

    assert digest(CLIP) == digest(Clip(CLIP.samples, CLIP.rate, "elsewhere.wav"))
    assert digest(CLIP) != digest(Clip(CLIP.samples, 16000))
