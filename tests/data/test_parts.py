"""Manifests whose rows are parts of recordings: cut out, whatever reader they came through."""

import csv
import json

import numpy as np
import pytest
import soundfile

from apps.data import audio, read, transcript
from apps.data.recordings.parts import field_of
from apps.errors import UserError

COLUMNS = {"audio": audio(), "transcript": transcript()}
SECONDS = 2.0


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "one.wav"
    soundfile.write(path, np.arange(int(8000 * SECONDS), dtype=np.int16), 8000)
    return path


def manifest(recording, form, rows):
    """The rows as a source of some form; recordings are named by the row or by the fixture."""
    rows = [{"audio": str(recording), "transcript": "t", **row} for row in rows]
    path = recording.parent / f"rows.{form}"
    if form in ("csv", "tsv"):
        mark = {"csv": ",", "tsv": "\t"}[form]
        with path.open("w", newline="") as stream:
            csv.writer(stream, delimiter=mark).writerows([rows[0], *(row.values() for row in rows)])
        return path
    if form == "json":
        path.write_text(json.dumps(rows, indent=1))
        return path
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
        return path
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if form == "frame":
        return pytest.importorskip("pandas").DataFrame(columns)
    return columns if form == "columns" else rows


FORMS = ["csv", "tsv", "json", "jsonl", "frame", "columns", "rows"]


def seconds(examples):
    """Where each part begins and ends; samples count up by one a sample."""
    return [(int(c.samples[0]) / 8000, (int(c.samples[-1]) + 1) / 8000) for c in examples["audio"]]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "row",
    [
        {"offset": 0.5, "duration": 0.5},
        {"offset": "0.5", "duration": "0.5"},
        {"start": "00:00:00.5", "end": 1},
        {"start": "0,5", "end": "1,0"},
        {"begin_ms": 500, "finish_ms": 1000},
        {"startSample": 4000, "stopSample": 8000},
        {"start": 0.5, "end": 1.0, "duration": 0.5},
        {"end": 1.0, "duration": 0.5},
    ],
)
def test_parts_are_cut_out(recording, capsys, form, row):
    examples = read(manifest(recording, form, [row, row]), COLUMNS)
    assert seconds(examples) == [(0.5, 1.0)] * 2
    assert examples["audio"][0].rate == 8000
    assert examples["audio"][0].path == f"{recording}#t=0.5,1"
    assert "2 of 2 rows are parts of recordings" in capsys.readouterr().err


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"offset": 0, "duration": 0.5}, (0.0, 0.5)),
        ({"offset": 0, "duration": 1}, (0.0, 1.0)),
        ({"start": 0.0, "end": "0.5"}, (0.0, 0.5)),
        ({"offset": 1.5}, (1.5, 2.0)),
        ({"end": 0.5}, (0.0, 0.5)),
        ({"offset": 1.5, "duration": -1}, (1.5, 2.0)),
    ],
)
def test_parts_at_either_end(recording, form, row, part):
    assert seconds(read(manifest(recording, form, [row]), COLUMNS)) == [part]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "row",
    [
        {"offset": 0, "duration": SECONDS},
        {"offset": "", "duration": 1.95},
        {"start": 0, "end": -1},
        {"start_ms": 0, "end_ms": 2000},
        {"offset_note": 3, "start": "late", "time": 5},
        {},
    ],
)
def test_rows_that_are_whole_recordings(recording, capsys, form, row):
    (clip,) = read(manifest(recording, form, [row]), COLUMNS)["audio"]
    assert (clip.seconds, clip.path) == (SECONDS, str(recording))
    assert capsys.readouterr().err == ""


def test_whole_recordings_whose_lengths_are_rounded_to_seconds(recording, capsys):
    samples, rate = soundfile.read(recording, dtype="int16")
    soundfile.write(recording, samples[:-4000], rate)
    for rounded in (1, 2):
        rows = manifest(recording, "rows", [{"offset": 0, "duration": rounded}])
        assert read(rows, COLUMNS)["audio"][0].seconds == 1.5
    assert capsys.readouterr().err == ""


def test_a_part_that_is_a_file_of_its_own_already(recording, capsys):
    rows = manifest(recording, "rows", [{"begin_time": 93.5, "end_time": 95.5}])
    assert read(rows, COLUMNS)["audio"][0].seconds == SECONDS
    assert "1 rows state times of longer recordings" in capsys.readouterr().err


def test_a_length_that_is_not_that_of_the_recording_is_said(recording, capsys):
    rows = manifest(recording, "rows", [{"duration": 0.5}])
    assert read(rows, COLUMNS)["audio"][0].seconds == SECONDS
    assert (
        "1 of 1 rows state another length than their recording has, such as list row 1: 0.5 s"
        ", not 2.00 s" in capsys.readouterr().err
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"offset": 1.5, "duration": 1.2}, r"from 1.5 to 2.7 s, but its recording has 2.00 s"),
        ({"start": 500, "end": 1000}, r"from 500 to 1000 s, but .*such as start_ms"),
        ({"offset": -0.5, "duration": 1.2}, r"from -0.5 to 0.7 s, but"),
        ({"start": 1.0, "end": 0.5}, r"from 1 to 0.5 s, which is nothing"),
        ({"offset": 0.5, "duration": 0}, r"from 0.5 to 0.5 s, which is nothing"),
        ({"start": 0.5, "end": 1.5, "duration": 0.2}, r"says that it lasts 0.2 s"),
        ({"start": 0.5, "offset": 1.5}, r"0.5 s and, as offset, 1.5 s for the same start"),
    ],
)
def test_parts_that_cannot_be(recording, form, row, message):
    with pytest.raises(UserError, match=f"row 2 .*{message}"):
        read(manifest(recording, form, [dict.fromkeys(row, ""), row]), COLUMNS)


def test_a_time_that_is_none(recording):
    rows = manifest(recording, "csv", [{"offset": "0.5"}, {"offset": "later"}])
    with pytest.raises(UserError, match="row 2 has 'later' as offset, which is no time"):
        read(rows, COLUMNS)


def test_durations_of_rows_that_share_a_recording(recording):
    rows = manifest(recording, "rows", [{"duration": 0.5}, {"duration": 0.7}])
    with pytest.raises(UserError, match=r"row 1 says that it lasts 0\.5 s and shares .*'offset'"):
        read(rows, COLUMNS)


def test_a_field_that_only_some_records_have(recording):
    rows = manifest(recording, "rows", [{}, {"offset": 1}, {}])
    assert seconds(read(rows, COLUMNS)) == [(0.0, 2.0), (1.0, 2.0), (0.0, 2.0)]


def test_tensorflow_datasets(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyParts(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "audio": tfds.features.Audio(sample_rate=8000),
                    "text": tfds.features.Text(),
                    "start_time": np.float32,
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                yield 0, {"audio": np.arange(9), "text": "t", "start_time": 4 / 8000}

    tfds.disable_progress_bar()
    TinyParts(data_dir=tmp_path).download_and_prepare()
    tfds.enable_progress_bar()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert read("tfds:tiny_parts", COLUMNS)["audio"][0].samples.tolist() == [4, 5, 6, 7, 8]


def test_a_field_beside_the_columns_may_be_anything(recording):
    for field in (0.5, "0.5", [1, 2], None):
        columns = {"audio": [str(recording)], "transcript": ["t"], "start": field}
        assert len(read(columns, COLUMNS)) == 1


def test_a_column_of_that_name_is_no_part(recording):
    rows = manifest(recording, "rows", [{"start": "1"}])
    assert read(rows, COLUMNS, rename={"transcript": "start"})["transcript"] == ["1"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("offset", ("start", 1.0)),
        ("Start_Time", ("start", 1.0)),
        ("segmentEnd", ("end", 1.0)),
        ("duration[ms]", ("duration", 1e-3)),
        ("begin (s)", ("start", 1.0)),
        ("start_date", None),
        ("time", None),
        ("start_end", None),
        ("frames", None),
    ],
)
def test_what_names_say(name, found):
    assert field_of(name) == found
