"""Networks that others trained: the features are theirs, and what cannot be had is refused."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from apps.errors import UserError
from apps.layers.video.backbone import FrameBackbone
from apps.video.encoders import EncoderConfig, frame_encoder

SIZE = 32


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.applications.MobileNetV2(
        weights=None, include_top=False, input_shape=(SIZE, SIZE, 3), pooling="avg"
    )


@pytest.fixture(scope="module")
def weights(network: keras.Model, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "network.weights.h5"
    network.save_weights(file)
    return file


def config(weights: object, **settings: object) -> EncoderConfig:
    given = {"backbone": "mobilenet_v2", "weights": str(weights), "size": SIZE, **settings}
    return EncoderConfig.from_values(given)


def test_features_are_those_of_the_network_that_the_file_holds(
    network: keras.Model, weights: Path
) -> None:
    layer = frame_encoder(config(weights), seed=0)
    steps = np.random.default_rng(0).uniform(-2, 2, (2, 3, SIZE, SIZE, 4)).astype(np.float32)
    pixels = 255 * np.clip(0.5 + steps[..., :3].reshape(6, SIZE, SIZE, 3) / 4, 0, 1)
    expected = network(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()))
    np.testing.assert_allclose(layer(steps).numpy().reshape(6, -1), expected, atol=1e-5)
    # Its batch normalisation stays as it was trained.
    np.testing.assert_allclose(layer(steps), layer(steps, training=True), atol=1e-6)


@pytest.mark.parametrize(
    ("fine_tune", "share"), [("no", (0, 0)), ("last", (0.5, 0.9)), ("all", (1, 1))]
)
def test_so_much_of_the_weights_is_tuned_as_was_asked_for(
    weights: Path, fine_tune: str, share: tuple[float, float]
) -> None:
    layer = frame_encoder(config(weights, fine_tune=fine_tune), seed=0)
    assert isinstance(layer, FrameBackbone)
    tuned = layer.trainable_variables
    # Keras hands a change on to inner layers, and only a change.
    layer.trainable = False
    layer.trainable = True
    every = layer.network.trainable_variables
    sizes = [sum(np.prod(variable.shape) for variable in one) for one in (tuned, every)]
    assert share[0] <= sizes[0] / sizes[1] <= share[1]
    assert [id(variable) for variable in tuned] == [id(v) for v in every[len(every) - len(tuned) :]]


def test_weights_that_cannot_be_had_are_refused_in_one_line(weights: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.weights.h5"
    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(other)
    with pytest.raises(UserError, match=r"cannot be had for backbone=mobilenet_v2 .*weights=FILE"):
        frame_encoder(config(other), seed=0)
    with pytest.raises(UserError, match="no such file"):
        frame_encoder(config(tmp_path / "missing.h5"), seed=0)


def test_it_sees_pictures_unless_it_is_told_otherwise(weights: Path) -> None:
    assert config(weights).motion == "picture"
    assert config(weights, motion="difference").motion == "difference"
    assert EncoderConfig.from_values({}).motion == "flow"


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"backbone": "resnet50"}, "without weights it would know nothing"),
        ({"weights": "x.h5"}, "of which network"),
        ({"backbone": "resnet50", "weights": "x", "motion": "both"}, "takes three channels"),
        ({"backbone": "resnet50", "weights": "x", "recurrence": "convlstm"}, "recurrence=lstm"),
        ({"backbone": "xception", "weights": "x", "size": 64}, "needs at least 71"),
        ({"backbone": "mobilenet"}, "choose one of"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        EncoderConfig.from_values(settings)
