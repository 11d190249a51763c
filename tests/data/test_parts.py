"""Manifests whose rows are parts of recordings are refused, whatever reader they came through."""

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
    soundfile.write(path, np.zeros(int(8000 * SECONDS), np.int16), 8000)
    return path


def manifest(recording, form, rows):
    """The rows as a source of some form; recordings are named by the row or by the fixture."""
    rows = [{"audio": str(recording), "transcript": "t", **row} for row in rows]
    path = recording.parent / f"rows.{form}"
    if form in ("csv", "tsv"):
        mark = {"csv": ",", "tsv": "\t"}[form]
        lines = [mark.join(map(str, row.values())) for row in rows]
        path.write_text("\n".join([mark.join(rows[0]), *lines]))
        return path
    if form == "jsonl":
        path.write_text("\n".join(map(json.dumps, rows)))
        return path
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    if form == "frame":
        return pytest.importorskip("pandas").DataFrame(columns)
    return columns if form == "columns" else rows


FORMS = ["csv", "tsv", "jsonl", "frame", "columns", "rows"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("start", [0.5, "0.5", "00:00:00.5"])
def test_a_row_that_begins_within_its_recording(recording, form, start):
    rows = manifest(recording, form, [{"offset": 0}, {"offset": start}])
    with pytest.raises(UserError, match=r"row 2 is a part of a recording \(offset .*0\.5\), and"):
        read(rows, COLUMNS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "row",
    [
        {"offset": 0, "duration": 0.5},
        {"start": 0.0, "end": "0.5"},
        {"begin_ms": 0, "end_ms": 500},
        {"startSample": 0, "stopSample": 4000},
    ],
)
def test_a_row_that_ends_before_its_recording(recording, form, row):
    rows = manifest(recording, form, [row])
    with pytest.raises(UserError, match="row 1 is a part of a recording"):
        read(rows, COLUMNS)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "row",
    [
        {"offset": 0, "duration": SECONDS},
        {"offset": "", "duration": 1.95},
        {"start": 0, "end": -1},
        {"start_ms": 0, "end_ms": 2000},
        {"duration": 0.5},
        {"offset_note": 3, "start": "late", "time": 5},
    ],
)
def test_rows_that_are_whole_recordings(recording, form, row):
    assert len(read(manifest(recording, form, [row]), COLUMNS)) == 1


def test_durations_of_rows_that_share_a_recording(recording):
    rows = manifest(recording, "rows", [{"duration": 0.5}, {"duration": 0.7}])
    with pytest.raises(UserError, match=r"list row 1 is a part of a recording \(duration 0\.5\)"):
        read(rows, COLUMNS)


def test_a_field_that_only_some_records_have(recording):
    rows = manifest(recording, "rows", [{}, {"offset": 1}, {}])
    with pytest.raises(UserError, match="list row 2 is a part"):
        read(rows, COLUMNS)


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
                yield 0, {"audio": np.ones(9, np.int64), "text": "t", "start_time": 0.5}

    tfds.disable_progress_bar()
    TinyParts(data_dir=tmp_path).download_and_prepare()
    tfds.enable_progress_bar()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    with pytest.raises(UserError, match=r"tiny_parts row 1 is a part of a recording \(start_time"):
        read("tfds:tiny_parts", COLUMNS)


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
