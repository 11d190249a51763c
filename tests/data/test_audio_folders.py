"""Recordings from folders, corpora and TensorFlow Datasets: what is found, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from audio_files import ALONE, SPEECH, WORDS, clip, numbers, put, refused

from apps.data import (
    Examples,
    label,
    read,
    transcript,
)


def test_a_folder_per_class(tmp_path):
    put(tmp_path / "yes" / "b.wav", 1)
    put(tmp_path / "yes" / "bob" / "a.flac", 2, "FLAC")
    put(tmp_path / "no" / "X.WAV", 3)
    put(tmp_path / "_background_noise_" / "hum.wav", 4)
    put(tmp_path / ".hidden" / "a.wav", 5)
    (tmp_path / "yes" / "notes.md").write_text("no recording")
    examples = read(tmp_path, WORDS, rename={"audio": "file"})
    assert numbers(examples) == [4, 3, 1, 2]
    assert examples["label"] == ["_background_noise_", "no", "yes", "yes"]
    assert examples.places[1] == f"{tmp_path}/no/X.WAV"


def test_a_relative_folder(tmp_path, monkeypatch):
    put(tmp_path / "words" / "yes" / "1.wav", 1)
    monkeypatch.chdir(tmp_path)
    assert numbers(read("words", WORDS)) == [1]


def test_recordings_alone_at_any_depth(tmp_path):
    put(tmp_path / "z.wav", 1)
    put(tmp_path / "a" / "b" / "c" / "1.wav", 2)
    assert numbers(read(tmp_path, ALONE)) == [2, 1]
    assert numbers(read(tmp_path / "a" / "b" / "c", WORDS, optional=("label",))) == [2]


def test_folders_that_are_no_classes(tmp_path):
    assert "has no folder per class; put the recordings into" in refused(tmp_path)
    put(tmp_path / "train" / "yes" / "1.wav", 1)
    assert refused(tmp_path) == (
        f"{tmp_path}/train holds classes of its own ('yes'); "
        f"name that folder: --data {tmp_path}/train"
    )
    put(tmp_path / "deep" / "yes" / "bob" / "1.wav", 1)
    assert f"{tmp_path}/deep holds classes of its own ('yes')" in refused(tmp_path)
    transcribed = {**WORDS, "transcript": transcript()}
    assert "a folder per class has no 'transcript'" in refused(tmp_path / "train", transcribed)
    (tmp_path / "train" / "no").mkdir()
    assert f"{tmp_path}/train/no has no recordings (.wav, " in refused(tmp_path / "train")
    (tmp_path / "empty").mkdir()
    assert "has no recordings (.wav, " in refused(tmp_path / "empty", ALONE)


# Corpora


@pytest.fixture
def ljspeech(tmp_path):
    put(tmp_path / "wavs" / "LJ-1.wav", 1)
    put(tmp_path / "wavs" / "LJ-2.flac", 2, "FLAC")
    put(tmp_path / "wavs" / "LJ-3.wav", 3)
    lines = ['LJ-1|in 1, "two|in one, two', "LJ-2|plain|", "", "LJ-3.wav|third"]
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.mark.parametrize("name", ["", "metadata.csv"])
def test_ljspeech_by_its_folder_or_its_metadata(ljspeech, name, monkeypatch):
    monkeypatch.chdir(ljspeech.parent)
    path = Path(ljspeech.name) / name
    examples = read(path, SPEECH, rename={"transcript": "sentence"} if name else None)
    assert numbers(examples) == [1, 2, 3]
    assert examples["transcript"] == ["in one, two", "plain", "third"]
    assert examples.places[2] == f"{ljspeech.name}/metadata.csv row 3"


def test_rows_of_ljspeech_that_are_wrong(ljspeech):
    metadata = ljspeech / "metadata.csv"
    metadata.write_text("LJ-1|one\nLJ-9|nine\n")
    assert f"{metadata}: 1 of 2 audio files do not exist: {ljspeech}/wavs/LJ-9.wav (row 2)" in (
        refused(ljspeech, SPEECH)
    )
    labelled = {**SPEECH, "label": label()}
    assert "LJSpeech's layout has no 'label'" in refused(ljspeech, labelled)
    metadata.write_text("LJ-1|one\nLJ-2\n")
    assert refused(metadata, SPEECH).startswith(f"{metadata} row 2 (line 2) has 1 fields between")
    metadata.write_bytes(b"LJ-1|caf\xe9\n")
    assert "byte 0xe9 at position 8 is not UTF-8" in refused(metadata, SPEECH)


@pytest.mark.parametrize(
    ("third", "text", "chosen"),
    [
        ("4.42", "x i sixty one", 0),
        ("HH AH0 L OW1", "hello there my friend", 0),
        ("bob", "yes", 0),
        ("happy", "I am so glad", 0),
        ("in nineteen fifteen, he said no.", 'In 1915, "he said no.', 1),
        ("YES", "yes", 1),
        ("nineteen", "19", 1),
        ("19.5", "19", 0),
        ("ni3 hao3", "你好", 0),
        ("你好十", "你好10", 1),
    ],
)
def test_a_third_field_of_ljspeech_that_is_something_else(tmp_path, capsys, third, text, chosen):
    for number in (1, 2):
        put(tmp_path / "wavs" / f"LJ-{number}.wav", number)
    (tmp_path / "metadata.csv").write_text(f"LJ-1|{text}|{third}\nLJ-2|{text}|{third}\n")
    assert read(tmp_path, SPEECH)["transcript"] == [(text, third)[chosen]] * 2
    said = capsys.readouterr().err
    assert ("the third field is no normalised text of the second" in said) == (not chosen)


def test_names_of_files_in_another_unicode_form(tmp_path):
    put(tmp_path / "wavs" / "cafe\u0301.wav", 1)
    (tmp_path / "metadata.csv").write_text("caf\u00e9|one\ncaf\u00e9.wav|two\n")
    assert numbers(read(tmp_path, SPEECH)) == [1, 1]
    (tmp_path / "rows.csv").write_text(
        "audio,label\nwavs/caf\u00e9.wav,x\nwavs\\cafe\u0301.wav,x\n"
    )
    assert numbers(read(tmp_path / "rows.csv", WORDS)) == [1, 1]


def test_one_class_in_folders_of_two_unicode_forms(tmp_path):
    put(tmp_path / "caf\u00e9" / "1.wav", 1)
    put(tmp_path / "cafe\u0301" / "2.wav", 2)
    assert read(tmp_path, WORDS)["label"] == ["caf\u00e9"] * 2


def test_librispeech(tmp_path):
    for identity, number in [("19-198-0000", 1), ("19-198-0001", 2), ("26-495-0000", 3)]:
        speaker, chapter, _ = identity.split("-")
        put(tmp_path / "train" / speaker / chapter / f"{identity}.flac", number, "FLAC")
    first = tmp_path / "train" / "19" / "198" / "19-198.trans.txt"
    first.write_text("19-198-0000 ONE\n19-198-0001 TWO MORE\n")
    (tmp_path / "train" / "26" / "495" / "26-495.trans.txt").write_text("26-495-0000 THREE\n")
    examples = read(tmp_path, SPEECH, rename={"group": "speaker"})
    assert numbers(examples) == [1, 2, 3]
    assert examples["transcript"] == ["ONE", "TWO MORE", "THREE"]
    assert examples["speaker"] == examples["group"] == ["19", "19", "26"]
    assert examples.places[1] == f"{first} row 2"
    assert numbers(read(first.parent, SPEECH)) == [1, 2]
    first.write_text("19-198-0002 GONE\n")
    assert f"19-198-0002.flac ({first} row 1)" in refused(tmp_path, SPEECH)


def test_speakers_of_one_folder_each(tmp_path):
    put(tmp_path / "alice" / "u1.wav", 1)
    (tmp_path / "alice" / "all.trans.txt").write_text("u1 hello\n")
    assert read(tmp_path, SPEECH)["speaker"] == ["alice"]


# TensorFlow Datasets


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinySpeech(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "audio": tfds.features.Audio(dtype=np.int16, sample_rate=8000),
                    "speech": tfds.features.Audio(),
                    "empty": tfds.features.Audio(),
                    "label": tfds.features.ClassLabel(names=["no", "yes"]),
                    "labels": tfds.features.Sequence(tfds.features.ClassLabel(names=["n", "y"])),
                    "speaker_id": np.int64,
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                for i in range(3):
                    yield (
                        i,
                        {
                            "audio": clip(i).samples,
                            "speech": clip(i + 10).samples.astype(np.int64),
                            "empty": np.zeros(0, np.int64),
                            "label": i % 2,
                            "labels": [i % 2, 1],
                            "speaker_id": i,
                        },
                    )

    folder = tmp_path_factory.mktemp("tfds")
    tfds.disable_progress_bar()
    TinySpeech(data_dir=folder).download_and_prepare()
    tfds.enable_progress_bar()
    return folder


def by_speaker(examples):
    rows = zip(examples["speaker"], numbers(examples), examples["audio"], strict=True)
    return {speaker: (number, one.rate) for speaker, number, one in rows}


def test_tfds(prepared, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    words = read("tfds:tiny_speech", WORDS)
    assert by_speaker(words) == {str(i): (i, 8000) for i in range(3)}
    assert dict(zip(words["speaker"], words["label"], strict=True)) == {
        "0": "no",
        "1": "yes",
        "2": "no",
    }
    rename = {"audio": "speech", "transcript": "labels"}
    speech = read("tfds:tiny_speech", SPEECH, rename=rename)
    assert by_speaker(speech) == {str(i): (i + 10, 16000) for i in range(3)}
    assert dict(zip(speech["speaker"], speech["transcript"], strict=True))["1"] == "y y"
    message = refused("tfds:tiny_speech", WORDS, rename={"audio": "empty"})
    assert message.startswith("tfds:tiny_speech row 1: the audio has no samples")
    message = refused("tfds:tiny_speech", WORDS, rename={"audio": "speaker_id"})
    assert message.startswith("tfds:tiny_speech row 1: an array of shape () is not a recording")


def test_clips_survive_selection():
    rows = Examples({"audio": [clip(1), clip(2)], "label": ["a", "b"]}, ["1", "2"], "list")
    assert numbers(rows.select([1])) == [2]
