"""WAV files whose header is not what they hold: read to the end all the same."""

import struct

import numpy as np
import pytest

from apps.data import Clip, audio, read
from apps.data.recordings.sound import from_file
from apps.errors import UserError

RATE = 8000
SAMPLES = (np.sin(np.arange(4001) * 0.1) * 9000).astype("<i2")
BYTES = SAMPLES.tobytes()
OPEN = 2**32 - 1


def chunk(name, content, size=None):
    stated = len(content) if size is None else size
    return name + struct.pack("<I", stated) + content + b"\0" * (len(content) % 2)


def riff(*chunks, size=None, tag=b"RIFF"):
    body = b"".join(chunks)
    return tag + struct.pack("<I", len(body) + 4 if size is None else size) + b"WAVE" + body


def wide(size):
    return chunk(b"ds64", struct.pack("<QQQI", size, size, 0, 0))


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16))
DATA = chunk(b"data", BYTES)
LIST = chunk(b"LIST", b"INFOISFT\x05\0\0\0Lavf\0\0")

WHOLE = {
    "as it should be": riff(FORMAT, DATA),
    "other chunks": riff(LIST, FORMAT, chunk(b"junk", b"abc"), DATA, LIST),
    "length zero": riff(FORMAT, chunk(b"data", BYTES, 0), size=0),
    "length zero inside": riff(FORMAT, chunk(b"data", BYTES, 0)),
    "length zero behind other chunks": riff(LIST, FORMAT, chunk(b"data", BYTES, 0), size=36),
    "length of an earlier moment": riff(FORMAT, chunk(b"data", BYTES, 1000), size=1036),
    "open": riff(FORMAT, chunk(b"data", BYTES, OPEN), size=OPEN),
    "open, as sox writes it": riff(FORMAT, chunk(b"data", BYTES, 0x7FFFF000), size=0x7FFFF024),
    "open, behind other chunks": riff(FORMAT, LIST, chunk(b"data", BYTES, OPEN), size=OPEN),
    "64 bits": riff(wide(len(BYTES)), FORMAT, chunk(b"data", BYTES, OPEN), size=OPEN, tag=b"RF64"),
    "64 bits, zero": riff(wide(0), FORMAT, chunk(b"data", BYTES, OPEN), size=OPEN, tag=b"RF64"),
    "64 bits, open": riff(
        wide(2**64 - 1), FORMAT, chunk(b"data", BYTES, OPEN), size=OPEN, tag=b"RF64"
    ),
    "64 bits of broadcasters": riff(
        wide(len(BYTES)), FORMAT, chunk(b"data", BYTES, OPEN), size=OPEN, tag=b"BW64"
    ),
    "samples before their format": riff(DATA, FORMAT),
    "samples in two chunks": riff(
        FORMAT, chunk(b"data", BYTES[:4000]), chunk(b"data", BYTES[4000:])
    ),
    "half a sample more": riff(FORMAT, chunk(b"data", BYTES + b"\1")),
    "half a sample more, length zero": riff(FORMAT, chunk(b"data", BYTES + b"\1", 0), size=0)[:-1],
    "zeros behind": riff(FORMAT, DATA) + b"\0" * 1000,
}


@pytest.mark.parametrize("case", WHOLE)
def test_every_sample_is_read(tmp_path, case):
    path = tmp_path / "a.wav"
    path.write_bytes(WHOLE[case])
    sources = ([str(path)], [path.read_bytes()])
    for source in sources:
        (clip,) = read(source, {"audio": audio()})["audio"]
        np.testing.assert_array_equal(clip.samples, SAMPLES)
        assert clip.rate == RATE
    followed = np.concatenate(list(from_file(path).blocks))
    np.testing.assert_array_equal(followed, SAMPLES / np.float32(32768))


@pytest.mark.parametrize(
    "content",
    [
        riff(FORMAT, chunk(b"data", b"")),
        riff(FORMAT, chunk(b"data", b""), LIST),
        riff(FORMAT, chunk(b"data", b""), size=0),
    ],
)
def test_a_header_alone(tmp_path, content):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(UserError, match="holds no samples, only a header"):
        read([str(path)], {"audio": audio()})


def test_other_codings(tmp_path):
    coded = chunk(b"fmt ", struct.pack("<HHIIHH", 7, 2, RATE, 2 * RATE, 2, 8) + b"\0\0")
    path = tmp_path / "a.wav"
    clips: list[Clip] = []
    for size, outer in ((None, None), (0, 0)):
        path.write_bytes(riff(coded, chunk(b"data", BYTES, size), size=outer))
        clips += read([str(path)], {"audio": audio()})["audio"]
    np.testing.assert_array_equal(clips[0].samples, clips[1].samples)
    assert len(clips[0].samples) == 4001
