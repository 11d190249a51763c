"""Convolutions over frames: each frame by itself, like stock layers."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from apps.layers.video.convolutions import FrameConvolutions


def steps(rows: int = 2, time: int = 5) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((rows, time, 16, 16, 4)).astype(np.float32)


def test_it_is_what_stock_layers_do_to_each_frame() -> None:
    layer = FrameConvolutions((6, 8), seed=1)
    found = layer(steps()).numpy()
    x = steps().reshape(-1, 16, 16, 4)
    stock = keras.Sequential(
        [
            keras.layers.Conv2D(6, 5, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    )
    stock(x)
    kernels = [weight for weight in layer.weights if weight.name == "kernel"]
    for convolution, kernel in zip((stock.layers[0], stock.layers[3]), kernels, strict=True):
        convolution.set_weights([kernel.numpy()])
    maps = stock(x).numpy()
    expected = np.concatenate([maps.mean((1, 2)), maps.max((1, 2))], -1).reshape(2, 5, 16)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert layer.width == 16


def test_a_frame_does_not_hang_on_its_neighbours() -> None:
    layer = FrameConvolutions((6, 8), seed=1)
    together = layer(steps()).numpy()
    np.testing.assert_allclose(layer(steps()[:1, 2:3]).numpy()[0, 0], together[0, 2], atol=1e-5)
    empty, _, _ = layer.step(tf.zeros([2, 0, 16, 16, 4]), tf.zeros([2], tf.int32), {})
    assert empty.shape == (2, 0, 16)


def test_training_drops_the_same_features_in_all_steps() -> None:
    layer = FrameConvolutions((6, 64), dropout=0.5, seed=1)
    dropped = layer(steps(4), training=True).numpy() == 0
    assert dropped.all(1).sum() > 50
    alike = dropped.all(1) | ~dropped.any(1)
    assert alike.mean() > 0.9


def test_settings_travel() -> None:
    config = FrameConvolutions((4, 8), dropout=0.1, seed=3).get_config()
    assert FrameConvolutions.from_config(config).get_config() == config
