"""A network that others trained stays as it is at first and sees a frame once; then it is tuned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import footage
import keras
import numpy as np
import pytest

from apps.data import Examples, Rows
from apps.training.plan import Plan
from apps.training.session import Session
from apps.video import features

SIZE, FRAMES, CLIPS = 32, 4, 8


def network(*, input_shape: tuple[int, ...], **given: Any) -> keras.Model:
    """A network of three convolutions, in place of one that takes seconds to build."""
    frames = keras.Input(input_shape)
    x = frames
    for level in range(3):
        x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name=f"conv_{level}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{level}")(x)
    return keras.Model(frames, keras.layers.GlobalAveragePooling2D(name="mean")(x))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.applications, "MobileNetV2", network)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    keras.utils.set_random_seed(0)
    file = tmp_path_factory.mktemp("weights") / "network.weights.h5"
    network(input_shape=(SIZE, SIZE, 3)).save_weights(file)
    pretrained = {"backbone": "mobilenet_v2", "weights": str(file), "motion": "picture"}
    small = {"size": SIZE, "frames": FRAMES, "units": 4, "attention": 4, "batch_size": 4}
    schedule = {"epochs": 4, "updates": 1, "averaging": 0.9, "weight_decay": 0.1}
    return {**pretrained, **small, **schedule}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    folder, draw = tmp_path_factory.mktemp("clips"), np.random.default_rng(0)
    rows = []
    for number in range(CLIPS):
        array = draw.integers(0, 256, (12, SIZE, SIZE, 3), np.uint8)
        # Of unequal contrast, since the mean over noise is all alike.
        array //= np.uint8(number + 1)
        path = footage.write(folder / f"{number}.mp4", array, fps=12)
        rows.append((str(path), "ab"[number % 2]))
    return rows


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Gets the number of frames of each clip whose features are computed."""
    found: list[int] = []
    features_of = features._features_of

    def counting(model: keras.Model) -> Any:
        of = features_of(model)

        def counted(frames: np.ndarray) -> np.ndarray:
            found.append(len(frames))
            return of(frames)

        return counted

    monkeypatch.setattr(features, "_features_of", counting)
    return found


def session(run: Path, rows: list[tuple[str, str]], settings: dict[str, Any]) -> Session:
    plan = Plan("actions", rows, validation=rows[:2], settings=settings)
    return Session(plan, run=run, resume=True, log=lambda line: None)


def weights_of(given: Session) -> list[np.ndarray]:
    encoder = given.application.model.get_layer("encoder")
    return [variable.numpy() for variable in encoder.variables]


def state(given: Session) -> dict[str, np.ndarray]:
    arrays = given.folder.read_arrays(given.folder.checkpoints / "last.npz")
    del arrays["position"]
    return arrays


def test_it_is_seen_once_a_frame_and_then_its_last_layers_are_tuned(
    settings: dict[str, Any], clips: Any, cache: Path, computed: list[int], tmp_path: Path
) -> None:
    given = session(tmp_path / "run", clips, settings)
    before = weights_of(given)
    given.fit(1)
    assert computed == [3 * FRAMES] * CLIPS
    assert len(list(cache.rglob("*.features"))) == CLIPS
    given.fit(2)
    for one, other in zip(before, weights_of(given), strict=True):
        np.testing.assert_array_equal(one, other)
    given.fit(3)
    names = [one.path for one in given.application.model.get_layer("encoder").variables]
    after = weights_of(given)
    moved = {
        name for name, one, two in zip(names, before, after, strict=True) if (one != two).any()
    }
    assert moved == {"conv_2/kernel", "conv_2/bias", "norm_2/gamma", "norm_2/beta"}

    given.fit()
    again = session(tmp_path / "again", clips, settings)
    again.fit(1)
    again = session(tmp_path / "again", clips, settings)
    again.fit()
    assert len(computed) == CLIPS
    ours, theirs = state(again), state(given)
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


def test_what_is_kept_stands_for_the_frames(
    settings: dict[str, Any], clips: Any, cache: Path, tmp_path: Path
) -> None:
    given = session(tmp_path / "run", clips, {**settings, "fine_tune": "no"})
    application, everything = given.application, np.arange(CLIPS)
    rows: Examples = application.input.units(Plan("actions", clips).read())
    view = application.view(rows)
    assert isinstance(view, Rows)
    shortcut = application.shortcut()
    assert shortcut is not None
    around = shortcut.view(view)
    assert isinstance(around, Rows)
    kept = around.select(everything)
    assert kept["features"].shape == (CLIPS, FRAMES, 8)
    expected = application.model({"frames": view.select(everything)["frames"]}, training=False)
    found = shortcut.model({"features": kept["features"]}, training=False)
    np.testing.assert_allclose(found, expected, atol=0.01 * float(np.ptp(expected)))


@pytest.mark.parametrize(
    "change", [{"motion": "difference"}, {"cache_gb": 0.0}, {"fine_tune_from": 0.0}]
)
def test_what_varies_from_step_to_step_is_not_kept(
    settings: dict[str, Any], clips: Any, cache: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    given = session(tmp_path / "run", clips, {**settings, "fine_tune": "all", **change})
    given.fit(1)
    assert list(cache.rglob("*.features")) == []
