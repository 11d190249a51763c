"""Whatever a user gets wrong is met with one line and exit code 2, and leaves nothing behind."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.__main__ import main

SMALL = ["--set", "units=8", "--set", "embedding=8", "--epochs", "1"]
Table = Callable[..., Path]


# What is wrong with the data: file content (None: no file), then words that the line must hold.
BAD_DATA: dict[str, tuple[bytes | None, list[str]]] = {
    "missing": (None, ["bad.csv", "no such file"]),
    "no such columns": (
        b"review,stars\nfine film,5\ndull film,1\n",
        ["bad.csv", "'text'", "'review'", "'stars'", "--columns"],
    ),
    "empty": (b"", ["bad.csv", "empty"]),
    "header only": (b"text,label\n", ["bad.csv", "no rows"]),
    "one class": (b"text,label\nfine film,5\ngood film,5\n", ["bad.csv", "'5'", "two labels"]),
    "empty texts": (b'text,label\n,1\n" ",0\n"\t",1\n', ["bad.csv", "every text is empty"]),
    "NaN label": (
        b"text,label\nfine film,1\ndull film,NaN\nodd film,\n",
        ["bad.csv row 2", "label", "2 of 3 rows"],
    ),
    "not UTF-8": (
        b"text,label\nfine film,1\nd\xe9j\xe0 vu,0\n",
        ["bad.csv row 2", "0xe9", "UTF-8", "iconv"],
    ),
    "5 MB text": (
        b"text,label\nfine film,1\n" + b"word " * 1_000_000 + b",0\n",
        ["bad.csv row 2", "5,000,000 bytes", "limit"],
    ),
}


@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data_is_met_with_one_line(
    case: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    content, words = BAD_DATA[case]
    if content is not None:
        (tmp_path / "bad.csv").write_bytes(content)
    line = refused(
        "train", "sentiment", "--data", tmp_path / "bad.csv", "--run", tmp_path / "run", *SMALL
    )
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "run").exists()


def test_unseen_validation_label(
    refused: Callable[..., str], table: Table, reviews: list[dict[str, str]], tmp_path: Path
) -> None:
    other = table([*reviews[:3], {"text": "odd", "label": "mixed"}], "other.csv")
    line = refused(
        *("train", "sentiment", "--data", table(reviews), "--validation", other),
        *("--run", tmp_path / "run", *SMALL),
    )
    assert "other.csv row 4" in line
    assert "'mixed'" in line
    assert "'negative', 'positive'" in line
    assert not (tmp_path / "run").exists()


# Arguments after `train sentiment`, then words that the line must hold.
BAD_ARGUMENTS = {
    "mistyped setting": (["--set", "unit=3"], ["'unit'", "did you mean 'units'"]),
    "setting out of range": (["--set", "units=-1"], ["units=-1", "at least 1"]),
    "setting of another type": (["--set", "units=many"], ["units=many", "whole number"]),
    "setting without value": (["--set", "units"], ["--set units", "KEY=VALUE"]),
    "no epochs": (["--epochs", "0"], ["epochs=0", "at least 1"]),
    "missing word vectors": (["--set", "embeddings=none.vec"], ["none.vec", "No such file"]),
    "negative seed": (["--seed", "-1"], ["seed=-1", "from 0"]),
    "huge seed": (["--seed", str(2**40)], ["seed=", "from 0"]),
    "no minutes": (["--minutes", "0"], ["minutes=0", "positive"]),
    "minutes that are no number": (["--minutes", "nan"], ["minutes=nan", "positive"]),
    "broken columns": (["--columns", "text"], ["--columns text", "COLUMN=NAME"]),
    "unknown column": (["--columns", "texts=a"], ["'texts'", "did you mean 'text'"]),
    "unknown option": (["--epoch-number", "3"], ["--epoch-number"]),
}


@pytest.mark.parametrize("case", BAD_ARGUMENTS)
def test_bad_arguments_are_met_with_one_line(
    case: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    arguments, words = BAD_ARGUMENTS[case]
    line = refused("train", "sentiment", "--run", tmp_path / "run", *arguments)
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "run").exists()


def test_unknown_names(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "did you mean 'sentiment'" in refused("train", "sentimant")
    assert "required: COMMAND" in refused()
    assert "invalid choice" in refused("trian", "sentiment")
    assert "--run DIR" in refused("train", "sentiment", "--resume")
    assert "neither a path nor an application" in refused("doctor", tmp_path / "nothing")


def test_folders_that_are_no_run(
    refused: Callable[..., str], tmp_path: Path, run_of_reviews: Path
) -> None:
    assert "no such run folder" in refused("predict", tmp_path / "nothing", "text")
    assert "no config.json" in refused("evaluate", tmp_path, "--data", "sample")
    (tmp_path / "config.json").write_text("{")
    assert "config.json: damaged" in refused("report", tmp_path)
    (tmp_path / "config.json").write_text('{"name": "of something else"}')
    assert "not of a run" in refused("predict", tmp_path, "text")
    assert "not of a run" in refused("train", "sentiment", "--run", tmp_path, "--resume")
    assert "holds a run" in refused("train", "sentiment", "--run", run_of_reviews, *SMALL)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    assert "not an empty folder" in refused("train", "sentiment", "--run", tmp_path / "photos")
    assert [entry.name for entry in (tmp_path / "photos").iterdir()] == ["cat.png"]


def test_half_written_run(
    refused: Callable[..., str], tmp_path: Path, run_of_reviews: Path
) -> None:
    (tmp_path / "config.json").write_bytes((run_of_reviews / "config.json").read_bytes())
    line = refused("predict", tmp_path, "text")
    assert "has not finished" in line
    assert f"--run {tmp_path} --resume" in line
    (tmp_path / "metrics.json").write_text("{}")
    model = (run_of_reviews / "model.keras").read_bytes()
    (tmp_path / "model.keras").write_bytes(model[: len(model) // 2])
    assert "model.keras: cannot be read" in refused("predict", tmp_path, "text")


@pytest.fixture
def mounted(tmp_path: Path) -> Any:
    """Mounts a small file system of its own; a skip where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounts: list[Path] = []

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            pytest.skip("there is no mount command")
        if done.returncode:
            pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
        mounts.append(folder)
        return folder

    yield mount
    for place in mounts:
        subprocess.run(["umount", str(place)], check=True)


def test_read_only_folder(
    refused: Callable[..., str], mounted: Any, table: Table, reviews: list[dict[str, str]]
) -> None:
    disk = mounted("ro,size=1m")
    line = refused("train", "sentiment", "--data", table(reviews), "--run", disk / "run", *SMALL)
    assert str(disk) in line
    assert "read-only" in line


def test_full_disk(
    refused: Callable[..., str], mounted: Any, table: Table, reviews: list[dict[str, str]]
) -> None:
    disk = mounted("size=4k")
    (disk / "filler").write_bytes(b"." * 4096)
    line = refused("train", "sentiment", "--data", table(reviews), "--run", disk / "run", *SMALL)
    assert str(disk) in line
    assert "disk is full" in line
    assert [entry.name for entry in disk.iterdir()] == ["filler"]


def test_disk_that_fills_up_in_training(
    mounted: Any,
    table: Table,
    reviews: list[dict[str, str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    disk = mounted("size=48k")
    arguments = ["--data", str(table(reviews)), "--run", str(disk / "run"), *SMALL]
    assert main(["train", "sentiment", *arguments]) == 2
    complaint = capsys.readouterr().err.splitlines()[-1]
    assert str(disk / "run") in complaint
    assert "disk is full" in complaint
    assert [file for file in disk.rglob("*") if file.name.startswith(".")] == []


def test_evaluation_refuses_what_it_cannot_measure(
    refused: Callable[..., str], table: Table, run_of_reviews: Path
) -> None:
    rows = [{"text": "fine", "label": "positive"}, {"text": "odd", "label": "mixed"}]
    line = refused("evaluate", run_of_reviews, "--data", table(rows))
    assert "reviews.csv row 2" in line
    assert "'mixed'" in line
    line = refused("evaluate", run_of_reviews, "--data", table([{"text": "fine"}], "bare.csv"))
    assert "bare.csv has no column 'label'" in line
