"""The lists of UCF-101 and HMDB-51."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from footage import frames, write

from apps.data import Examples, group, label, read
from apps.data.kinds.video import video
from apps.errors import UserError

ACTIONS = {"video": video(), "label": label(), "group": group()}


def put(path: Path, number: int) -> None:
    write(path, frames(number), codec="mpeg4")


def counts(examples: Examples) -> list[int]:
    return [one.frames for one in examples["video"]]


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    for number, name in enumerate(("g08_c01", "g08_c02", "g01_c01"), 1):
        put(tmp_path / "UCF-101" / "Diving" / f"v_Diving_{name}.avi", number)
    put(tmp_path / "UCF-101" / "HandstandPushups" / "v_HandStandPushups_g08_c01.avi", 4)
    (lists / "classInd.txt").write_text("1 Diving\n2 HandstandPushups\n")
    (lists / "trainlist01.txt").write_text(
        "Diving/v_Diving_g08_c01.avi 1\r\nDiving/v_Diving_g08_c02.avi 1\r\n"
        "HandstandPushups/v_HandStandPushups_g08_c01.avi 2\r\n"
    )
    (lists / "testlist01.txt").write_text("\nDiving/v_Diving_g01_c01.avi\n")
    return lists


@pytest.mark.parametrize("folder", ["UCF-101", "videos", "ucfTrainTestlist/UCF-101", ""])
def test_ucf(ucf: Path, folder: str) -> None:
    videos = ucf.parent / "UCF-101"
    if not folder:
        for path in list(videos.iterdir()):
            path.rename(ucf.parent / path.name)
    else:
        videos.rename(ucf.parent / folder)
    training = read(ucf / "trainlist01.txt", ACTIONS)
    assert counts(training) == [1, 2, 4]
    assert training["label"] == ["Diving", "Diving", "HandstandPushups"]
    assert training["group"] == ["Diving g08", "Diving g08", "HandstandPushups g08"]
    assert training.places[1] == f"{ucf}/trainlist01.txt row 2"
    test = read(ucf / "testlist01.txt", ACTIONS)
    assert (counts(test), test["label"]) == ([3], ["Diving"])


def test_lists_that_are_wrong(ucf: Path) -> None:
    path = ucf / "trainlist01.txt"
    path.write_text(path.read_text() + "Diving/v_Diving_g09_c01.avi 1\n")
    with pytest.raises(UserError, match=r"1 of 4 clips do not exist: .*g09_c01\.avi"):
        read(path, ACTIONS)
    path.write_text("Diving/v_Diving_g08_c01.avi 1\nDiving\n")
    with pytest.raises(UserError, match=r"row 2: 'Diving' is not Label/v_Label_g01_c01\.avi"):
        read(path, ACTIONS)


@pytest.fixture
def hmdb(tmp_path: Path) -> Path:
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    uses = {"brush_hair": "1120", "wave": "1210"}
    number = 0
    for name, numbers in uses.items():
        for split in (1, 2):
            lines = []
            for i, use in enumerate(numbers if split == 1 else reversed(numbers)):
                lines.append(f"Film_{i // 2}_{name}_u_nm_np1_ba_goo_{i}.avi {use} ")
            (lists / f"{name}_test_split{split}.txt").write_text("\n".join(lines) + "\n")
        for i in range(4):
            number += 1
            file = f"Film_{i // 2}_{name}_u_nm_np1_ba_goo_{i}.avi"
            put(tmp_path / "hmdb51_org" / name / file, number)
    return lists


def test_hmdb(hmdb: Path, capsys: Any) -> None:
    training = read(hmdb, ACTIONS)
    assert counts(training) == [1, 2, 5, 7]
    assert training["label"] == ["brush_hair", "brush_hair", "wave", "wave"]
    assert training["group"] == ["Film_0", "Film_0", "Film_0", "Film_1"]
    said = capsys.readouterr().err
    assert f"{hmdb}: the 4 training clips of split 1; for the test clips name " in said
    test = read(hmdb / "wave_test_split1.txt", ACTIONS)
    assert (counts(test), test["label"]) == ([3, 6], ["brush_hair", "wave"])
    assert f"for the training clips name {hmdb}" in capsys.readouterr().err
    assert counts(read(hmdb / "wave_test_split2.txt", ACTIONS)) == [2, 7]


def test_hmdb_beside_its_videos(hmdb: Path) -> None:
    for path in (hmdb.parent / "hmdb51_org").iterdir():
        path.rename(hmdb / path.name)
    assert counts(read(hmdb, ACTIONS)) == [1, 2, 5, 7]
    (hmdb / "wave_test_split1.txt").write_text("Film.avi\n")
    with pytest.raises(UserError, match=r"row 1: 'Film\.avi' is not FILE\.avi 0, 1 or 2"):
        read(hmdb, ACTIONS)


def test_a_text_file_of_something_else(tmp_path: Path) -> None:
    put(tmp_path / "a.mp4", 3)
    (tmp_path / "clips.txt").write_text("a.mp4\n")
    assert counts(read(tmp_path / "clips.txt", {"video": video()})) == [3]
