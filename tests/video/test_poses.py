"""Files of joints from training to answers: the order of movements is learnt, odd files refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import apps

FRAMES, JOINTS = 20, 5
SMALL = {
    "frames": 8,
    "units": 16,
    "epochs": 20,
    "batch_size": 16,
    "learning_rate": 0.01,
    "updates": 1,
    "averaging": 0.0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One joint rises in one class and falls in the other; place, size and noise vary."""
    root = tmp_path_factory.mktemp("poses")
    draw = np.random.default_rng(0)
    for number in range(80):
        label = ("rise", "fall")[number % 2]
        body = np.repeat(draw.normal(0, 1, (1, JOINTS, 2)), FRAMES, 0)
        path = np.linspace(-1, 1, FRAMES) * (1 if label == "rise" else -1)
        body[:, 0, 1] += 2 * path
        body = body * draw.uniform(5, 50) + draw.uniform(-100, 100, 2)
        body += draw.normal(0, 0.1, body.shape)
        (root / label).mkdir(exist_ok=True)
        np.savez(root / label / f"{number}.npz", joints=body.astype(np.float32), fps=10)
    return root


@pytest.fixture(scope="module")
def run(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> apps.Run:
    return apps.train("actions", folder, run=tmp_path_factory.mktemp("runs") / "poses", **SMALL)


def test_the_order_of_movements_is_learnt(folder: Path, run: apps.Run) -> None:
    measured = run.evaluate(folder)
    assert measured["accuracy"] > 0.95
    assert measured["baselines"]["frames_without_order"]["accuracy"] < 0.75
    (answer,) = run.predict([folder / "rise" / "0.npz"])
    assert answer["label"] == "rise"


def test_a_version_answers_joints_as_the_run_does(
    folder: Path, run: apps.Run, tmp_path: Path
) -> None:
    from apps.serving.local import LocalModel

    version = run.export(tmp_path, onnx=True, log=lambda line: None)
    files = [folder / "rise" / "0.npz", folder / "fall" / "1.npz"]
    ours = run.predict(files)
    served = LocalModel(version).predict([{"video": file} for file in files])
    for one, other in zip(ours, served, strict=True):
        assert one["label"] == other["label"]
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-5)


def test_joints_of_another_estimator_are_refused(run: apps.Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", joints=np.zeros((5, 3, 2)))
    with pytest.raises(apps.UserError, match=r"a\.npz: 3 joints of 2 .* others have 5 of 2"):
        run.predict([tmp_path / "a.npz"])


def test_settings_for_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(apps.UserError, match="joints are no pictures"):
        apps.train("actions", folder, run=tmp_path / "run", recurrence="convlstm", **SMALL)
    assert not (tmp_path / "run").exists()
