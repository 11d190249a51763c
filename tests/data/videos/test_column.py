"""Clips from manifests, folders, Python and TensorFlow Datasets: what is found, what is refused."""

from __future__ import annotations

import gc
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from footage import frames, numbers, write
from PIL import Image

from apps.data import Examples, group, label, read
from apps.data.columns import Column
from apps.data.kinds.video import video
from apps.data.videos import column as columns
from apps.data.videos.video import Video
from apps.errors import UserError

ACTIONS = {"video": video(), "label": label(), "group": group()}
ALONE = {"video": video()}


def put(path: Path, number: int) -> Path:
    """Write a clip of so many frames."""
    return write(path, frames(number), codec="mpeg4")


def images(folder: Path, number: int) -> Path:
    folder.mkdir(parents=True)
    for i in range(number):
        Image.new("RGB", (8, 8)).save(folder / f"{i}.png")
    return folder


def counts(examples: Examples) -> list[int]:
    return [one.frames for one in examples["video"]]


def refused(source: Any, asked: Mapping[str, Column] = ACTIONS, **options: Any) -> str:
    with pytest.raises(UserError) as error:
        read(source, asked, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in (1, 2, 3):
        put(tmp_path / "data" / "a b" / f"{number}.mp4", number)
    return tmp_path / "data"


# Manifests


def test_a_manifest_with_paths_relative_to_it(folder: Path, monkeypatch: Any) -> None:
    table = folder / "train.csv"
    table.write_text("video,label,group\na b/1.mp4,yes,x\n./a b/2.mp4,no,y\n a b/1.mp4 ,yes,x\n")
    monkeypatch.chdir(folder.parent)
    looked_at: list[Path] = []
    plain = columns.probe

    def probe(path: Path) -> Any:
        looked_at.append(path)
        return plain(path)

    monkeypatch.setattr(columns, "probe", probe)
    examples = read("data/train.csv", ACTIONS)
    assert counts(examples) == [1, 2, 1]
    assert examples["label"] == ["yes", "no", "yes"]
    assert examples["group"] == ["x", "y", "x"]
    assert examples["video"][0] is examples["video"][2]
    assert len(looked_at) == 2


@pytest.mark.parametrize("name", ["clip", "path", "Filename", "video_path", "filepath"])
def test_names_of_the_column(folder: Path, name: str) -> None:
    table = folder / "train.csv"
    table.write_text(f"{name},label\na b/2.mp4,x\n")
    assert counts(read(table, ACTIONS)) == [2]


@pytest.mark.parametrize("below", ["clips", "videos"])
def test_files_in_the_usual_folder_beside_the_manifest(tmp_path: Path, below: str) -> None:
    put(tmp_path / below / "1.mp4", 3)
    (tmp_path / "train.jsonl").write_text(json.dumps({"video": "1.mp4", "label": "x"}))
    assert counts(read(tmp_path / "train.jsonl", ACTIONS)) == [3]


def test_a_manifest_of_image_folders(tmp_path: Path) -> None:
    images(tmp_path / "clips" / "one", 4)
    (tmp_path / "train.csv").write_text("video,label\none,x\nclips/one,y\n")
    assert counts(read(tmp_path / "train.csv", ACTIONS)) == [4, 4]


def test_all_missing_files_are_counted_and_five_are_shown(folder: Path) -> None:
    rows = ["a b/1.mp4,x", *(f"gone/{n}.mp4,x" for n in range(7)), "gone/0.mp4,x"]
    table = folder / "train.csv"
    table.write_text("\n".join(["video,label", *rows]))
    assert refused(table) == (
        f"{table}: 7 of 8 clips do not exist: gone/0.mp4 (row 2), gone/1.mp4 (row 3), "
        "gone/2.mp4 (row 4), gone/3.mp4 (row 5), gone/4.mp4 (row 6), …; relative ones are looked "
        f"for in {folder}; correct the paths, or remove the rows"
    )


def test_clips_that_cannot_be_used_have_a_fault(folder: Path) -> None:
    (folder / "a b" / "1.mp4").write_bytes(b"")
    (folder / "a b" / "2.mp4").write_text("no video")
    table = folder / "train.csv"
    table.write_text("video,label\na b/3.mp4,x\na b/1.mp4,x\na b/2.mp4,x\n")
    good, empty, text = read(table, ACTIONS)["video"]
    assert not good.fault
    assert "is empty (0 bytes)" in empty.fault
    assert "is no video that can be read" in text.fault


def test_clips_that_are_cut_off_are_named(tmp_path: Path, capsys: Any) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)
    path = write(
        tmp_path / "a.mp4", noise, codec="mpeg4", container_options={"movflags": "faststart"}
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(0.75 * len(content))])
    put(tmp_path / "b.mp4", 3)
    read([str(path), str(tmp_path / "b.mp4")], ALONE)
    said = capsys.readouterr().err
    assert f"1 of 2 clips are cut off; what is left is used: {path} (7" in said


def test_an_empty_path(folder: Path) -> None:
    table = folder / "train.csv"
    table.write_text("video,label\na b/3.mp4,x\n ,x\n")
    assert refused(table) == (
        f"{table} row 2: the video is empty (1 of 2 rows); fill it in or remove the row"
    )


# Python


def test_clips_in_memory(folder: Path) -> None:
    held = Video.of(frames(5), 25)
    array = frames(5)
    for one in (
        held,
        (array, 25),
        [array, 25.0],
        {"array": array, "fps": 25},
        {"frames": array, "fps": np.int64(25)},
    ):
        assert counts(read([(one, "x")], ACTIONS)) == [5]
        assert counts(read([{"video": one, "label": 1}], ACTIONS)) == [5]
        assert counts(read([one, one], ALONE)) == [5, 5]


def test_paths_and_bytes(folder: Path) -> None:
    path = folder / "a b" / "2.mp4"
    content = path.read_bytes()
    rows = [str(path), path, bytes(path), content, {"bytes": content}, {"path": str(path)}]
    for one in [*rows, {"bytes": None, "path": str(path)}]:
        assert counts(read([{"video": one}], ALONE)) == [2]
    paths = [str(path), path]
    examples = read(paths, ALONE)
    assert examples.places == list(map(str, paths))


def test_tf_data(folder: Path) -> None:
    import tensorflow as tf

    path = f"{folder}/a b/3.mp4"
    paths = tf.data.Dataset.from_tensor_slices({"video": [path], "label": [1]})
    assert counts(read(paths, ACTIONS)) == [3]


@pytest.mark.parametrize(
    ("one", "what"),
    [
        (frames(2), "the video is an array that has no rate; give (array, frames a second)"),
        (5, "the video is of type int, not a clip; give a path, or (array, frames a second)"),
        ((frames(2), "fast"), "fast frames a second are not possible"),
        ((frames(2)[..., 0], 25), "an array of shape (2, 24, 32) and uint8 is no video"),
        ((frames(2) / 255, 25), "and float64 is no video"),
        (None, "the video is empty (1 of 1 rows)"),
    ],
)
def test_what_is_no_clip(one: Any, what: str) -> None:
    message = refused([{"video": one}], ALONE)
    assert message.startswith("list row 1: ")
    assert what in message


# Folders


def test_a_folder_per_class(tmp_path: Path) -> None:
    put(tmp_path / "yes" / "b.mp4", 1)
    put(tmp_path / "yes" / "bob" / "a.AVI", 2)
    put(tmp_path / "no" / "x.mkv", 3)
    images(tmp_path / "no" / "y", 4)
    images(tmp_path / "no" / "bob" / "z", 5)
    (tmp_path / "yes" / "notes.md").write_text("no clip")
    (tmp_path / "yes" / "._b.mp4").write_bytes(b"left by a Macintosh")
    (tmp_path / "__MACOSX" / "yes").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "yes" / "._b.mp4").write_bytes(b"left by a Macintosh")
    examples = read(tmp_path, ACTIONS)
    assert counts(examples) == [5, 3, 4, 1, 2]
    assert examples["label"] == ["no", "no", "no", "yes", "yes"]
    assert examples.places[2] == f"{tmp_path}/no/y"


def test_a_folder_of_images_alone(tmp_path: Path) -> None:
    images(tmp_path / "clip", 6)
    assert counts(read(tmp_path / "clip", ALONE)) == [6]
    assert counts(read(tmp_path / "clip", ACTIONS, optional=("label",))) == [6]
    assert counts(read(tmp_path, ALONE)) == [6]
    assert "has no folder per class; put the clips into" in refused(tmp_path / "clip")


def test_classes_of_image_folders_one_level_further_down(tmp_path: Path) -> None:
    images(tmp_path / "train" / "yes" / "one", 2)
    images(tmp_path / "train" / "no" / "two", 2)
    assert refused(tmp_path).endswith(f"name that folder: --data {tmp_path}/train")
    assert read(tmp_path / "train", ACTIONS)["label"] == ["no", "yes"]


# Joints


def joints(path: Path, count: int, points: int = 4) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, joints=np.zeros((count, points, 2)))
    return path


def test_joints_in_place_of_videos(tmp_path: Path) -> None:
    joints(tmp_path / "yes" / "a.npz", 5)
    joints(tmp_path / "no" / "b.npz", 6)
    examples = read(tmp_path, ACTIONS)
    assert counts(examples) == [6, 5]
    assert examples["video"][0].sampled(3).shape == (3, 4, 2)


def test_joints_beside_videos(tmp_path: Path) -> None:
    there, here = put(tmp_path / "a.mp4", 2), joints(tmp_path / "b.npz", 5)
    assert refused([str(there), str(here)], ALONE) == (
        f"list mixes videos, such as {there}, with joints, such as {here}; train on one of the two"
    )
    assert refused([str(here), str(there)], ALONE) == (
        f"list mixes videos, such as {there}, with joints, such as {here}; train on one of the two"
    )
    other = joints(tmp_path / "c.npz", 5, points=9)
    assert f"list mixes bodies: {here} has 4 joints of 2 coordinates, {other} 9 of 2" in refused(
        [str(here), str(other)], ALONE
    )


# TensorFlow Datasets


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: Any) -> Path:
    import tensorflow_datasets as tfds

    with tfds.core.registered.skip_registration():

        class TinyActions(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self) -> Any:
                features = {
                    "video": tfds.features.Video(shape=(None, 33, 32, 3)),
                    "label": tfds.features.ClassLabel(names=["no", "yes"]),
                }
                return tfds.core.DatasetInfo(
                    builder=self, features=tfds.features.FeaturesDict(features)
                )

            def _split_generators(self, _: Any) -> Any:
                return {"train": self._generate_examples()}

            def _generate_examples(self) -> Any:
                for i in range(3):
                    yield i, {"video": frames(4 + i, 32, 33), "label": i % 2}

    folder = tmp_path_factory.mktemp("tfds")
    tfds.disable_progress_bar()
    TinyActions(data_dir=folder).download_and_prepare()
    tfds.enable_progress_bar()
    return folder


def test_tfds(prepared: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(prepared))
    examples = read("tfds:tiny_actions", ACTIONS)
    assert sorted(counts(examples)) == [4, 5, 6]
    assert sorted(examples["label"]) == ["no", "no", "yes"]
    for one in examples["video"]:
        count = one.frames
        assert numbers(one.sampled(count, 16)) == list(range(count))
        assert one.digest == Video.of(frames(count, 32, 33), 25).digest
        assert one.seconds == pytest.approx(count / 25)
    files = [Path(one.path) for one in examples["video"]]
    assert all(file.exists() for file in files)
    del examples, one
    gc.collect()
    assert not any(file.exists() for file in files)
