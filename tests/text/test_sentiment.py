"""What sentiment does when its weights are final: it never spoils what its n-grams know alone."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.data import Examples
from apps.text.sentiment import Sentiment


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
    sentiment.calibrate(held_out)
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
