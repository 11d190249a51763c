"""Recordings that tests write and read: the first sample of each says its number."""

import numpy as np
import pytest
import soundfile

from apps.data import Clip, audio, group, label, read, transcript
from apps.errors import UserError

WORDS = {
    "audio": audio(),
    "label": label(),
    "group": group(),
    "speaker": group(aliases=("speaker_id",)),
}
SPEECH = {
    "audio": audio(),
    "transcript": transcript(),
    "group": group(),
    "speaker": group(aliases=("speaker_id",)),
}
ALONE = {"audio": audio()}


def clip(number):
    """A recording that its first sample tells from others."""
    return Clip.of(np.array([number, 0, -number], np.int16), 8000)


def numbers(examples):
    return [int(clip.samples[0]) for clip in examples["audio"]]


def put(path, number, kind="WAV"):
    """Write a recording, its folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, clip(number).samples, 8000, format=kind)
    return path


def refused(source, columns=WORDS, **options):
    with pytest.raises(UserError) as error:
        read(source, columns, **options)
    assert "\n" not in str(error.value)
    return str(error.value)
