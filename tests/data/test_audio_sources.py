"""Recordings from manifests and Python: what is found, what is refused."""

import json

import numpy as np
import pytest
from audio_files import ALONE, SPEECH, WORDS, clip, numbers, put, refused

from apps.data import (
    Clip,
    audio,
    parse_rename,
    read,
    split,
    text,
    transcript,
)
from apps.errors import UserError


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
