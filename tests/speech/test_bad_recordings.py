"""Recordings as users have them: odd ones are heard, broken ones are named in one line."""

from __future__ import annotations

import json
import math
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr

import apps
from apps.data import Examples
from apps.run import Run

RATE = 8000
KEYWORDS = ["--set", "units=4", "--set", "depth=1", "--set", "channels=2", "--set", "bands=16"]
KEYWORDS += ["--set", "attention=4", "--set", "batch_size=4", "--epochs", "1"]

Refused = Callable[..., str]
Write = Callable[[Path], object]


def tone(hertz: float, seconds: float = 0.3, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_tone(file: Path, hertz: float = 400, seconds: float = 0.3) -> None:
    soundfile.write(file, tone(hertz, seconds), RATE)


def write_truncated(file: Path) -> None:
    write_tone(file, seconds=1.0)
    file.write_bytes(file.read_bytes()[:4044])


def write_nan(file: Path) -> None:
    samples = tone(400).astype(np.float32)
    samples[77] = np.nan
    soundfile.write(file, samples, RATE, subtype="FLOAT")


def write_header_alone(file: Path) -> None:
    with wave.open(str(file), "wb") as sound:
        sound.setparams((1, 2, RATE, 0, "NONE", ""))


def write_impossible_rate(file: Path) -> None:
    write_tone(file)
    content = bytearray(file.read_bytes())
    content[24:28] = struct.pack("<I", 1)
    file.write_bytes(content)


# What the file of row 2 is, then words that the line must hold beside `bad.csv row 2`.
BROKEN: dict[str, tuple[Write, list[str]]] = {
    "truncated": (write_truncated, ["cut off", "0.25 of the 1.00 s", "copy it again"]),
    "zero length": (Path.touch, ["empty (0 bytes)", "record or copy it again"]),
    "no samples": (write_header_alone, ["no samples", "record or copy it again"]),
    "a text": (lambda file: file.write_text("not a sound\n" * 99), ["not audio", "ffmpeg -i"]),
    "NaN": (write_nan, ["1 of 2,400 samples", "sample 77", "write the recording again"]),
    "a folder": (Path.mkdir, ["folder"]),
    "1 Hz": (write_impossible_rate, ["sample rate of 1 Hz"]),
    "too long": (
        lambda file: write_tone(file, seconds=2.0),
        ["2.0 s long", "max_seconds=1", "cut it into pieces", "--set max_seconds=N"],
    ),
}


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows under a header as `bad.csv`, beside good recordings `0.wav` to `3.wav`."""
    for row in range(4):
        write_tone(tmp_path / f"{row}.wav", 300 + 200 * row)

    def write(*rows: str, header: str = "audio,transcript") -> Path:
        file = tmp_path / "bad.csv"
        file.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
        return file

    return write


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_recording_is_named_with_its_row(
    case: str, refused: Refused, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    write, words = BROKEN[case]
    write(tmp_path / "broken.wav")
    for application, said in (("transcription", "go left"), ("keywords", "left")):
        column = "transcript" if application == "transcription" else "label"
        data = manifest(f"0.wav,{said}", f"broken.wav,{said}", "1.wav,no", header=f"audio,{column}")
        run = tmp_path / "run"
        line = refused(
            *("train", application, "--data", data, "--run", run, "--set", "max_seconds=1")
        )
        assert [word for word in ("bad.csv row 2", *words) if word not in line] == [], line
        assert not run.exists()


# What a manifest holds, its header and its rows, then words that the line must hold.
BAD_MANIFESTS: dict[str, tuple[str, str, list[str], list[str]]] = {
    "missing files": (
        "transcription",
        "audio,transcript",
        ["0.wav,go", *(f"gone-{row}.wav,go" for row in range(12))],
        [
            "bad.csv: 12 of 13 audio files do not exist",
            *(f"gone-{row}.wav (row {row + 2})" for row in range(5)),
            "correct the paths, or remove the rows",
        ],
    ),
    "empty transcripts": (
        "transcription",
        "audio,transcript",
        ["0.wav,", '1.wav,"  "'],
        ["bad.csv", "every transcript is empty", "give what is said"],
    ),
    "no path": (
        "transcription",
        "audio,transcript",
        ["0.wav,go", ",stop"],
        ["bad.csv row 2", "audio is empty", "1 of 2 rows", "remove the row"],
    ),
    "no rows": ("transcription", "audio,transcript", [], ["bad.csv", "no rows"]),
    "no transcript": (
        "transcription",
        "audio,transcripts",
        ["0.wav,go", "1.wav,stop"],
        ["bad.csv has no column 'transcript'", "'transcripts'", "--columns transcript="],
    ),
    "no audio": (
        "keywords",
        "sound,label",
        ["0.wav,go", "1.wav,stop"],
        ["bad.csv has no column 'audio'", "'sound'", "--columns audio="],
    ),
    "one label": (
        "keywords",
        "audio,label",
        ["0.wav,go", "1.wav,go"],
        ["bad.csv", "'go'", "at least two labels"],
    ),
    "no label": (
        "keywords",
        "audio,label",
        ["0.wav,go", "1.wav,"],
        ["bad.csv row 2", "label is empty", "1 of 2 rows"],
    ),
}


@pytest.mark.parametrize("case", BAD_MANIFESTS)
def test_a_bad_manifest_is_met_with_one_line(
    case: str, refused: Refused, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    application, header, rows, words = BAD_MANIFESTS[case]
    data = manifest(*rows, header=header)
    line = refused("train", application, "--data", data, "--run", tmp_path / "run")
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "run").exists()
    assert "gone-5" not in line


def test_nothing_but_digital_silence_has_no_words_to_learn(
    refused: Refused, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    for row in range(2):
        soundfile.write(tmp_path / f"{row}.wav", np.zeros(2000), RATE)
    data = manifest("0.wav,go", "1.wav,stop", header="audio,label")
    line = refused("train", "keywords", "--data", data, "--run", tmp_path / "run")
    assert "bad.csv: every recording is digital silence" in line
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_no_recordings(refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "notes.txt").write_text("a note")
    for application, words in (
        ("transcription", ["data"]),
        ("keywords", ["data has no folder per class", "CLASS/*.wav"]),
    ):
        line = refused("train", application, "--data", tmp_path / "data", "--run", tmp_path / "run")
        assert [word for word in words if word not in line] == [], line
        assert not (tmp_path / "run").exists()


# The language model


BAD_LANGUAGE: dict[str, tuple[bytes | None, list[str]]] = {
    "missing": (None, ["no such file", "ARPA"]),
    "a text": (b"to be or not to be\n", ["no '\\data\\' in the file"]),
    "cut off": (b"\\data\\\nngram 1=3\n\n\\1-grams:\n-1\tgo\n", ["line 5", "1-grams expected"]),
    "cut-off gzip": (b"\x1f\x8b\x08\x00\x00\x00\x00\x00", ["cannot be read"]),
}


@pytest.mark.parametrize("case", BAD_LANGUAGE)
def test_a_language_model_that_cannot_be_read(
    case: str, refused: Refused, manifest: Callable[..., Path], tmp_path: Path
) -> None:
    content, words = BAD_LANGUAGE[case]
    if content is not None:
        (tmp_path / "language.arpa").write_bytes(content)
    line = refused(
        *("train", "transcription", "--data", manifest("0.wav,go", "1.wav,stop", "2.wav,no")),
        *("--set", f"language={tmp_path / 'language.arpa'}", "--run", tmp_path / "run"),
    )
    assert [word for word in ("language.arpa", *words) if word not in line] == [], line
    assert not (tmp_path / "run").exists()


# Recordings that are unusual but good


def in_odd_formats(folder: Path, samples: np.ndarray, rate: int) -> dict[str, Path]:
    """The same recording, `(n,)` int16, in formats that are no 16-bit mono wav."""
    floats = samples.astype(np.float32) / 32768
    both = np.stack([floats, floats], 1)
    fast = soxr.resample(floats, rate, 96_000, quality="HQ")
    files: dict[str, Path] = {}

    def write(name: str, values: np.ndarray, rate: int, suffix: str = "wav", **how: Any) -> None:
        files[name] = folder / f"{name}.{suffix}"
        soundfile.write(files[name], values, rate, **how)

    write("8-bit", floats, rate, subtype="PCM_U8")
    write("24-bit", floats, rate, subtype="PCM_24")
    write("float", floats, rate, subtype="FLOAT")
    write("stereo", both, rate)
    write("96-kHz", fast, 96_000, suffix="flac")
    write("not-mp3", floats, rate, suffix="mp3", format="WAV")
    write("ogg", floats, rate, suffix="ogg")
    write("no-suffix", floats, rate, suffix="recording", format="FLAC")
    return files


def test_odd_formats_are_heard_as_the_plain_one(
    transcription_run: Run, sentences: Examples, tmp_path: Path
) -> None:
    clip, said = sentences["audio"][0], sentences["transcript"][0]
    files = in_odd_formats(tmp_path, clip.samples, clip.rate)
    manifest = tmp_path / "manifest.jsonl"
    rows = [{"audio_filepath": file.name, "text": said} for file in files.values()]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    answers = transcription_run.predict(list(files.values()))
    texts = {name: one["text"] for name, one in zip(files, answers, strict=True)}
    # The noise of 8 bits is news to a model that has never heard any.
    assert texts.pop("8-bit")
    assert texts == dict.fromkeys(texts, said)
    measured = transcription_run.evaluate(manifest)
    assert measured["wer"] <= 1 / len(files)
    assert measured["examples"] == len(files)


def test_silence_clipping_and_a_single_sample_are_answered(
    transcription_run: Run, sentences: Examples, tmp_path: Path
) -> None:
    loud = sentences["audio"][0].samples.astype(np.int32) * 40
    files = {
        "silence": np.zeros(RATE, np.int16),
        "clipped": np.clip(loud, -32768, 32767).astype(np.int16),
        "one": np.ones(1, np.int16),
    }
    for name, samples in files.items():
        soundfile.write(tmp_path / f"{name}.wav", samples, sentences["audio"][0].rate)
    answers = transcription_run.predict([tmp_path / f"{name}.wav" for name in files])
    for answer in json.loads(json.dumps(answers)):
        assert 0 <= answer["confidence"] <= 1
        assert answer["text"] == " ".join(answer["words"])
        assert all(math.isfinite(end) for end in answer["ends"])
    assert len(answers) == 3


@pytest.fixture(scope="module")
def keywords_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of two words, learnt from recordings in odd formats.

    Of each word there also are a recording of one sample and one of silence.
    """
    from apps.__main__ import main

    folder = tmp_path_factory.mktemp("keywords")
    for word, hertz in (("high", 1500), ("low", 300)):
        (folder / "words" / word).mkdir(parents=True)
        whole = (32767 * tone(hertz)).astype(np.int16)
        in_odd_formats(folder / "words" / word, whole, RATE)
        (folder / "words" / word / "no-suffix.recording").rename(
            folder / "words" / word / "flac-as.aiff"
        )
        soundfile.write(folder / "words" / word / "one.wav", whole[1:2], RATE)
        soundfile.write(folder / "words" / word / "silent.wav", np.zeros(900), RATE)
    data = ["--data", str(folder / "words"), "--validation", str(folder / "words")]
    assert main(["train", "keywords", *data, "--run", str(folder / "run"), *KEYWORDS]) == 0
    return folder / "run"


def test_odd_formats_are_learnt_from(keywords_run: Path) -> None:
    counts = json.loads((keywords_run / "metrics.json").read_text())["examples"]
    # Silence and a single sample are no words, in training rows as in validation rows.
    assert counts == {"train": 16, "validation": 16, "skipped": 8}
    words = keywords_run.parent / "words"
    measured = apps.load(keywords_run).evaluate(words)
    assert measured["examples"] == 16
    assert measured["skipped"] == 4
    assert math.isfinite(measured["cross_entropy"])


def test_a_label_that_was_never_learnt(
    refused: Refused, manifest: Callable[..., Path], keywords_run: Path
) -> None:
    data = manifest("0.wav,low", "1.wav,middle", header="audio,label")
    line = refused("evaluate", keywords_run, "--data", data)
    words = ["bad.csv row 2", "'middle' was not in the training data", "'high'", "'low'"]
    assert [word for word in words if word not in line] == [], line


def test_prediction_names_what_it_cannot_hear(
    refused: Refused, transcription_run: Run, tmp_path: Path
) -> None:
    write_truncated(tmp_path / "broken.wav")
    line = refused("predict", transcription_run.folder, tmp_path / "broken.wav")
    assert "broken.wav is cut off" in line
    line = refused("predict", transcription_run.folder, tmp_path / "gone.wav")
    assert "gone.wav" in line
    assert "not exist" in line
    write_tone(tmp_path / "long.wav", seconds=41)
    line = refused("predict", transcription_run.folder, tmp_path / "long.wav")
    assert "41.0 s long" in line
    assert "apps stream" in line
