"""The linear baseline: it learns, and its state is all that it needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.data import Examples
from apps.text import bag_of_words
from apps.text.bag_of_words import BagOfWords
from apps.training.run_folder import RunFolder


def examples(rows: int, labels: list[str], seed: int = 0) -> Examples:
    """Texts of random words, one of which tells the label."""
    draw = np.random.default_rng(seed)
    chosen = [labels[i] for i in draw.integers(0, len(labels), rows)]
    texts = [
        " ".join(draw.permutation([*draw.choice(list("abcdefgh"), 5), f"l'{label}", "naïve", "!"]))
        for label in chosen
    ]
    return Examples({"text": texts, "label": chosen}, [f"row {i}" for i in range(rows)], "made")


@pytest.mark.parametrize("labels", [["no", "yes"], ["1", "2", "3", "4", "5"]])
def test_state_restores_equal_predictions_that_are_right(labels: list[str], tmp_path: Path) -> None:
    fitted = BagOfWords(labels, seed=0)
    fitted.fit(examples(120, labels))
    unseen = examples(60, labels, seed=1)
    outputs = fitted.predict(unseen)
    assert outputs.shape == (60, len(labels))
    right = [
        labels[i] == label for i, label in zip(outputs.argmax(1), unseen["label"], strict=True)
    ]
    assert np.mean(right) > 0.95

    folder = RunFolder(tmp_path)
    folder.write_arrays(tmp_path / "bag.npz", fitted.state())
    restored = BagOfWords(labels, seed=0)
    restored.restore(folder.read_arrays(tmp_path / "bag.npz"))
    np.testing.assert_array_equal(restored.predict(unseen), outputs)


def test_two_class_outputs_are_logits_of_the_regression() -> None:
    labels = ["no", "yes"]
    fitted = BagOfWords(labels, seed=0)
    fitted.fit(examples(100, labels))
    outputs = fitted.predict(examples(20, labels, seed=2))
    np.testing.assert_allclose(outputs[:, 0], -outputs[:, 1], atol=1e-6)


def test_texts_without_a_known_word_get_the_bias() -> None:
    labels = ["no", "yes"]
    fitted = BagOfWords(labels, seed=0)
    fitted.fit(examples(100, labels))
    odd = Examples({"text": ["", "   ", "зzz", "\x00"]}, list("1234"), "odd")
    outputs = fitted.predict(odd)
    assert np.isfinite(outputs).all()
    np.testing.assert_array_equal(outputs, np.tile(outputs[0], (4, 1)))


def test_most_frequent_terms_are_kept() -> None:
    labels = ["no", "yes"]
    small = BagOfWords(labels, seed=0, most_terms=7)
    small.fit(examples(100, labels))
    assert len(small.state()["idf"]) == 7


def test_very_many_rows_are_sampled_and_no_class_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bag_of_words, "_MOST_ROWS", 60)
    rows = examples(300, ["no", "yes"])
    rare = examples(1, ["rare"], seed=7)
    given = Examples(
        {name: [*rows[name], *rare[name]] for name in rows.columns}, [""] * 301, "made"
    )
    fitted = BagOfWords(["no", "rare", "yes"], seed=1)
    fitted.fit(given)
    assert "bag of words from 61 of 301 texts" in capsys.readouterr().err
    assert fitted.predict(rare).argmax(1).tolist() == [1]
