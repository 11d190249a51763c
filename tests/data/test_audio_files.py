"""Decoding: every format and width, and files that are damaged, cut off or no audio at all."""

import struct

import numpy as np
import pytest
import soundfile

from apps.data.recordings.decoding import decode, decode_bytes
from apps.errors import UserError

RATE = 16000
TONE = (0.5 * np.sin(2 * np.pi * 300 * np.arange(RATE // 2) / RATE)).astype(np.float32)


@pytest.fixture
def written(tmp_path):
    """A function that writes samples under a name of no extension known."""

    def write(samples=TONE, kind="WAV", subtype=None, rate=RATE):
        path = tmp_path / "recording.raw"
        soundfile.write(path, samples, rate, format=kind, subtype=subtype)
        return path

    return write


def refused(path):
    with pytest.raises(UserError) as error:
        decode(path)
    assert "\n" not in str(error.value)
    return str(error.value).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("kind", "subtype", "tolerance"),
    [
        ("WAV", "PCM_16", 1),
        ("WAV", "PCM_U8", 256),
        ("WAV", "PCM_24", 1),
        ("WAV", "PCM_32", 1),
        ("WAV", "FLOAT", 0.5),
        ("WAV", "DOUBLE", 0.5),
        ("WAV", "ULAW", 600),
        ("WAV", "ALAW", 600),
        ("FLAC", "PCM_16", 1),
        ("FLAC", "PCM_24", 1),
        ("AIFF", "PCM_16", 1),
        ("OGG", "VORBIS", 1500),
        ("OGG", "OPUS", 1500),
        ("MP3", "MPEG_LAYER_III", 1500),
    ],
)
def test_the_content_decides_whatever_the_name(written, kind, subtype, tolerance):
    path = written(kind=kind, subtype=subtype)
    clip = decode(path)
    assert (clip.rate, clip.path, clip.samples.dtype) == (RATE, str(path), np.int16)
    assert len(clip.samples) == len(TONE)
    middle = slice(1000, -1000)
    assert np.abs(clip.samples - np.rint(TONE * 32768))[middle].max() <= tolerance
    assert decode_bytes(path.read_bytes()).digest == clip.digest


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
def test_channels_are_averaged(written, subtype):
    clip = decode(written(np.stack([TONE, -TONE, TONE / 2], axis=1), subtype=subtype))
    assert np.abs(clip.samples - TONE / 6 * 32768).max() <= 1


def test_a_float_file_beyond_full_scale_is_scaled_down_whole(written):
    clip = decode(written(TONE * 8, subtype="FLOAT"))
    assert np.abs(clip.samples - TONE * 65536).max() <= 1


def test_a_long_file_is_read_in_blocks(written, monkeypatch):
    monkeypatch.setattr("apps.data.recordings.decoding._BLOCK_FRAMES", 999)
    for subtype in ("PCM_16", "FLOAT"):
        clip = decode(written(TONE, subtype=subtype))
        assert len(clip.samples) == len(TONE)
        assert np.abs(clip.samples - TONE * 32768).max() <= 1


@pytest.mark.parametrize("rate", [8000, 44100, 96000])
def test_one_sample_at_any_rate(written, rate):
    clip = decode(written(TONE[7:8], rate=rate))
    assert (clip.rate, len(clip.samples)) == (rate, 1)


def test_silence_and_clipping_are_no_errors(written):
    assert not decode(written(np.zeros(100))).samples.any()
    assert decode(written(np.sign(TONE + 0.01), subtype="PCM_16")).samples.max() == 32767


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "W64", "RF64", "FLAC"])
def test_a_file_that_is_cut_off(written, kind):
    path = written(kind=kind, subtype="PCM_16")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    message = refused(path)
    if kind == "FLAC":
        assert message.startswith("recording.raw is damaged or cut off")
    else:
        assert "recording.raw is cut off: it holds 0.37 of the 0.50 s that its header" in message
    assert message.endswith("copy it again, or remove it")


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF - 36, 0x7FFFF000])
def test_a_writer_that_left_the_length_open(written, size):
    path = written(subtype="PCM_16")
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = struct.pack("<I", size)
    path.write_bytes(content)
    assert len(decode(path).samples) == len(TONE)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers(written, bad):
    samples = TONE.copy()
    samples[[30, 40]] = bad
    message = refused(written(samples, subtype="FLOAT"))
    assert "2 of 8,000 samples are NaN or infinite, the first at sample 30" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "recording.raw is empty (0 bytes); record or copy it again, or remove it"),
        (b"not audio at all" * 9, "is not audio that can be read (Format not recognised)"),
        (b"\0\0\0\x20ftypM4A " + bytes(99), "convert it: ffmpeg -i "),
        (b"version https://git-lfs.github.com/spec/v1\noid", "run: git lfs pull"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "recording.raw is "),
    ],
)
def test_files_that_are_no_audio(tmp_path, content, part):
    path = tmp_path / "recording.raw"
    path.write_bytes(content)
    assert part in refused(path)


def test_a_header_without_samples(written):
    path = written(TONE[:0])
    assert refused(path).startswith("recording.raw holds no samples, only a header")
    whole = written()
    whole.write_bytes(whole.read_bytes()[:44])
    assert refused(whole).startswith("recording.raw holds no samples, only a header")


def test_a_rate_that_no_recording_has(written):
    path = written()
    content = bytearray(path.read_bytes())
    content[24:28] = struct.pack("<I", 3)
    path.write_bytes(content)
    assert refused(path).startswith("recording.raw: a sample rate of 3 Hz is not possible")
