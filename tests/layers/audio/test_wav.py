"""WAV files in the graph: batches, rates, channels, other files, a server's loader."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import tensorflow as tf

from apps.data.recordings.decoding import decode_bytes
from apps.layers.audio.wav import decode_wav

RATE = 16000


@tf.function(input_signature=[tf.TensorSpec([None], tf.string, "wav")])
def decoded(wav: tf.Tensor) -> dict[str, tf.Tensor]:
    audio, lengths = decode_wav(wav, RATE)
    return {"audio": audio, "lengths": lengths}


def wav(samples: np.ndarray, rate: int = RATE, subtype: str = "PCM_16") -> bytes:
    content = io.BytesIO()
    soundfile.write(content, samples, rate, format="WAV", subtype=subtype)
    return content.getvalue()


def sound(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise without its highest frequencies, `(samples, channels)`."""
    white = np.random.default_rng(seed).normal(size=(samples + 8, channels))
    return 0.05 * np.sum([white[i : i + samples] for i in range(8)], axis=0)


@pytest.fixture(scope="module")
def files() -> list[bytes]:
    """Files of unequal length, rate and number of channels; the last has no samples."""
    return [
        wav(sound(3000)),
        wav(sound(2000, seed=1), 8000),
        wav(sound(9000, 2, seed=2), 44100),
        wav(sound(1), 48000),
        wav(sound(0)),
    ]


def test_a_batch_is_what_the_files_are_by_themselves(files: list[bytes]) -> None:
    batch = decoded(tf.constant(files))
    assert batch["lengths"].dtype == tf.int32
    assert batch["lengths"].numpy().tolist() == [3000, 4000, 3265, 1, 1]
    assert batch["audio"].shape == (5, 4000)
    for row, file in enumerate(files):
        audio, (length,) = (value.numpy() for value in decoded(tf.constant([file])).values())
        np.testing.assert_array_equal(batch["audio"][row, :length], audio[0])
        assert not batch["audio"][row, length:].numpy().any()


def test_samples_are_those_of_the_package_s_own_reader(files: list[bytes]) -> None:
    audio = decoded(tf.constant(files[:3]))["audio"].numpy()
    for row, file in enumerate(files[:3]):
        theirs = decode_bytes(file).at(RATE)
        error = audio[row, : len(theirs)] - theirs
        # Close to the lower Nyquist frequency the two filters fall differently.
        assert np.sqrt(np.mean(error**2)) < 5e-3 * np.sqrt(np.mean(theirs**2))
    np.testing.assert_array_equal(audio[0, :3000], decode_bytes(files[0]).at(RATE))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [0, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("behind", [b"", b"\1"])
def test_a_length_that_was_never_written(channels: int, size: int, behind: bytes) -> None:
    whole = wav(sound(100, channels))
    opened = whole[:40] + struct.pack("<I", size) + whole[44:] + behind
    answer = decoded(tf.constant([whole, opened]))
    assert answer["lengths"].numpy().tolist() == [100, 100]
    np.testing.assert_array_equal(answer["audio"][1], answer["audio"][0])


def test_no_files_are_no_rows() -> None:
    answer = decoded(tf.constant([], tf.string))
    assert answer["audio"].shape[0] == answer["lengths"].shape[0] == 0


def test_what_is_no_wav_of_16_bits_is_refused(files: list[bytes]) -> None:
    whole = files[0]
    absurd = whole[:24] + struct.pack("<II", 10, 20) + whole[32:]
    for content, words in {
        b"": "too short",
        b"no wav at all, just some text": "Header mismatch",
        whole[:1000]: "too short",
        wav(sound(10), subtype="PCM_24"): "16-bit",
        wav(sound(10), subtype="FLOAT"): "Bad audio format",
        absurd: "a sample rate from 1000 to 768000 Hz is taken",
    }.items():
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            decoded(tf.constant([whole, content]))


def test_the_loader_of_a_server_runs_it(tmp_path: Path, files: list[bytes]) -> None:
    module = tf.Module()
    module.decoded = decoded
    tf.saved_model.save(module, str(tmp_path), signatures={"wav": decoded})
    expected = decoded(tf.constant(files))
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(tmp_path))
        signature = meta.signature_def["wav"]
        fetched = {name: info.name for name, info in signature.outputs.items()}
        asked = signature.inputs["wav"].name
        answer = session.run(fetched, {asked: np.array(files, object)})
        with pytest.raises(tf.errors.InvalidArgumentError):
            session.run(fetched, {asked: np.array([*files, b"x"], object)})
    for name, value in expected.items():
        np.testing.assert_array_equal(answer[name], value)
