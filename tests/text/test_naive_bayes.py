"""The linear n-gram part: what it counts, and that graph and fit agree."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.ngrams import NgramLogits
from apps.text.naive_bayes import calibrating_shares, fit_ngrams


def flat(rows: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, rows)])
    return np.concatenate([np.array(row, np.int32) for row in rows]), offsets


def batch(rows: list[list[int]], extra: int = 0) -> tuple[tf.Tensor, tf.Tensor]:
    ids = np.zeros((len(rows), max(map(len, rows)) + extra), np.int32)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
    return tf.constant(ids), tf.constant([len(row) for row in rows], tf.int32)


@pytest.fixture
def layer() -> NgramLogits:
    built = NgramLogits(3, 2, 512)
    built.build((None, None))
    table = np.random.default_rng(0).normal(size=(513, 3)).astype(np.float32)
    table[-1] = 0
    built.set_weights([table, np.array([0.1, 0.2, 0.3], np.float32)])
    return built


def test_graph_gives_what_the_feature_matrix_times_the_table_gives(layer: NgramLogits) -> None:
    rows = [[5, 6, 5, 6, 5], [7], [9, 9, 9, 9], [3, 4, 5, 6, 7, 8, 9, 10]]
    expected = layer.features(*flat(rows)) @ layer.get_weights()[0][:-1] + layer.get_weights()[1]
    np.testing.assert_allclose(layer(*batch(rows)), expected, atol=1e-5)


def test_padding_changes_nothing(layer: NgramLogits) -> None:
    rows = [[5, 6, 7], [8, 9]]
    np.testing.assert_allclose(layer(*batch(rows)), layer(*batch(rows, extra=9)), atol=1e-6)


def test_a_repeated_ngram_counts_once(layer: NgramLogits) -> None:
    matrix = layer.features(*flat([[5, 6, 5, 6, 5]]))
    assert matrix.nnz == 4  # the words 5 and 6, the pairs 5 6 and 6 5
    np.testing.assert_allclose(matrix.data, 0.5)


def test_order_of_words_matters_to_pairs_only(layer: NgramLogits) -> None:
    forward, backward = layer(*batch([[5, 6, 7]])), layer(*batch([[7, 6, 5]]))
    assert np.abs(forward - backward).max() > 1e-3
    single = NgramLogits(3, 1, 512)
    single.build((None, None))
    single.set_weights(layer.get_weights())
    np.testing.assert_allclose(single(*batch([[5, 6, 7]])), single(*batch([[7, 6, 5]])), atol=1e-6)


def test_survives_saving(layer: NgramLogits, tmp_path) -> None:
    ids, lengths = keras.Input((None,), dtype="int32"), keras.Input((), dtype="int32")
    model = keras.Model([ids, lengths], layer(ids, lengths))
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    rows = batch([[5, 6, 7], [8]])
    np.testing.assert_array_equal(again(rows), model(rows))


@pytest.mark.parametrize("classes", [2, 3])
def test_learns_what_only_pairs_tell(classes: int) -> None:
    """The label is which word follows word 10; every word is as frequent in every class."""
    draw = np.random.default_rng(1)
    rows, targets = [], []
    for _ in range(600):
        label = int(draw.integers(classes))
        words = draw.permutation(np.arange(11, 11 + classes)).tolist()
        words.remove(11 + label)
        rows.append([10, 11 + label, 99, *words])
        targets.append(label)
    values, offsets = flat(rows)
    model = fit_ngrams(values, offsets, np.array(targets), order=2, most_weights=2**14, seed=0)
    assert (model.layer(*batch(rows)).numpy().argmax(-1) == targets).mean() > 0.99
    unigrams = fit_ngrams(values, offsets, np.array(targets), order=1, most_weights=2**14, seed=0)
    assert (unigrams.layer(*batch(rows)).numpy().argmax(-1) == targets).mean() < 0.6


def test_labels_of_noise_give_logits_near_zero() -> None:
    """The scale comes from rows that were held out: nothing to learn means nothing to say."""
    draw = np.random.default_rng(2)
    rows = draw.integers(2, 400, size=(300, 20)).tolist()
    targets = draw.integers(2, size=300)
    model = fit_ngrams(*flat(rows), targets, order=2, most_weights=2**14, seed=0)
    assert np.abs(model.layer(*batch(rows)).numpy()).max() < 1.0


def test_two_fits_are_equal() -> None:
    draw = np.random.default_rng(3)
    rows = draw.integers(2, 50, size=(80, 9)).tolist()
    targets = draw.integers(2, size=80)
    first, second = (
        fit_ngrams(*flat(rows), targets, order=2, most_weights=2**12, seed=4) for _ in range(2)
    )
    for one, other in zip(first.layer.get_weights(), second.layer.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.correction, second.correction)


def test_correction_hides_what_the_model_knows_of_its_own_rows() -> None:
    """On labels of noise the fit knows its rows by heart; corrected it is no better than chance."""
    draw = np.random.default_rng(5)
    rows = draw.integers(2, 400, size=(400, 20)).tolist()
    targets = draw.integers(2, size=400)
    model = fit_ngrams(*flat(rows), targets, order=2, most_weights=2**14, seed=0)
    logits = model.layer(*batch(rows)).numpy()
    assert (logits.argmax(-1) == targets).mean() > 0.7
    assert 0.35 < ((logits + model.correction).argmax(-1) == targets).mean() < 0.65


def test_a_class_with_one_row_and_a_data_set_of_two_rows() -> None:
    rows = [[5, 6], [5, 7], [5, 6, 8], [9, 10], [9, 11], [12]]
    model = fit_ngrams(
        *flat(rows), np.array([0, 0, 0, 1, 1, 2]), order=2, most_weights=2**12, seed=0
    )
    assert np.isfinite(model.correction).all()
    assert np.isfinite(model.layer(*batch(rows))).all()
    lone = fit_ngrams(*flat([[5], [6]]), np.array([0, 1]), order=2, most_weights=2**12, seed=0)
    assert not np.any(lone.layer(*batch([[5], [6]])))


def test_table_is_no_larger_than_allowed() -> None:
    draw = np.random.default_rng(6)
    rows = draw.integers(2, 400, size=(100, 40)).tolist()
    model = fit_ngrams(*flat(rows), draw.integers(5, size=100), order=3, most_weights=2**10, seed=0)
    assert model.layer.buckets * 5 <= 2**10


def test_a_mixture_is_no_worse_on_held_out_rows_than_its_parts() -> None:
    draw = np.random.default_rng(6)
    targets = draw.integers(2, size=500)
    hints = (np.eye(2)[targets] - 0.5) * draw.choice([-2, 1, 3], (2, 500, 1))
    alone = [calibrating_shares(hint[None], targets) for hint in hints]
    shares, loss = calibrating_shares(hints, targets)
    assert loss < min(least for _, least in alone) - 0.01
    assert (shares > 0).all()
    useless = np.stack([hints[0], draw.normal(0, 1, (500, 2))])
    shares, loss = calibrating_shares(useless, targets)
    assert loss <= alone[0][1]
    assert shares[1] < 0.1 < shares[0]
