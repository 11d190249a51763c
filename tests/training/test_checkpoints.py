"""Checkpoints and the files of a run folder: whole or not there."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy import training

from apps.errors import UserError
from apps.training.checkpoints import Position
from apps.training.loop import Training
from apps.training.run_folder import RunFolder, new_run_folder


def state(session: Training) -> list[np.ndarray]:
    return [np.array(v) for v in [*session.model.variables, *session.optimizer.variables]]


def assert_equal(one: list[np.ndarray], other: list[np.ndarray]) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_checkpoint_restores_model_optimiser_seeds_position_and_what_is_carried(
    tmp_path: Path,
) -> None:
    session = training(tmp_path / "run", epochs=1)
    done = session.run()
    written = state(session)
    carried = {"state_h": np.arange(6.0).reshape(3, 2), "state_c": np.ones((3, 2), np.float16)}
    session.checkpoints.save(done, carried)
    fresh = training(tmp_path / "run", epochs=1)
    assert any((a != b).any() for a, b in zip(state(fresh), written, strict=True))
    position, found = fresh.checkpoints.restore()
    assert_equal(state(fresh), written)
    assert position == done
    assert found.keys() == carried.keys()
    for name, array in carried.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_without_a_checkpoint_training_starts_at_the_beginning(tmp_path: Path) -> None:
    session = training(tmp_path / "run")
    before = state(session)
    assert session.checkpoints.restore() == (Position(), {})
    assert_equal(state(session), before)


@pytest.mark.parametrize("fault", ["replace", "savez", "fsync"])
def test_a_write_that_fails_leaves_the_older_checkpoint(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = training(tmp_path / "run")
    session.checkpoints.save(Position(total=1), {})
    before = state(session)

    def fail(*arguments: Any, **keywords: Any) -> None:
        if fault == "savez":
            arguments[0].write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    embedding = session.model.get_layer("embedding").embeddings
    embedding.assign_add(np.ones(embedding.shape))
    monkeypatch.setattr(np if fault == "savez" else os, fault, fail)
    with pytest.raises(OSError, match="No space left"):
        session.checkpoints.save(Position(total=2), {})
    monkeypatch.undo()
    position, _ = session.checkpoints.restore()
    assert position.total == 1
    assert_equal(state(session), before)
    assert [file.name for file in session.folder.checkpoints.iterdir()] == ["last.npz"]


def test_a_kill_in_the_middle_of_a_write_leaves_the_older_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.create({"application": "toy"}, {})
    file = folder.checkpoints / "last.npz"
    folder.write_arrays(file, {"a": np.arange(3)})
    child = os.fork()
    if child == 0:

        def half(stream: Any, **keywords: Any) -> None:
            stream.write(b"half of it")
            stream.flush()
            os.kill(os.getpid(), signal.SIGKILL)

        vars(np)["savez"] = half
        folder.write_arrays(file, {"a": np.arange(4)})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert len(list(folder.checkpoints.iterdir())) == 2
    folder.sweep()
    assert list(folder.checkpoints.iterdir()) == [file]
    np.testing.assert_array_equal(folder.read_arrays(file)["a"], np.arange(3))


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    session = training(tmp_path / "run")
    session.folder.write_arrays(
        session.folder.checkpoints / "last.npz",
        {"0000": np.zeros(2), "position": np.frombuffer(b"{}", np.uint8)},
    )
    with pytest.raises(UserError, match=r"last\.npz: belongs to another model"):
        session.checkpoints.restore()


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    session = training(tmp_path / "run")
    session.checkpoints.save(Position(), {})
    file = session.folder.checkpoints / "last.npz"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=r"last\.npz: cannot be read"):
        session.checkpoints.restore()


def test_only_the_weights_called_best_are_kept(tmp_path: Path) -> None:
    session = training(tmp_path / "run", epochs=6, learning_rate=0.05)
    position = session.run()
    assert position.best is not None
    names = {file.name for file in session.folder.checkpoints.iterdir()}
    assert names == {"last.npz", f"best-{position.best['total']}.npz"}


def test_a_folder_that_cannot_be_filled_is_not_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "given").mkdir()
    monkeypatch.setattr(os, "fsync", fail)
    for name in ("made", "given"):
        with pytest.raises(OSError, match="No space left"):
            RunFolder(tmp_path / name).create({}, {})
    assert [entry.name for entry in tmp_path.rglob("*")] == ["given"]


def test_what_a_killed_start_leaves_is_no_obstacle(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert folder.unbegun()
    folder.checkpoints.mkdir(parents=True)
    (folder.path / ".partial-config.json.x").touch()
    assert folder.unbegun()
    folder.create({}, {})
    assert not folder.unbegun()
    (tmp_path / "notes.txt").touch()
    assert not RunFolder(tmp_path).unbegun()
    assert not RunFolder(tmp_path / "notes.txt").unbegun()


def test_new_run_folders_do_not_collide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for _ in range(3):
        folder = new_run_folder("sentiment")
        folder.mkdir(parents=True)
        names.append(folder)
    assert len(set(names)) == 3
    assert all(folder.name.startswith("sentiment-") for folder in names)
