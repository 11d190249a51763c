"""The linear n-gram part where texts are very many: what it learns, and what it holds at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from apps.layers.ngrams import NgramLogits
from apps.text import many_ngrams, naive_bayes
from apps.text.naive_bayes import NgramModel, fit_ngrams

ROWS = 1024


@pytest.fixture(autouse=True)
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that a test's rows exceed."""
    monkeypatch.setattr(naive_bayes, "_FEW", 0)
    monkeypatch.setattr(naive_bayes, "_MOST_ROWS", 100)
    monkeypatch.setattr(many_ngrams, "_ROWS_AT_ONCE", 128)
    monkeypatch.setattr(many_ngrams, "_ROWS_TO_SEE", 3 * ROWS)


def pairs(classes: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Texts whose label is which word follows word 10; words are as frequent in every class."""
    draw = np.random.default_rng(seed)
    rows, targets = [], draw.integers(classes, size=ROWS)
    for label in targets:
        words = draw.permutation(np.arange(11, 11 + classes)).tolist()
        words.remove(11 + label)
        rows.append([10, 11 + label, 99, *words])
    values = np.array(rows, np.int32)
    return values.ravel(), np.arange(ROWS + 1) * values.shape[1], targets


def logits(model: NgramModel, values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    table, bias = model.layer.get_weights()
    return model.layer.features(values, offsets) @ table[:-1] + bias


@pytest.mark.parametrize("classes", [2, 3])
def test_learns_what_only_pairs_tell(classes: int) -> None:
    values, offsets, targets = pairs(classes)
    model = fit_ngrams(values, offsets, targets, order=2, most_weights=2**14, seed=0)
    unseen, _, truth = pairs(classes, seed=2)
    assert (logits(model, unseen, offsets).argmax(1) == truth).mean() > 0.99
    assert model.loss < 0.1


def test_correction_leaves_nothing_of_labels_of_noise() -> None:
    draw = np.random.default_rng(5)
    values = draw.integers(2, 400, ROWS * 10).astype(np.int32)
    offsets, targets = np.arange(ROWS + 1) * 10, draw.integers(2, size=ROWS)
    model = fit_ngrams(values, offsets, targets, order=2, most_weights=2**14, seed=0)
    corrected = logits(model, values, offsets) + model.correction
    assert 0.45 < (corrected.argmax(1) == targets).mean() < 0.55


def test_two_fits_are_equal() -> None:
    values, offsets, targets = pairs(2)
    one, other = (
        fit_ngrams(values, offsets, targets, order=2, most_weights=2**12, seed=4) for _ in range(2)
    )
    np.testing.assert_array_equal(one.layer.get_weights()[0], other.layer.get_weights()[0])
    np.testing.assert_array_equal(one.correction, other.correction)


def test_memory_holds_few_texts_and_the_rest_is_sampled(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of rows that were not drawn no n-gram is made, and they need no correction."""
    at_once: list[int] = []
    features = NgramLogits.features

    def counting(layer: NgramLogits, values: np.ndarray, offsets: np.ndarray) -> Any:
        at_once.append(len(offsets) - 1)
        return features(layer, values, offsets)

    monkeypatch.setattr(NgramLogits, "features", counting)
    monkeypatch.setattr(many_ngrams, "_ROWS_TO_SEE", 0)
    values, offsets, targets = pairs(2)
    monkeypatch.setattr(many_ngrams, "_MOST_NGRAMS", 2 * 4 * 512)
    model = fit_ngrams(values, offsets, targets, order=2, most_weights=2**12, seed=0)
    # Three times through the sample: ratios, fits, logits.
    assert at_once == [128, 128, 128, 128] * 3
    assert np.count_nonzero(model.correction.any(1)) <= 512
    assert f"n-grams from 512 of {ROWS:,} texts" in capsys.readouterr().err


def test_data_of_the_size_of_imdb_are_fitted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert not naive_bayes._many(3 * 25_000 * 270, 25_000, 2)
    assert naive_bayes._many(3 * 1_000_000 * 80, 1_000_000, 2)
