"""Translation: what it is taught and what it answers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.data import Examples
from apps.errors import UserError
from apps.layers.token_layer import UNKNOWN
from apps.text.copied_words import STRANGER
from apps.text.translation import Translation

SMALL = {"units": 8, "decoder_units": 12, "embedding": 8, "vocabulary": 80, "max_tokens": 12}


def pairs(rows: list[tuple[str, str]]) -> Examples:
    columns = {"source": [one for one, _ in rows], "target": [other for _, other in rows]}
    return Examples(columns, [f"pairs row {n + 1}" for n in range(len(rows))], "pairs")


@pytest.fixture(scope="module")
def application() -> Translation:
    made = Translation(Translation.Config.from_values({**SMALL, "beam": 3, "n_best": 2}))
    made.compose(made.sample(0).select(range(60)))
    return made


def answers(application: Translation, texts: list[str]) -> dict[str, np.ndarray]:
    call = tf.function(lambda source: application.served({"source": source}, training=False))
    return {name: value.numpy() for name, value in call(tf.constant(texts)).items()}


def test_odd_texts_are_answered(application: Translation) -> None:
    texts = [
        "",
        " \u3000",
        "x " * 10_000,
        "שלום עולם",
        "👩\u200d💻",
        "e\u0301\u0301",
        "a\0b",
        "日" * 300,
    ]
    said = answers(application, texts)
    assert said["text"][:2].tolist() == [b"", b""]
    assert not said["cut"][:2].any()
    assert said["alignment_counts"][0] == 0
    assert said["cut"][2]
    for text in said["text"]:
        assert "\ufffd" not in text.decode()


def test_the_best_answers_stand_first(application: Translation) -> None:
    application.adapted["decoder"].search_for_good()
    said = answers(application, [*application.sample(1)["source"][:5]])
    application.adapted["decoder"].width.assign(1)
    assert said["texts"].shape == (5, 2)
    assert (said["text"] == said["texts"][:, 0]).all()
    assert (np.diff(said["scores"], axis=1) <= 0).all() or said["cut"].any()


def test_a_word_that_training_never_saw_is_unknown_on_both_sides(application: Translation) -> None:
    adaptation = application.adapt(application.sample(0).select(range(300)))
    assert adaptation.training is not None
    more = adaptation.training.select(range(300, len(adaptation.training)))
    assert len(more) == 3
    for one, other in zip(more["source"], more["target"], strict=True):
        assert STRANGER in one
        assert STRANGER in other
        assert UNKNOWN in application.adapted["pieces"].encode(one)


@pytest.mark.parametrize("better", [0.5, 1.0, 2.0])
def test_training_searches_greedily_and_validation_chooses_the_beams_penalty(
    application: Translation, better: float
) -> None:
    decoder, pieces = application.adapted["decoder"], application.adapted["pieces"]
    texts = ["a e i o u", "o i e a n"]
    ids = [pieces.encode(text) for text in texts]
    batch = {"truth": np.array(texts, object), "target_lengths": np.array([5, 5])}

    def held_out(model: object, most: int) -> list:
        right = float(decoder.penalty.numpy()) == better
        said = [one if right else one[:1] for one in ids]
        found = np.zeros((2, max(map(len, said)), 1), int)
        for row, one in enumerate(said):
            found[row, : len(one), 0] = one
        return [(batch, {"pieces": found, "memory": np.zeros((2, 1, 1))})]

    assert int(decoder.width.numpy()) == 1
    application.calibrate(held_out)
    assert int(decoder.width.numpy()) == 3
    assert float(decoder.penalty.numpy()) == better
    decoder.width.assign(1)


def test_a_penalty_that_is_given_is_kept() -> None:
    made = Translation(Translation.Config.from_values({**SMALL, "length_penalty": 0.25}))
    made.compose(made.sample(0).select(range(60)))
    made.calibrate(lambda model, most: pytest.fail("nothing is to be chosen"))
    assert float(made.adapted["decoder"].penalty.numpy()) == 0.25


def test_the_loss_is_smoothed_cross_entropy() -> None:
    task = Translation.task.bound(Translation.Config(label_smoothing=0.2), 0, {})
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2, 3, 5)).astype(np.float32)
    target, lengths = np.array([[1, 2, 3], [4, 0, 0]], np.int32), np.array([3, 1])
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    shares = 0.8 * np.eye(5)[target] + 0.2 / 5
    losses = -(shares * logs).sum(-1)
    wanted = (losses[0].sum() + losses[1, 0]) / 4
    batch = {"target": tf.constant(target), "target_lengths": tf.constant(lengths)}
    assert float(task.loss(batch, tf.constant(logits))) == pytest.approx(wanted, rel=1e-5)


def test_pairs_with_a_blank_side_are_left_out(application: Translation) -> None:
    rows = pairs([("a", "x"), (" ", "y"), ("b", "\u3000"), ("c", "z")])
    assert application.check(rows, learning=True)["source"] == ["a", "c"]
    with pytest.raises(UserError, match="a side of every pair is blank"):
        application.check(pairs([("a", ""), ("", "x")]), learning=True)


def test_fewer_texts_get_fewer_pieces() -> None:
    few, many = (pairs([("a word", "ein Wort")] * count) for count in (20, 20_000))
    application = Translation(Translation.Config())
    assert application.settings_for(few)["vocabulary"] == 100
    assert 1000 < application.settings_for(many)["vocabulary"] < 1400


def test_a_vocabulary_of_one_letter_is_enough() -> None:
    made = Translation(Translation.Config.from_values(SMALL))
    made.compose(pairs([("a a", "a")] * 20))
    assert set(answers(made, ["a a"])["text"][0].decode()) <= {"a", " "}
