"""Sound that arrives in pieces, from files and from streams, is the sound as a whole."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apps.data.recordings.clip import Clip
from apps.data.recordings.pcm import FORMATS, PcmFormat, PcmStream
from apps.data.recordings.sound import Sound, from_file, from_stream
from apps.errors import UserError

RATE = 8000
SUBTYPES = {
    "u8": "PCM_U8",
    "s16le": "PCM_16",
    "s24le": "PCM_24",
    "s32le": "PCM_32",
    "f32le": "FLOAT",
    "f64le": "DOUBLE",
}


class Trickle:
    """A stream that gives pieces of odd sizes, whatever is asked for."""

    def __init__(self, content: bytes, seed: int = 0) -> None:
        self._content = io.BytesIO(content)
        self._sizes = np.random.default_rng(seed)

    def read(self, size: int) -> bytes:
        return self._content.read(min(size, int(self._sizes.integers(1, 700))))


def swept(seconds: float = 0.7, rate: int = RATE) -> np.ndarray:
    """A tone that rises from 100 to 2000 Hz, `(n,)` float32."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.6 * np.sin(2 * np.pi * (100 + 1357 * time) * time)).astype(np.float32)


def heard(sound: Sound, rate: int = RATE, size: int = 160) -> np.ndarray:
    chunks = list(sound.chunks(rate, size))
    assert {len(chunk) for chunk in chunks[:-1]} <= {size}
    assert 0 < len(chunks[-1]) <= size
    return np.concatenate(chunks)


def raw(content: bytes, layout: str = "s16le", channels: int = 1, rate: int = RATE) -> Sound:
    return from_stream(Trickle(content), rate=rate, layout=layout, channels=channels, usual=1)


def wav(samples: np.ndarray, subtype: str = "PCM_16", format: str = "WAV") -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, RATE, subtype=subtype, format=format)
    return content.getvalue()


def test_raw_samples_in_odd_pieces_are_the_samples_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "swept.wav"
    soundfile.write(file, swept(), RATE, subtype="PCM_16")
    integers = soundfile.read(file, dtype="int16")[0]
    np.testing.assert_array_equal(heard(raw(integers.tobytes())), heard(from_file(file)))


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_wav_streams_of_every_format(layout: str, container: str) -> None:
    stereo = np.stack([swept(), np.zeros_like(swept())], axis=1)
    content = wav(stereo, SUBTYPES[layout], container)
    sound = from_stream(Trickle(content), rate=None, layout=None, channels=None, usual=1)
    assert sound.rate == RATE
    coarse = 1 / 128 if layout == "u8" else 1e-4
    np.testing.assert_allclose(heard(sound), swept() / 2, atol=coarse)


def test_wav_stream_of_unknown_length_with_other_chunks_in_front() -> None:
    content = wav(swept())
    at = content.index(b"data")
    odd = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    open_end = content[:at] + odd + b"data" + struct.pack("<I", 0xFFFFFFFF) + content[at + 8 :]
    sound = from_stream(Trickle(open_end), rate=None, layout=None, channels=None, usual=1)
    np.testing.assert_allclose(heard(sound), swept(), atol=1e-4)


def test_what_follows_the_samples_of_a_wav_stream_is_no_sound() -> None:
    content = wav(swept()) + b"LIST" + struct.pack("<I", 400) + bytes(range(200)) * 2
    sound = from_stream(Trickle(content), rate=None, layout=None, channels=None, usual=1)
    assert len(heard(sound)) == len(swept())


def test_other_rates_are_resampled_as_whole_recordings_are(tmp_path: Path) -> None:
    file = tmp_path / "swept.flac"
    soundfile.write(file, np.stack([swept(rate=44_100)] * 2, axis=1), 44_100)
    streamed = heard(from_file(file))
    whole = Clip.of(swept(rate=44_100), 44_100).at(RATE)
    assert abs(len(streamed) - len(whole)) <= 1
    shared = min(len(streamed), len(whole))
    np.testing.assert_allclose(streamed[:shared], whole[:shared], atol=1e-3)


def test_a_frame_that_the_end_cuts_off_is_left_out() -> None:
    content = (swept() * 32767).astype("<i2").tobytes()
    assert len(heard(raw(content[:-1]))) == len(swept()) - 1
    stereo = raw(content[: 4 * 1000 + 3], channels=2)
    assert len(heard(stereo)) == 1000


def test_a_stream_without_a_sample_is_no_sound() -> None:
    assert list(raw(b"").chunks(RATE, 160)) == []
    assert list(raw(b"\x01").chunks(16_000, 160)) == []


def test_usual_rate_and_format_hold_where_nothing_is_said() -> None:
    sound = from_stream(Trickle(b"\0\x40" * 9), rate=None, layout=None, channels=None, usual=RATE)
    assert sound.rate == RATE
    np.testing.assert_array_equal(heard(sound), np.full(9, 0.5, np.float32))


def test_floats_beyond_full_scale_are_cut_off() -> None:
    np.testing.assert_array_equal(
        PcmFormat("f32le").decode(np.array([2.0, -3.0, 0.5], "<f4").tobytes()), [1.0, -1.0, 0.5]
    )


def test_refused_streams() -> None:
    with pytest.raises(UserError, match="leave out --rate"):
        from_stream(Trickle(wav(swept())), rate=16_000, layout=None, channels=None, usual=1)
    with pytest.raises(UserError, match="ends within its header"):
        PcmStream(Trickle(wav(swept())[:40]))
    with pytest.raises(UserError, match="pcm_s16le"):
        PcmStream(Trickle(wav(swept(), "ULAW")))
    with pytest.raises(UserError, match="sample rate"):
        raw(b"\0\0", rate=0)
    with pytest.raises(UserError, match="NaN"):
        heard(raw(np.full(9, np.nan, "<f4").tobytes(), layout="f32le"))


def test_refused_files(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.wav").write_text("no sound at all")
    soundfile.write(tmp_path / "nan.wav", np.full(99, np.nan), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match="did you mean"):
        from_file(tmp_path / "emty.wav")
    with pytest.raises(UserError, match="is empty"):
        from_file(tmp_path / "empty.wav")
    with pytest.raises(UserError, match="not audio that can be read"):
        from_file(tmp_path / "text.wav")
    with pytest.raises(UserError, match="NaN"):
        heard(from_file(tmp_path / "nan.wav"))
    with pytest.raises(UserError, match="folder"):
        from_file(tmp_path)
