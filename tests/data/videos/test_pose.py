"""Sequences of joints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.data.videos.pose import Pose, probe_pose
from apps.errors import UserError


def joints(count: int, dims: int = 2) -> np.ndarray:
    """`(count, 3, dims)`: each coordinate is the number of the frame."""
    return np.broadcast_to(np.arange(float(count))[:, None, None], (count, 3, dims)).copy()


def pose(path: Path, **arrays: Any) -> Pose:
    np.savez(path, **arrays)
    return probe_pose(path)[0]


def test_joints_are_linear_in_time(tmp_path: Path) -> None:
    found = pose(tmp_path / "a.npz", joints=joints(50, 3), fps=50)
    assert (found.frames, found.joints, found.dims, found.seconds) == (50, 3, 3, 1.0)
    sampled = found.sampled(50)
    assert sampled.dtype == np.float32
    np.testing.assert_allclose(sampled, joints(50, 3), atol=1e-5)
    np.testing.assert_allclose(found.sampled(5)[:, 0, 0], [4.5, 14.5, 24.5, 34.5, 44.5], atol=1e-5)
    assert found.sampled(200).shape == (200, 3, 3)


def test_the_array_is_found_by_name_or_is_the_first(tmp_path: Path) -> None:
    other = np.zeros((4, 2, 2))
    assert pose(tmp_path / "a.npz", other=other, keypoints=joints(9)).frames == 9
    assert pose(tmp_path / "b.npz", fps=10, body=joints(5)).seconds == 0.5
    np.savez(tmp_path / "c.npz", joints(7))
    assert probe_pose(tmp_path / "c.npz")[0].seconds == 7 / 25


def test_what_numpy_writes_is_read(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).normal(size=(6, 4, 3))
    expected = pose(tmp_path / "a.npz", joints=whole).sampled(6)
    np.testing.assert_allclose(expected, whole, atol=1e-6)
    for name, array in {
        "columns": np.asfortranarray(whole),
        "single": whole.astype(np.float32),
        "big": whole.astype(">f8"),
        "part": np.repeat(whole, 2, axis=0)[::2],
    }.items():
        found = pose(tmp_path / f"{name}.npz", joints=array, parts=np.array(["wrist", "elbow"]))
        np.testing.assert_allclose(found.sampled(6), expected, atol=1e-6)
    np.savez_compressed(tmp_path / "z.npz", joints=whole)
    np.testing.assert_array_equal(probe_pose(tmp_path / "z.npz")[0].sampled(6), expected)


def test_joints_are_read_without_the_parser_of_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, joints=joints(9))
    monkeypatch.setattr("ast.parse", None)
    assert probe_pose(path)[0].frames == 9


def test_joints_that_were_not_detected(tmp_path: Path) -> None:
    array = joints(10)
    array[4:6, 0] = np.nan
    array[:, 2] = np.nan
    np.savez(tmp_path / "a.npz", array)
    found, share = probe_pose(tmp_path / "a.npz")
    assert share == pytest.approx((60 - 4 - 20) / 60)
    sampled = found.sampled(10)
    assert sampled[:, 0, 0].tolist() == [0, 1, 2, 3, 3, 6, 6, 7, 8, 9]
    # One that no frame has lies between the others.
    np.testing.assert_allclose(sampled[:, 2], sampled[:, :2].mean(1), atol=1e-5)


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.full((4, 3, 2), np.nan), "holds no joint at all: all are NaN"),
        (np.zeros((4, 6)), r"is of shape \(4, 6\), not \(frames, joints, 2 or 3\)"),
        (np.zeros((4, 2, 3, 2)), "choose the coordinates of one body"),
        (np.zeros((0, 3, 2)), "holds no joints"),
        (np.array([["a"]]), "an array in it is not of numbers"),
        (np.array([None]), "is no .npz of joints"),
    ],
)
def test_arrays_that_are_no_joints(tmp_path: Path, array: np.ndarray, what: str) -> None:
    found = pose(tmp_path / "a.npz", joints=array)
    with pytest.raises(UserError, match=what):
        found.sampled(4)
    assert found.fault.startswith(str(tmp_path / "a.npz"))


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_files_that_are_no_archives(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npz").write_bytes(content)
    assert "is no .npz of joints" in probe_pose(tmp_path / "a.npz")[0].fault


def test_a_rate_that_is_not_possible(tmp_path: Path) -> None:
    assert "0 frames a second" in pose(tmp_path / "a.npz", joints=joints(3), fps=0).fault


def test_parts(tmp_path: Path) -> None:
    found = pose(tmp_path / "a.npz", joints=joints(50), fps=50)
    part = found.part(0.5, 9.0)
    assert (part.begin, part.seconds, part.frames) == (0.5, 0.5, 25)
    np.testing.assert_allclose(part.sampled(25)[:, 0, 0], np.arange(25, 50), atol=1e-5)
    assert part.digest != found.digest
    assert found.part(0.0, 1.0) is found
