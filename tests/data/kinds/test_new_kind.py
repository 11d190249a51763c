"""A kind that the package does not know comes through every reader, from this one file."""

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from apps.data import Column, Examples, group, label, parse_rename, read, split
from apps.data.content import Update
from apps.data.fingerprint import fingerprint
from apps.data.kind import Collector, Corpus, Files, Kind
from apps.data.raw import RawColumn
from apps.errors import UserError

RED, BLUE = (255, 0, 0), (0, 0, 255)


@dataclass(frozen=True)
class Colour(Kind):
    """A colour; values are `(red, green, blue)` of 0 to 255."""

    aliases: ClassVar[tuple[str, ...]] = ("color", "rgb")
    files: ClassVar[Files] = Files((".hex", ".rgb"), "colours", depth=1)

    def parse(self, column: RawColumn) -> Sequence[tuple[int, ...] | None]:
        def form(value: Any) -> tuple[int, ...] | None:
            if isinstance(value, tuple | list) and len(value) == 3:
                return tuple(int(part) for part in value)
            if not isinstance(value, str):
                raise ValueError(f"is of type {type(value).__name__}; write #rrggbb")
            text = value.strip().removeprefix("#")
            if not text:
                return None
            if len(text) != 6:
                raise ValueError(f"is '{value}', not a colour; write #rrggbb")
            return tuple(bytes.fromhex(text))

        return column.each(form)

    def is_value(self, value: Any) -> bool:
        return isinstance(value, tuple) or super().is_value(value)

    def corpus(self, path: Path, is_header: Any) -> Corpus | None:
        if not (path / "palette").is_file():
            return None
        lines = (path / "palette").read_text().splitlines()
        pairs = [line.split() for line in lines]
        return Corpus(
            {"colour": [pair[0] for pair in pairs], "painter": [pair[1] for pair in pairs]},
            [f"{path} line {row + 1}" for row in range(len(pairs))],
            path,
            "a palette",
            {"colour": lambda kind: isinstance(kind, Colour)},
        )

    def tfds(self, feature: Any) -> Collector:
        return Collector(lambda array: tuple(array))

    def digest(self, value: tuple[int, ...], update: Update) -> None:
        update(bytes(value))


COLUMNS = {"colour": Column(Colour()), "label": label(), "group": group()}
ROWS = [{"colour": "#ff0000", "label": "warm"}, {"colour": "0000ff", "label": "cold"}]
EXPECTED = {"colour": [RED, BLUE], "label": ["warm", "cold"]}


@pytest.fixture
def csv(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("color,label\n#ff0000,warm\n0000ff,cold\n")
    return path


@pytest.fixture
def jsonl(tmp_path):
    path = tmp_path / "rows.jsonl.gz"
    rows = [{"rgb": RED, "label": "warm"}, {"Colour": "0000ff", "label": "cold"}]
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    return path


@pytest.fixture
def folder(tmp_path):
    for name, content in (("warm/anna/1.hex", "ff0000\n"), ("cold/2.RGB", "0000ff")):
        file = tmp_path / "colours" / name
        file.parent.mkdir(parents=True)
        file.write_text(content)
    return tmp_path / "colours"


def test_tables_and_records(csv, jsonl):
    for source in (csv, jsonl, ROWS, iter(ROWS), [(RED, "warm"), (BLUE, "cold")]):
        assert dict(read(source, COLUMNS).columns) == EXPECTED


def test_columns_and_frames():
    columns = {"colour": [RED, BLUE], "label": ["warm", "cold"]}
    assert dict(read(columns, COLUMNS).columns) == EXPECTED
    frame = pytest.importorskip("pandas").DataFrame(columns)
    assert dict(read(frame, COLUMNS).columns) == EXPECTED


def test_values_alone():
    examples = read([RED, "#0000ff"], {"colour": Column(Colour())})
    assert examples["colour"] == [RED, BLUE]


def test_a_folder_per_class(folder):
    examples = read(folder, COLUMNS)
    assert dict(examples.columns) == {"colour": [BLUE, RED], "label": ["cold", "warm"]}
    assert examples.places[1] == f"{folder}/warm/anna/1.hex"
    (folder / "none").mkdir()
    with pytest.raises(UserError) as error:
        read(folder, COLUMNS)
    assert str(error.value) == (
        f"{folder}/none has no colours (.hex, .rgb); put the colours into {folder}/CLASS/*.hex, "
        "or remove the folder"
    )


def test_a_layout_that_only_the_kind_knows(tmp_path):
    (tmp_path / "palette").write_text("ff0000 anna\n0000ff ben\n")
    columns = {"paint": Column(Colour()), "painter": group()}
    examples = read(tmp_path, columns)
    assert dict(examples.columns) == {"paint": [RED, BLUE], "painter": ["anna", "ben"]}
    with pytest.raises(UserError, match="a palette has no 'label'"):
        read(tmp_path, COLUMNS)


def test_a_bad_value_is_named_with_its_row(csv):
    csv.write_text("colour,label\n#ff0000,warm\nred,warm\n")
    with pytest.raises(UserError) as error:
        read(csv, COLUMNS)
    assert str(error.value) == f"{csv} row 2: the colour is 'red', not a colour; write #rrggbb"
    with pytest.raises(UserError, match="list row 1: the colour is empty"):
        read([("", "warm")], COLUMNS)


def test_renaming_and_splitting():
    rename = parse_rename("colour=ink", COLUMNS)
    rows = [{"ink": RED, "label": "ab"[n % 2], "group": f"g{n // 2}"} for n in range(8)]
    training, held_out = split(read(rows, COLUMNS, rename=rename), 0.5, 0)
    assert not set(training["group"]) & set(held_out["group"])


def test_tensorflow_datasets(tmp_path, monkeypatch):
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyColours(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {"rgb": tfds.features.Tensor(shape=(3,), dtype=np.uint8)}
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _):
                return {"train": self._generate_examples()}

            def _generate_examples(self):
                yield 0, {"rgb": np.array(RED, np.uint8)}

    tfds.disable_progress_bar()
    TinyColours(data_dir=tmp_path).download_and_prepare()
    tfds.enable_progress_bar()
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert read("tfds:tiny_colours", {"colour": Column(Colour())})["colour"] == [RED]


def test_the_fingerprint_knows_its_content(csv):
    def digest(examples: Examples) -> str:
        return fingerprint(examples, columns=COLUMNS)

    assert digest(read(csv, COLUMNS)) == digest(read(ROWS, COLUMNS))
    assert digest(read(ROWS, COLUMNS)) != digest(read(ROWS[::-1], COLUMNS))
