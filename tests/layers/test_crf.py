"""The CRF against enumeration of every sequence of tags."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers.crf import CRF, decode, log_likelihood, viterbi

TAGS, STEPS = 3, 5
LENGTHS = np.array([5, 1, 3, 4], np.int32)
# May not follow: 2 on 0; 1 cannot begin, 2 cannot end.
LEGAL = np.ones((TAGS + 1, TAGS + 1), bool)
LEGAL[0, 2] = LEGAL[TAGS, 1] = LEGAL[2, TAGS] = False


def crf(seed: int = 0, legal: np.ndarray = LEGAL) -> CRF:
    layer = CRF(legal)
    layer.build((None, None, len(legal) - 1))
    layer.transitions.assign(np.random.default_rng(seed).normal(size=legal.shape))
    return layer


def given(seed: int = 0, scale: float = 2.0) -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(seed)
    emissions = draw.normal(0, scale, (len(LENGTHS), STEPS, TAGS)).astype(np.float32)
    return crf(seed)(tf.constant(emissions))


def enumerated(outputs: dict[str, tf.Tensor], row: int) -> dict[tuple[int, ...], float]:
    """The score of every sequence of a row, those with an illegal transition left out."""
    emissions = outputs["emissions"].numpy()[row].astype(np.float64)
    scores = outputs["transitions"].numpy()[row].astype(np.float64)
    found = {}
    for tags in itertools.product(range(TAGS), repeat=int(LENGTHS[row])):
        path = [TAGS, *tags, TAGS]
        if all(LEGAL[pair] for pair in itertools.pairwise(path)):
            moves = sum(scores[pair] for pair in itertools.pairwise(path))
            found[tags] = moves + sum(emissions[i, tag] for i, tag in enumerate(tags))
    return found


def log_sum(values: list[float]) -> float:
    return float(np.logaddexp.reduce(values))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("scale", [0.5, 5.0, 300.0])
def test_best_sequence_and_sum_over_all_are_those_of_enumeration(seed: int, scale: float) -> None:
    outputs = given(seed, scale)
    arguments = (outputs["emissions"], outputs["transitions"], LENGTHS)
    found, best = decode(*arguments), viterbi(*arguments).numpy()
    for row, length in enumerate(LENGTHS):
        scores = enumerated(outputs, row)
        expected = max(scores, key=scores.__getitem__)
        assert tuple(best[row, :length]) == expected
        assert tuple(found.tags.numpy()[row, :length]) == expected
        assert not best[row, length:].any()
        assert found.total.numpy()[row] == pytest.approx(log_sum(list(scores.values())), rel=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_likelihoods_are_those_of_enumeration_and_add_up_to_one(seed: int) -> None:
    outputs = given(seed)
    for row, length in enumerate(LENGTHS):
        scores = enumerated(outputs, row)
        total = log_sum(list(scores.values()))
        tags = np.zeros((len(scores), STEPS), np.int32)
        for target, path in zip(tags, scores, strict=True):
            target[:length] = path
        emissions, transitions = (
            tf.repeat(value[row : row + 1], len(scores), 0) for value in outputs.values()
        )
        lengths = tf.fill([len(scores)], length)
        found = log_likelihood(emissions, transitions, tags, lengths).numpy()
        np.testing.assert_allclose(found, np.array(list(scores.values())) - total, atol=1e-4)
        assert np.exp(found).sum() == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_probability_of_a_part_sums_all_sequences_that_have_it(seed: int) -> None:
    outputs = given(seed)
    found = decode(outputs["emissions"], outputs["transitions"], LENGTHS)
    for row, length in enumerate(LENGTHS):
        scores = enumerated(outputs, row)
        total, best = log_sum(list(scores.values())), tuple(found.tags.numpy()[row, :length])
        for first in range(length):
            for last in range(first, length):
                part = slice(first, last + 1)
                same = [score for tags, score in scores.items() if tags[part] == best[part]]
                own = found.log_probability(*(tf.constant([x]) for x in (row, first, last)))
                assert own.numpy()[0] == pytest.approx(log_sum(same) - total, abs=1e-6)


def test_illegal_transitions_never_win_however_much_the_emissions_want_them() -> None:
    emissions = np.full((1, 4, TAGS), -1e6, np.float32)
    # 0 then 2 is illegal, and so is 2 at the end.
    emissions[0, [0, 1, 2, 3], [0, 2, 1, 2]] = 1e6
    outputs = crf()(tf.constant(emissions))
    tags = viterbi(outputs["emissions"], outputs["transitions"], tf.constant([4])).numpy()[0]
    path = [TAGS, *tags, TAGS]
    assert all(LEGAL[pair] for pair in itertools.pairwise(path))
    assert tags[1] != 2 or tags[0] != 0
    assert tags[3] != 2


def test_what_stands_in_padding_changes_nothing() -> None:
    outputs = given()
    noise = np.random.default_rng(9).normal(0, 9, outputs["emissions"].shape)
    real = np.arange(STEPS)[None, :, None] < LENGTHS[:, None, None]
    other = tf.constant(np.where(real, outputs["emissions"], noise), tf.float32)
    tags = tf.constant(np.random.default_rng(1).integers(0, 2, real.shape[:2]), tf.int32)
    moved = tf.where(real[:, :, 0], tags, 1 - tags)
    emissions, transitions = outputs.values()
    np.testing.assert_array_equal(
        viterbi(emissions, transitions, LENGTHS), viterbi(other, transitions, LENGTHS)
    )
    np.testing.assert_array_equal(
        log_likelihood(emissions, transitions, tags, LENGTHS),
        log_likelihood(other, transitions, moved, LENGTHS),
    )


def test_gradients_are_expected_counts() -> None:
    """Of the sum over all sequences, the derivative by an emission is that tag's probability."""
    layer = crf()
    emissions = tf.Variable(given()["emissions"])
    with tf.GradientTape() as tape:
        outputs = layer(emissions)
        tags = tf.zeros((len(LENGTHS), STEPS), tf.int32)
        scored = log_likelihood(outputs["emissions"], outputs["transitions"], tags, LENGTHS)
        loss = tf.reduce_sum(scored)
    by_emission, by_transition = tape.gradient(loss, [emissions, layer.transitions])
    for row, length in enumerate(LENGTHS):
        scores = enumerated(outputs, row)
        total = log_sum(list(scores.values()))
        for step in range(length):
            for tag in range(TAGS):
                having = [score for path, score in scores.items() if path[step] == tag]
                share = np.exp(log_sum(having) - total) if having else 0.0
                assert by_emission.numpy()[row, step, tag] == pytest.approx(
                    (tag == 0) - share, abs=1e-4
                )
        assert not by_emission.numpy()[row, length:].any()
    assert not by_transition.numpy()[~LEGAL].any()


def test_a_shift_is_added_to_the_emissions_and_not_learnt() -> None:
    layer, emissions = crf(), given()["emissions"]
    layer.shift.assign([-1.0, 0.0, 2.0])
    np.testing.assert_allclose(
        layer(emissions)["emissions"], emissions + tf.constant([-1.0, 0.0, 2.0])
    )
    assert [weight.name for weight in layer.trainable_weights] == ["transitions"]


def test_saved_and_loaded_it_gives_equal_scores(tmp_path: object) -> None:
    emissions = keras.Input((None, TAGS))
    model = keras.Model(emissions, crf()(emissions))
    model.save(f"{tmp_path}/crf.keras")
    again = keras.models.load_model(f"{tmp_path}/crf.keras")
    x = given()["emissions"]
    for name, value in model(x).items():
        np.testing.assert_array_equal(again(x)[name], value)


@pytest.mark.parametrize("legal", [np.ones((3, 2)), np.ones(4)])
def test_a_table_that_is_not_square_is_refused(legal: np.ndarray) -> None:
    with pytest.raises(ValueError, match="square"):
        CRF(legal)
    with pytest.raises(ValueError, match="emissions a step"):
        CRF(LEGAL).build((None, None, TAGS + 1))
