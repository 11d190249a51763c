"""What training puts in front of a recording, so that a stream's state learns to forget."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.audio.context import PrecedingContext

RATE = 1000
LENGTHS = np.array([300, 120, 0, 411], np.int32)


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    """Rows of distinct values: 0.1, 0.2, …, and zeros beyond their lengths."""
    rows = np.zeros((4, 411), np.float32)
    for row, length in enumerate(LENGTHS):
        rows[row, :length] = 0.1 * (row + 1)
    return rows


def test_rows_keep_their_own_samples_at_their_end(audio: np.ndarray) -> None:
    longer, lengths = PrecedingContext(0.5, RATE, probability=1.0, seed=1)(
        audio, LENGTHS, training=True
    )
    contexts = lengths.numpy() - LENGTHS
    assert (contexts >= 0).all()
    assert contexts.max() <= 500
    assert len(set(contexts)) == 4
    assert longer.shape[1] == 411 + contexts.max()
    for row, context in enumerate(contexts):
        own = longer.numpy()[row, context : lengths[row]]
        np.testing.assert_array_equal(own, audio[row, : LENGTHS[row]])
        assert not longer.numpy()[row, lengths[row] :].any()


def test_a_context_is_the_end_of_another_row_and_a_quiet_pause(audio: np.ndarray) -> None:
    layer = PrecedingContext(0.5, RATE, probability=1.0, seed=2)
    words = pauses = 0
    for _ in range(10):
        longer, lengths = layer(audio, LENGTHS, training=True)
        for row in range(4):
            context = longer.numpy()[row, : int(lengths[row]) - LENGTHS[row]]
            values = np.round(context, 4)
            others = [np.float32(0.1 * (i + 1)) for i in range(4) if i != row]
            spoken = np.isin(values, np.round(others, 4))
            words += spoken.sum()
            pauses += (~spoken).sum()
            assert np.abs(context[~spoken]).max(initial=0) < 0.06
            # A word that has begun lasts until the pause, the pause until the row's own samples.
            assert (np.diff(spoken.astype(int)) == 1).sum() <= 1
            assert np.isclose(values, np.round(0.1 * (row + 1), 4)).sum() == 0
    assert words > 500
    assert pauses > 500


def test_probability_is_the_share_of_rows_with_a_context() -> None:
    rows = np.ones((400, 10), np.float32)
    lengths = np.full(400, 10, np.int32)
    _, longer = PrecedingContext(1.0, RATE, probability=0.3, seed=3)(rows, lengths, training=True)
    assert 0.2 < (longer.numpy() > 10).mean() < 0.4


def test_one_seed_gives_one_draw(audio: np.ndarray) -> None:
    one, other = (
        PrecedingContext(0.5, RATE, probability=0.5, seed=4)(audio, LENGTHS, training=True)
        for _ in range(2)
    )
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize(("seconds", "probability"), [(0.0, 1.0), (0.5, 0.0)])
def test_nothing_is_put_in_front_where_none_is_wanted(
    audio: np.ndarray, seconds: float, probability: float
) -> None:
    same, lengths = PrecedingContext(seconds, RATE, probability=probability)(
        audio, LENGTHS, training=True
    )
    np.testing.assert_array_equal(same, audio)
    np.testing.assert_array_equal(lengths, LENGTHS)


def test_answers_are_for_what_was_given(audio: np.ndarray) -> None:
    same, lengths = PrecedingContext(0.5, RATE, probability=1.0)(audio, LENGTHS)
    np.testing.assert_array_equal(same, audio)
    np.testing.assert_array_equal(lengths, LENGTHS)


def test_a_row_alone_and_any_shape_in_a_graph(audio: np.ndarray) -> None:
    layer = PrecedingContext(0.5, RATE, probability=1.0, seed=5)
    specs = [tf.TensorSpec((None, None)), tf.TensorSpec((None,), tf.int32)]
    traced = tf.function(lambda x, n: layer(x, n, training=True), input_signature=specs)
    for rows in (1, 4):
        longer, lengths = traced(audio[:rows], LENGTHS[:rows])
        assert np.isfinite(longer.numpy()).all()
        assert (lengths.numpy() > LENGTHS[:rows]).all()


def test_a_functional_model_with_it_is_saved_and_loaded(tmp_path, audio: np.ndarray) -> None:
    x = keras.Input((None,), dtype="float32", name="audio")
    n = keras.Input((), dtype="int32", name="lengths")
    layer = PrecedingContext(0.25, RATE, probability=0.75, seed=6, name="context")
    keras.Model([x, n], layer(x, n)).save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("context").get_config() == layer.get_config()
    longer, _ = loaded([audio, LENGTHS], training=True)
    assert longer.shape[1] > audio.shape[1]


@pytest.mark.parametrize(("seconds", "rate"), [(-1.0, RATE), (1.0, 0)])
def test_numbers_out_of_range_are_refused(seconds: float, rate: int) -> None:
    with pytest.raises(ValueError, match="must be 0 or more"):
        PrecedingContext(seconds, rate)
