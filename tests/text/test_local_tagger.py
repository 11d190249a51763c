"""The linear model of a token and its neighbours."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import tensorflow as tf

from apps.components import Baseline
from apps.data import Examples
from apps.layers.local_scores import LocalScores
from apps.tasks.tagging.tag_set import TagSet
from apps.text.entities import Entities
from apps.text.local_tagger import LocalAlone
from apps.text.sample_news import sample_news
from apps.training.measuring import calibrate
from apps.training.prediction import Predictor


@pytest.fixture(scope="module")
def fitted() -> tuple[Entities, Examples]:
    application = Entities(Entities.Config.from_values({"units": 4, "embedding": 4}))
    rows = application.check(sample_news(1, rows=300), learning=True)
    application.compose(rows)
    return application, rows


def test_features_hang_on_no_more_than_the_window() -> None:
    layer = LocalScores(2**16, 3, rare_from=50, unknown=1, window=2)
    draw = np.random.default_rng(0)
    ids = draw.integers(2, 40, (1, 9)).astype(np.int32)
    characters = draw.integers(2, 30, (1, 9, 6)).astype(np.int32)
    casing = draw.integers(1, 6, (1, 9)).astype(np.int32)
    before = layer.features(tf.constant(ids), tf.constant(characters), tf.constant(casing)).numpy()
    ids[0, 8], casing[0, 8], characters[0, 8] = 41, 6, 31
    after = layer.features(tf.constant(ids), tf.constant(characters), tf.constant(casing)).numpy()
    same = (before == after).all(-1)[0]
    assert same.tolist() == [True] * 6 + [False] * 3
    assert before.min() >= 0
    assert before.max() < 2**16
    # Slots of one value differ, so that a word does not count as its neighbour.
    assert len({*before[0, 4].tolist()}) == before.shape[-1]


def test_rare_words_count_as_unknown_and_padding_as_nothing() -> None:
    layer = LocalScores(2**16, 3, rare_from=5, unknown=1)
    empty = tf.zeros((1, 3, 4), tf.int32)
    casing = tf.constant([[3, 3, 0]])
    rare, other, unknown = (
        layer.features(tf.constant([[2, word, 0]]), empty, casing).numpy() for word in (5, 9, 1)
    )
    np.testing.assert_array_equal(rare, other)
    np.testing.assert_array_equal(rare, unknown)
    longer = layer.features(
        tf.constant([[2, 9, 0, 0]]), tf.zeros((1, 4, 4), tf.int32), tf.constant([[3, 3, 0, 0]])
    )
    np.testing.assert_array_equal(longer[:, :3], rare)


def test_it_learns_what_stands_beside_a_name(fitted: tuple[Entities, Examples]) -> None:
    application, rows = fitted
    task = application.task
    baseline = application.baselines()["linear_alone"]
    held_out = application.check(sample_news(2, rows=100), learning=False)
    assert task.measure(task.statistics_of(baseline, rows))["f1"] > 0.9
    found = task.measure(task.statistics_of(baseline, held_out))["f1"]
    assert found > task.measure(task.statistics_of(mentions(application, rows), held_out))["f1"]
    assert found > 0.6


def mentions(application: Entities, rows: Examples) -> Baseline:
    baseline = application.baselines()["mentions"]
    baseline.fit(rows)
    return baseline


def test_answers_are_legal_and_empty_texts_have_none(fitted: tuple[Entities, Examples]) -> None:
    application, _ = fitted
    baseline = application.baselines()["linear_alone"]
    assert isinstance(baseline, LocalAlone)
    texts = ["Ada Brond told reporters in Port Lask that Vin Ltd. would close", "", "."]
    tags = baseline.predict(Examples({"text": texts}, texts, "texts"))
    tag_set: TagSet = application.task.tag_set
    legal, end = tag_set.legal, len(tag_set)
    for row in tags.tolist():
        path = [end, *row, end]
        assert all(legal[pair] for pair in itertools.pairwise(path))
    assert not tags[2].any()


def test_the_mixture_is_chosen_by_likelihood(fitted: tuple[Entities, Examples]) -> None:
    application, _ = fitted
    held_out = application.check(sample_news(2, rows=100), learning=False)
    mixture = application.model.get_layer("mixture")
    mixture.shares.assign([1.0, 0.0])
    # The LSTM has learnt nothing.
    calibrate(application, Predictor(application), held_out)
    lstm, linear = mixture.shares.numpy()
    assert linear > 0
    assert lstm in (0, 0.25, 0.5, 0.75, 1)
