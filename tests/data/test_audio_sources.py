"""Recordings from manifests, folders, corpora and Python: what is found, what is refused."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from apps.data import (
    Clip,
    Examples,
    audio,
    group,
    label,
    parse_rename,
    read,
    split,
    text,
    transcript,
)
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


@pytest.fixture
def folder(tmp_path):
    for number in (1, 2, 3):
        put(tmp_path / "data" / "a b" / f"{number}.wav", number)
    return tmp_path / "data"


# Manifests


def test_a_manifest_with_paths_relative_to_it(folder, monkeypatch):
    table = folder / "train.csv"
    table.write_text("audio,label,speaker\na b/1.wav,yes,x\n./a b/2.wav,no,y\n a b/1.wav ,yes,x\n")
    monkeypatch.chdir(folder.parent)
    examples = read("data/train.csv", WORDS)
    assert numbers(examples) == [1, 2, 1]
    assert examples["label"] == ["yes", "no", "yes"]
    assert examples["speaker"] == ["x", "y", "x"]
    assert "group" not in examples
    assert examples["audio"][0].path == "data/a b/1.wav"
    assert examples["audio"][0] is examples["audio"][2]


def test_absolute_paths_and_the_home_folder(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder))
    table = folder.parent / "train.tsv"
    table.write_text(f"audio\tlabel\n~/a b/1.wav\tx\n{folder}/a b/3.wav\ty\n")
    assert numbers(read(table, WORDS)) == [1, 3]


@pytest.mark.parametrize("below", ["clips", "wavs"])
def test_files_in_the_usual_folder_beside_the_manifest(tmp_path, below):
    put(tmp_path / below / "common_voice_1.mp3", 1)
    table = tmp_path / "validated.tsv"
    table.write_text('client_id\tpath\tsentence\nx\tcommon_voice_1.mp3\tHe said "no.\n')
    examples = read(table, SPEECH, rename={"speaker": "client_id"})
    assert examples["transcript"] == ['He said "no.']
    assert examples["speaker"] == ["x"]


def test_lines_of_json_as_nemo_writes_them(folder):
    lines = [{"audio_filepath": "a b/1.wav", "duration": 0.1, "text": "one", "speaker_id": 7}]
    path = folder / "train.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    examples = read(path, SPEECH)
    assert (numbers(examples), examples["transcript"]) == ([1], ["one"])
    assert examples["speaker"] == ["7"]


def test_a_header_between_bars(folder):
    path = folder / "train.csv"
    path.write_text("file|text|speaker\na b/2.wav|one, two, three|x\n")
    examples = read(path, SPEECH)
    assert (numbers(examples), examples["transcript"]) == ([2], ["one, two, three"])


@pytest.mark.parametrize(
    ("header", "chosen"),
    [("path,audio", 2), ("audio,path", 1), ("wav,file", 2), ("Filename,wav", 1)],
)
def test_the_order_of_the_names_of_a_column(folder, header, chosen):
    path = folder / "train.csv"
    path.write_text(f"{header},label\na b/1.wav,a b/2.wav,x\n")
    assert numbers(read(path, WORDS)) == [chosen]


def test_an_alias_gives_way_to_a_column_of_that_name():
    columns = {"audio": audio(), "path": text(), "transcript": transcript()}
    assert refused([{"path": "x", "text": "t"}], columns).startswith(
        "list row 1 has no column 'audio'"
    )
    renamed = {"path": "text"}
    message = refused([{"audio": clip(1), "text": "t"}], columns, rename=renamed)
    assert message.startswith("list row 1 has no column 'transcript'")


def test_groups_may_be_the_speakers_that_are_read_too():
    rename = parse_rename("group=speaker", WORDS)
    records = [
        {"audio": clip(n), "label": "ab"[n % 2], "speaker": f"s{n // 2 % 2}"} for n in range(8)
    ]
    examples = read(records, WORDS, rename=rename)
    assert examples["group"] == examples["speaker"]
    training, held_out = split(examples, 0.5, 0)
    assert not set(training["group"]) & set(held_out["group"])
    assert all(isinstance(value, Clip) for value in held_out["audio"])
    with pytest.raises(UserError, match="'audio', 'label' would both be read from 'audio'"):
        parse_rename("label=audio", WORDS)


# Bad rows


def test_all_missing_files_are_counted_and_five_are_shown(folder):
    rows = ["a b/1.wav,x", *(f"gone/{n}.wav,x" for n in range(7)), "gone/0.wav,x"]
    table = folder / "train.csv"
    table.write_text("\n".join(["audio,label", *rows]))
    assert refused(table) == (
        f"{table}: 7 of 8 audio files do not exist: gone/0.wav (row 2), gone/1.wav (row 3), "
        "gone/2.wav (row 4), gone/3.wav (row 5), gone/4.wav (row 6), …; relative ones are looked "
        f"for in {folder}; correct the paths, or remove the rows"
    )


@pytest.mark.parametrize("path", ["x" * 300, "a\0b", "~nobody-of-that-name/a.wav"])
def test_paths_that_no_file_can_have(path):
    assert "1 of 1 audio files do not exist" in refused([path], ALONE)


def test_files_that_cannot_be_decoded_are_counted(folder):
    for number in (1, 2):
        (folder / "a b" / f"{number}.wav").write_bytes(b"RIFF")
    table = folder / "train.csv"
    table.write_text("audio,label\na b/3.wav,x\na b/1.wav,x\na b/2.wav,x\n")
    message = refused(table)
    assert message.startswith(f"{table} row 2: {folder}/a b/1.wav is not audio that can be read")
    assert message.endswith(f"; 1 more of 3 cannot be read: {table} row 3")


@pytest.mark.parametrize("cell", ["", "   "])
def test_an_empty_path(folder, cell):
    table = folder / "train.csv"
    table.write_text(f"audio,label\na b/3.wav,x\n{cell},x\n")
    assert refused(table) == (
        f"{table} row 2: the audio is empty (1 of 2 rows); fill it in or remove the row"
    )


def test_a_folder_as_a_recording(folder):
    assert refused([(folder / "a b", "x")]) == (
        f"list row 1: {folder}/a b is a folder where a file is expected; name a file"
    )


def test_a_recording_that_may_not_be_read(folder, monkeypatch):
    # The superuser may read everything, so the refusal has to be acted out.
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("apps.data.recordings.column.decode", refuse)
    path = folder / "a b" / "1.wav"
    assert refused([str(path)], ALONE) == (
        f"{path}: permission denied; allow reading: chmod u+rX '{path}'"
    )


def test_a_manifest_without_rows_and_one_without_the_column(folder):
    table = folder / "train.csv"
    table.write_text("audio,label\n")
    assert "has no rows" in refused(table)
    table.write_text("sound,label\na b/1.wav,x\n")
    assert refused(table).endswith("say which one holds the audio: --columns audio=NAME")


def test_what_else_is_wrong_shows_before_anything_is_decoded(folder):
    table = folder / "train.csv"
    table.write_text("audio,label\nnone.wav,\n")
    assert "the label is empty" in refused(table)


# Python


@pytest.mark.parametrize(
    "one",
    [
        clip(5),
        (clip(5).samples, 8000),
        [clip(5).samples, 8000.0],
        (clip(5).samples / 32768, np.int64(8000)),
        {"array": clip(5).samples, "sampling_rate": 8000, "path": None},
    ],
)
def test_recordings_in_memory(one):
    assert numbers(read([(one, "x")], WORDS)) == [5]
    assert numbers(read([{"audio": one, "label": 1}], WORDS)) == [5]
    assert numbers(read({"audio": [one], "label": [1]}, WORDS)) == [5]
    alone = read([one, one], ALONE)
    assert numbers(alone) == [5, 5]
    assert alone.places == ["list row 1", "list row 2"]


def test_paths_alone_are_their_own_places(folder):
    paths = [f"{folder}/a b/1.wav", folder / "a b" / "2.wav"]
    for source in (paths, [{"audio": path} for path in paths], {"audio": paths}):
        examples = read(source, ALONE)
        assert numbers(examples) == [1, 2]
        assert examples.places == list(map(str, paths))


def test_bytes_are_a_path_or_a_whole_file(folder):
    path = folder / "a b" / "3.wav"
    assert numbers(read([bytes(path), path.read_bytes()], ALONE)) == [3, 3]
    assert numbers(read([{"bytes": path.read_bytes(), "path": "3.wav"}], ALONE)) == [3]


def test_tf_data(folder):
    import tensorflow as tf

    paths = tf.data.Dataset.from_tensor_slices({"audio": [f"{folder}/a b/1.wav"], "label": [1]})
    assert numbers(read(paths, WORDS)) == [1]
    arrays = tf.data.Dataset.from_tensors({"audio": (clip(4).samples, 8000), "label": "x"})
    assert numbers(read(arrays, WORDS)) == [4]


@pytest.mark.parametrize(
    ("one", "part"),
    [
        (np.zeros(9), "the audio is an array that has no sample rate; give (array"),
        ([0.0] * 9, "the audio is an array that has no sample rate; give (array"),
        (5, "the audio is of type int, not a recording; give a path, or (array, rate in Hz)"),
        ((np.zeros(9), "fast"), "a sample rate of fast Hz is not possible"),
        ((np.full(9, np.nan), 8000), "9 of 9 samples are NaN"),
        ((np.zeros(0), 8000), "the audio has no samples"),
        (Clip.of([], 8000), "the audio has no samples"),
        (None, "the audio is empty (1 of 1 rows)"),
    ],
)
def test_what_is_no_recording(one, part):
    message = refused([{"audio": one}], ALONE)
    assert message.startswith(f"list row 1: {part}")


# Folders


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
