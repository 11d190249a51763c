"""What sentiment does when its weights are final: it never spoils what its n-grams know alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.data import Examples, Rows
from apps.layers.text import WordIds
from apps.text.sentiment import Sentiment
from apps.training.measuring import calibrate
from apps.training.prediction import Predictor


@pytest.fixture(scope="module")
def reviews() -> Examples:
    return Sentiment.sample(0)


@pytest.mark.parametrize("ngrams", [0, 2])
def test_an_lstm_that_learnt_nothing_is_not_heard(reviews: Examples, ngrams: int) -> None:
    settings = {"units": 4, "embedding": 4, "ngrams": ngrams, "embeddings": "random"}
    sentiment = Sentiment(Sentiment.Config.from_values(settings))
    sentiment.compose(reviews.select(range(300)))
    head = sentiment.model.get_layer("logits")
    draw = np.random.default_rng(0)
    head.set_weights([10 * draw.normal(size=weight.shape) for weight in head.get_weights()])
    held_out = reviews.select(range(300, 400))
    texts = tf.constant(held_out["text"])
    before = sentiment.served({"text": texts})["probabilities"].numpy()
    calibrate(sentiment, Predictor(sentiment), held_out)
    after = sentiment.served({"text": texts})["probabilities"].numpy()
    if not ngrams:
        np.testing.assert_array_equal(after, before)
        return
    assert sentiment.model.get_layer("mixture").shares.numpy()[0] < 0.05
    alone = sentiment.baselines()["ngrams_alone"].predict(held_out)
    targets = sentiment.task.targets(held_out)["target"]
    hits = [(answers.argmax(-1) == targets).mean() for answers in (before, alone, after)]
    assert hits[0] < hits[1] - 0.05
    assert hits[2] > hits[1] - 0.03


@pytest.mark.parametrize("learns", ["rest", "alone"])
def test_what_the_lstm_learns(reviews: Examples, learns: str) -> None:
    """The rest that the n-grams leave, or alone; either way both are heard in an answer."""
    none = {name: 0.0 for name in Sentiment.Config.ranges() if name.endswith("dropout")}
    small = {"units": 4, "embedding": 4, "ngrams": 2, "embeddings": "random"}
    sentiment = Sentiment(Sentiment.Config.from_values({**small, **none, "learns": learns}))
    training = reviews.select(range(80))
    adaptation = sentiment.compose(training)
    view = sentiment.view(training, training=adaptation)
    assert isinstance(view, Rows)
    batch = {name: tf.constant(value) for name, value in view.select(np.arange(8)).items()}
    mixture = sentiment.model.get_layer("mixture")
    parts = keras.Model(sentiment.model.inputs, list(mixture.input))
    lstm, ngrams = parts({name: batch[name] for name in ("ids", "lengths")})
    assert np.abs(ngrams).max() > 0.01
    wanted = lstm if learns == "alone" else lstm + ngrams + batch["correction"]
    np.testing.assert_allclose(sentiment.forward(batch), wanted, atol=1e-5)
    inputs = {name: batch[name] for name in ("ids", "lengths")}
    share = 0.5 if learns == "alone" else 1.0
    np.testing.assert_allclose(sentiment.model(inputs), share * (lstm + ngrams), atol=1e-5)


def test_training_texts_are_split_into_words_once(
    reviews: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat, split = WordIds.flat, []

    def counting(layer: WordIds, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        split.append(len(texts))
        return flat(layer, texts)

    monkeypatch.setattr(WordIds, "flat", counting)
    sentiment = Sentiment(Sentiment.Config.from_values({"units": 4, "embedding": 4}))
    training = reviews.select(range(100))
    adaptation = sentiment.compose(training)
    view = sentiment.view(training, training=adaptation)
    assert split == [100]
    others = sentiment.view(training)
    assert split == [100, 100]
    assert isinstance(view, Rows)
    assert isinstance(others, Rows)
    for row in range(100):
        ours, theirs = (one.select(np.array([row]))["ids"] for one in (view, others))
        np.testing.assert_array_equal(ours, theirs)
