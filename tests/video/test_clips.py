"""Clips as an input: which are usable, pieces of long ones, frames from disk, side labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import footage
import numpy as np
import pytest
import tensorflow as tf

from apps.data import Examples, read
from apps.errors import UserError
from apps.video.actions import Actions

SMALL = {"size": 16, "frames": 4, "channels": 4, "units": 4}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def application(**settings: Any) -> Actions:
    return Actions(Actions.Config.from_values({**SMALL, **settings}))


def folder(tmp_path: Path, seconds: float = 1.0, clips: int = 3) -> Path:
    """A folder per class with clips of 24 frames a second."""
    for label in ("wave", "nod"):
        for number in range(clips):
            array = footage.frames(round(24 * seconds)) + np.uint8(number)
            footage.write(tmp_path / "data" / label / f"{number}.mp4", array, fps=24)
    return tmp_path / "data"


def checked(source: Path, given: Actions, *, learning: bool = True) -> Examples:
    return given.check(read(source, given.columns()), learning=learning)


def test_clips_that_cannot_be_read_are_named_in_training_and_refused_elsewhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = folder(tmp_path)
    (source / "wave" / "broken.mp4").write_bytes(b"no video")
    (source / "nod" / "empty.avi").write_bytes(b"")
    given = application()
    rows = checked(source, given)
    assert len(rows) == 6
    said = capsys.readouterr().err
    assert "broken.mp4" in said
    assert "empty.avi" in said
    given.compose(given.input.units(rows))
    with pytest.raises(UserError, match=r"empty\.avi is empty"):
        checked(source, given, learning=False)


def test_nothing_that_can_be_read_is_refused(tmp_path: Path) -> None:
    for label in ("wave", "nod"):
        (tmp_path / "data" / label).mkdir(parents=True)
        (tmp_path / "data" / label / "a.mp4").write_bytes(b"no video")
    with pytest.raises(UserError, match="no clip can be read"):
        checked(tmp_path / "data", application())


def test_long_clips_are_cut_into_pieces_that_keep_label_and_block(tmp_path: Path) -> None:
    given = application(segment=0.4)
    rows = checked(folder(tmp_path, clips=1), given)
    units = given.input.units(rows)
    assert [round(clip.seconds, 2) for clip in units["video"]] == [0.4, 0.4] * 2 or [
        round(clip.seconds, 2) for clip in units["video"]
    ] == [0.4, 0.4, 0.2] * 2
    assert units["label"] == sorted(units["label"])
    assert len(set(zip(units["block"], units["label"], strict=True))) == 2
    assert units.places[1].endswith("0.mp4 from 0.4 s")
    given.compose(units)
    frames = given.input.tensors(units)["frames"].fetch(np.array([0, 1]), 0)
    first, second = (footage.numbers(row) for row in frames)
    assert first == [1, 3, 6, 8]
    assert second == [10, 13, 15, 18] or second == [11, 13, 16, 18]


def test_frames_are_those_of_the_raw_request_and_training_sees_more(
    tmp_path: Path, cache: Path
) -> None:
    given = application()
    units = checked(folder(tmp_path), given)
    adaptation = given.compose(units)
    raw = given.raw(units)
    prepared = given.input.prepare({name: tf.constant(value) for name, value in raw.items()})
    everything = np.arange(len(units))
    evaluated = given.input.tensors(units)["frames"].fetch(everything, 0)
    np.testing.assert_array_equal(prepared["frames"], evaluated)
    assert adaptation.tensors is not None
    stored = adaptation.tensors["frames"]
    assert not isinstance(stored, np.ndarray)
    trained = stored.fetch(everything, 0)
    assert trained.shape == (6, 12, 16, 16, 3)
    np.testing.assert_array_equal(trained[:, 1::3], evaluated)
    # Content lies on disk once, for training and for measuring.
    assert len(list(cache.rglob("*.frames"))) == len({clip.digest for clip in units["video"]})


def test_the_rate_of_a_stream_is_that_of_a_usual_clip(tmp_path: Path) -> None:
    given = application()
    given.compose(checked(folder(tmp_path, seconds=2.0), given))
    assert given.metadata() == {"frames": 4, "size": 16, "step_seconds": pytest.approx(0.5)}


@pytest.mark.parametrize(
    ("labels", "mirrored"),
    [(["swipe_left", "swipe-right"], False), (["LeftHand", "x"], True), (["lefty", "nod"], True)],
)
def test_clips_are_not_mirrored_where_classes_have_sides(labels: list[str], mirrored: bool) -> None:
    rows = Examples({"label": labels}, labels, "made")
    assert Actions(Actions.Config()).settings_for(rows).get("mirror", True) is mirrored


def manifest(tmp_path: Path, header: str, *lines: str) -> Path:
    """A manifest of parts of two clips of a second, 24 frames each."""
    folder(tmp_path, clips=2)
    file = tmp_path / "data" / "parts.csv"
    file.write_text("\n".join([header, *lines]) + "\n")
    return file


@pytest.mark.parametrize(
    ("header", "bounds"),
    [("start,end", ("", "0.5", "0.5", "1")), ("start_frame,end_frame", ("0", "12", "12", ""))],
)
def test_a_row_may_be_a_part_of_a_clip(
    tmp_path: Path, header: str, bounds: tuple[str, str, str, str]
) -> None:
    one, two, three, four = bounds
    file = manifest(
        tmp_path,
        f"video,label,{header}",
        f"wave/0.mp4,wave,{one},{two}",
        f"wave/0.mp4,nod,{three},{four}",
        "nod/1.mp4,nod,,",
    )
    given = application()
    rows = checked(file, given)
    assert [round(clip.seconds, 3) for clip in rows["video"]] == [0.5, 0.5, 1.0]
    first, second, whole = rows["group"]
    assert first == second != whole, "rows of one file stay on one side"
    given.compose(given.input.units(rows))
    frames = given.input.tensors(rows)["frames"].fetch(np.array([0, 1]), 0)
    assert [footage.numbers(row) for row in frames] == [[1, 4, 7, 10], [13, 16, 19, 22]]
    asked = given.input.units(read(file, {**given.input.columns, **given.input.attributes}))
    assert [clip.digest for clip in asked["video"]] == [clip.digest for clip in rows["video"]]


def test_rows_of_one_file_are_not_grouped_against_the_users_groups(tmp_path: Path) -> None:
    file = manifest(tmp_path, "video,label,end,group", "wave/0.mp4,wave,0.5,a", "wave/0.mp4,nod,,b")
    assert checked(file, application())["group"] == ["a", "b"]


@pytest.mark.parametrize(
    ("header", "bounds", "words"),
    [
        ("start,end", "0.6,0.4", "ends at 0.4 s, but begins at 0.6 s"),
        ("start,end", "0,2", "from 0 to 2 s goes beyond 1 s"),
        ("start,end", "1,", "from 1 to 1 s goes beyond 1 s"),
        ("start,end", "-1,0.5", "begins at -1 s, before the clip"),
        ("start,start_frame", "0,0", "start and start_frame are both given"),
        ("start,end", "soon,1", "not a number"),
    ],
)
@pytest.mark.parametrize("learning", [True, False])
def test_a_part_that_is_none_is_refused_with_its_row(
    tmp_path: Path, header: str, bounds: str, words: str, learning: bool
) -> None:
    file = manifest(
        tmp_path, f"video,label,{header}", "nod/1.mp4,nod,,", f"wave/0.mp4,wave,{bounds}"
    )
    with pytest.raises(UserError, match=rf"parts\.csv row 2.*{words}"):
        checked(file, application(), learning=learning)
