"""Losses, searches and front ends on a GPU: CTC, CRF, spectrograms, the other stacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from under_test import CPU, DEVICE, assert_same_direction, needs_device

from apps.layers.alternatives.stack import MIXERS, PLAIN, AlternativeStack
from apps.layers.audio.spectrogram import LogMel
from apps.layers.crf import CRF, decode, log_likelihood, viterbi
from apps.layers.ctc import ctc_loss

pytestmark = [pytest.mark.gpu, needs_device]
ROWS, STEPS = 6, 40
LENGTHS = np.array([40, 1, 13, 40, 25, 7], np.int32)


def drawn(*shape: int, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype("float32")


def on_both(call: Callable[[], Any]) -> tuple[list[Any], list[Any]]:
    """What a function gives as one graph on the device under test and on the CPU."""
    found = []
    for device in (DEVICE, CPU):
        with tf.device(device):
            found.append([value.numpy() for value in tf.nest.flatten(tf.function(call)())])
    return found[0], found[1]


def with_gradient(loss: Callable[[tf.Tensor], tf.Tensor], at: np.ndarray) -> Callable[[], Any]:
    def call() -> Any:
        x = tf.constant(at)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return value, tape.gradient(value, x)

    return call


def assert_equal_on_both(call: Callable[[], Any], tolerance: float = 1e-4) -> None:
    for got, want in zip(*on_both(call), strict=True):
        if want.dtype.kind == "f":
            assert np.isfinite(got).all()
            assert_same_direction(got, want, tolerance)
        else:
            np.testing.assert_array_equal(got, want)


def test_ctc_loss_and_its_gradient(exact: None) -> None:
    """An empty transcript and one longer than its recording among them."""
    tokens = np.random.default_rng(1).integers(1, 9, (ROWS, 8)).astype(np.int32)
    counts = np.array([8, 5, 0, 3, 8, 7], np.int32)

    def loss(logits: tf.Tensor) -> tf.Tensor:
        losses, aligned = ctc_loss(tf.constant(tokens), tf.constant(counts), logits, LENGTHS)
        return tf.where(aligned, losses, 0.0)

    assert_equal_on_both(with_gradient(loss, drawn(ROWS, STEPS, 9, scale=3.0)))


@pytest.fixture(scope="module")
def transitions() -> np.ndarray:
    legal = np.random.default_rng(2).random((6, 6)) > 0.2
    legal[5] = legal[:, 5] = legal[np.arange(6), np.arange(6)] = True
    layer = CRF(legal)
    layer.build((None, None, 5))
    layer.transitions.assign(drawn(6, 6, seed=3))
    return layer(tf.zeros([ROWS, 1, 5]))["transitions"].numpy()


def test_likelihood_of_the_crf_and_its_gradient(transitions: np.ndarray, exact: None) -> None:
    tags = np.zeros((ROWS, STEPS), np.int32)

    def likelihood(emissions: tf.Tensor) -> tf.Tensor:
        return log_likelihood(emissions, tf.constant(transitions), tf.constant(tags), LENGTHS)

    assert_equal_on_both(with_gradient(likelihood, drawn(ROWS, STEPS, 5, scale=2.0)))


def test_tags_of_the_crf(transitions: np.ndarray, exact: None) -> None:
    emissions = drawn(ROWS, STEPS, 5, scale=2.0)

    def tagged() -> Any:
        given = (tf.constant(emissions), tf.constant(transitions), tf.constant(LENGTHS))
        return viterbi(*given), decode(*given).tags, decode(*given).total

    assert_equal_on_both(tagged)


def test_features_of_sound_with_a_cards_own_rounding() -> None:
    """They are computed in double precision, so that ten bits of mantissa do not reach them."""
    wave = drawn(3, 8000, scale=0.1)
    lengths = np.array([8000, 1, 0], np.int32)
    layer = LogMel(8000, bands=40)
    got, want = on_both(lambda: layer(tf.constant(wave), tf.constant(lengths)))
    np.testing.assert_array_equal(got[1], want[1])
    np.testing.assert_allclose(got[0], want[0], atol=1e-3)


@pytest.mark.parametrize("kind", [*PLAIN, *MIXERS])
def test_stacks_that_are_compared_run_here(kind: str, exact: None) -> None:
    x, mask = drawn(ROWS, STEPS, 12), np.arange(STEPS) < LENGTHS[:, None]
    layers = []
    for device in (DEVICE, CPU):
        with tf.device(device):
            layer = AlternativeStack(16, 2, kind=kind)
            layer(tf.constant(x), mask=tf.constant(mask))
            layers.append(layer)
    for one, other in zip(*(layer.weights for layer in layers), strict=True):
        other.assign(one)
    found = []
    for device, layer in zip((DEVICE, CPU), layers, strict=True):
        with tf.device(device):
            found.append(tf.function(layer)(tf.constant(x), mask=tf.constant(mask)).numpy())
    np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-4)
