"""Clips: from arrays, at other rates, told apart by their content."""

from functools import partial

import numpy as np
import pytest

from apps.data import Clip, Sequences
from apps.data.recordings.clip import spooled
from apps.data.spool import Spool
from apps.errors import UserError

TONE = np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)


@pytest.mark.parametrize(
    ("array", "samples"),
    [
        (np.array([0, 1, -32768, 32767], np.int16), [0, 1, -32768, 32767]),
        (np.array([0, 1, -32768, 32767], np.int64), [0, 1, -32768, 32767]),
        (np.array([0, 2**30, -(2**31)], np.int32), [0, 16384, -32768]),
        (np.array([0, 128, 255], np.uint8), [-32768, 0, 32512]),
        (np.array([-128, 64], np.int8), [-32768, 16384]),
        (np.array([0.0, 0.5, -1.0, 1.0], np.float32), [0, 16384, -32768, 32767]),
        (np.array([0.25, -0.5], np.float16), [8192, -16384]),
        (np.array([[1, 3], [-5, -7]], np.int16), [2, -6]),
        ([0.5, 0.25], [16384, 8192]),
        (np.zeros(0, np.float32), []),
    ],
)
def test_arrays_of_every_kind_become_16_bits(array, samples):
    clip = Clip.of(array, 8000)
    assert clip.samples.dtype == np.int16
    assert clip.samples.tolist() == samples


def test_floats_beyond_full_scale_are_scaled_down_whole():
    loud = Clip.of(TONE * 3.0, 8000)
    assert np.abs(loud.samples - Clip.of(TONE, 8000).samples.astype(int)).max() <= 1


@pytest.mark.parametrize(
    ("array", "rate", "part"),
    [
        (np.zeros((1, 160000)), 16000, "would have 160,000 channels"),
        (np.zeros((2, 2, 2)), 16000, "of shape (2, 2, 2) is not a recording"),
        (np.zeros(3, np.complex64), 16000, "an array of complex64 is not a recording"),
        (np.zeros(3, np.uint16), 16000, "an array of uint16 is not a recording"),
        (np.array(["a"]), 16000, "is not a recording"),
        ([0.0, np.nan, np.inf], 16000, "2 of 3 samples are NaN or infinite, the first at sample 1"),
        ([np.inf, -np.inf], 16000, "2 of 2 samples are NaN or infinite"),
        ([0.0], 0, "a sample rate of 0 Hz is not possible"),
        ([0.0], 16000.5, "a sample rate of 16000.5 Hz is not possible"),
        ([0.0], np.nan, "a sample rate of nan Hz is not possible"),
        ([0.0], "16k", "a sample rate of 16k Hz is not possible"),
        ([0.0], [1, 2], "a sample rate of an array of shape (2,) Hz is not possible"),
    ],
)
def test_arrays_that_are_no_recordings(array, rate, part):
    with pytest.raises(UserError) as error:
        Clip.of(array, rate)
    assert part in str(error.value)


def test_samples_of_another_kind_are_the_callers_fault():
    with pytest.raises(ValueError, match=r"Clip\.of takes other arrays"):
        Clip(np.zeros(3, np.float32), 8000)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 48000])
def test_a_tone_stays_a_tone_at_any_rate(rate):
    clip = Clip.of(TONE * 0.5, 8000)
    floats = clip.at(rate)
    assert (floats.dtype, len(floats)) == (np.float32, rate)
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)
    middle = slice(rate // 10, -rate // 10)
    assert np.abs(floats - expected)[middle].max() < 2e-4


def test_resampling_leaves_out_what_the_lower_rate_cannot_hold():
    high = np.sin(2 * np.pi * 6000 * np.arange(16000) / 16000)
    assert np.abs(Clip.of(high, 16000).at(8000)[500:-500]).max() < 1e-3


def test_resampled_floats_stay_in_range():
    square = np.where(np.arange(8000) // 40 % 2, 1.0, -1.0)
    assert np.abs(Clip.of(square, 8000).at(16000)).max() == 1.0


def test_a_long_clip_is_resampled_in_blocks(monkeypatch):
    clip = Clip.of(TONE, 8000)
    whole = clip.at(11025)
    monkeypatch.setattr("apps.data.recordings.clip._BLOCK", 700)
    assert np.abs(clip.at(11025) - whole).max() < 1e-6


@pytest.mark.parametrize("samples", [0, 1, 2])
def test_hardly_any_samples_survive_resampling(samples):
    clip = Clip.of(np.full(samples, 0.5), 96000)
    assert len(clip.at(8000)) == min(samples, 1)
    assert clip.seconds == samples / 96000


def test_text_and_digest_depend_on_rate_and_samples_alone():
    one, same = Clip.of(TONE, 8000, "a.wav"), Clip.of(TONE, 8000, "b.wav")
    assert one.digest == same.digest
    assert str(one) == str(same) == f"audio {one.digest}"
    others = {one.digest, Clip.of(TONE, 16000).digest, Clip.of(TONE[:-1], 8000).digest}
    assert len(others) == 3
    assert repr(one) == "Clip('a.wav', 1.000 s at 8000 Hz)"


ROWS = [np.arange(5), np.zeros(0), np.arange(3), np.arange(7)]


@pytest.mark.parametrize("most_bytes", [1 << 20, 12, 0])
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_spool_gives_the_same_in_memory_and_on_disk(most_bytes, dtype):
    spool = Spool(dtype, most_bytes)
    for row in ROWS:
        spool.append(row)
    values, offsets = spool.finish()
    assert values.dtype == dtype
    assert offsets.tolist() == [0, 5, 5, 8, 15]
    assert values.tolist() == np.concatenate(ROWS).tolist()


def test_a_full_disk_is_told_with_the_remedy(monkeypatch):
    class Full:
        def write(self, _):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)
    spool = Spool(np.int16, most_bytes=4)
    with pytest.raises(UserError, match=r"\(No space left on device\); name a .*TMPDIR=FOLDER"):
        spool.append(np.zeros(10))


def test_spooled_clips_are_the_same_clips():
    clips = [Clip.of(TONE, 8000, "a.wav"), Clip.of([], 16000), Clip.of(TONE[:9], 44100, "b.wav")]
    again = spooled(iter(clips))
    assert [clip.digest for clip in again] == [clip.digest for clip in clips]
    assert [clip.path for clip in again] == ["a.wav", "", "b.wav"]


def test_many_clips_lie_in_a_file_and_are_read_when_asked_for(monkeypatch):
    monkeypatch.setattr("apps.data.recordings.clip.Spool", partial(Spool, most_bytes=1))
    clips = [Clip.of(TONE, 8000, "a.wav"), Clip.of([], 16000), Clip.of(TONE[:9], 44100, "b.wav")]
    again = spooled(iter(clips))
    for one, same in zip(clips, again, strict=True):
        assert "samples" not in vars(same)
        np.testing.assert_array_equal(same.samples, one.samples)
        np.testing.assert_array_equal(same.at(16000), one.at(16000))
        assert (same.digest, same.seconds, same.path) == (one.digest, one.seconds, one.path)
    part = again[0].part(100, 300, "part").part(50, 1000, "part of it")
    np.testing.assert_array_equal(part.samples, clips[0].samples[150:300])
    assert (part.count, part.rate, part.path) == (150, 8000, "part of it")
    assert again[0].part(9000, 9100, "").count == 0


def test_ragged_rows_hold_floats():
    ragged = Sequences.from_rows((clip.at(16000) for clip in [Clip.of(TONE, 16000)]), np.float32)
    assert ragged.values.dtype == np.float32
    fetched = ragged.fetch(np.array([0]), 8005)
    assert fetched.dtype == np.float32
    assert np.allclose(fetched[0, :8000], TONE, atol=1e-4)
    assert (fetched[0, 8000:] == 0).all()
