"""The decoder: what it is taught is what it searches by."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.attention_decoder import AttentionDecoder
from apps.layers.doctor.graph import Functions
from apps.layers.token_layer import BEGIN, END, UNKNOWN

SIZE, WIDTH, MEMORY = 9, 5, 6


def decoder(**settings) -> AttentionDecoder:
    settings = {"length_penalty": 0.0, "beam": 4, "longest": 7, **settings}
    made = AttentionDecoder(SIZE, WIDTH, MEMORY, 8, seed=3, **settings)
    made.build()
    made.bias.assign(np.linspace(-1, 1, SIZE))
    made.search_for_good()
    return made


@pytest.fixture(scope="module")
def source() -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(0)
    ids = draw.integers(4, SIZE, (6, 5)).astype(np.int32)
    ids[0, 2] = UNKNOWN
    return {
        "ids": tf.constant(ids),
        "lengths": tf.constant([5, 4, 3, 5, 2, 1]),
        "memory": tf.constant(draw.normal(size=(6, 5, MEMORY)).astype(np.float32)),
        "table": tf.constant(draw.normal(size=(SIZE, WIDTH)).astype(np.float32)),
    }


@pytest.fixture(scope="module")
def found(source: dict[str, tf.Tensor]) -> dict[str, np.ndarray]:
    return {n: v.numpy() for n, v in tf.function(decoder(n_best=3).call)(**source).items()}


def test_scores_are_what_teaching_gives(source, found) -> None:
    layer = decoder(n_best=3)
    for row in range(5):
        for number in range(3):
            ids = [token for token in found["pieces"][row, :, number].tolist() if token]
            ends = [] if found["cut"][row, number] else [END]
            said = tf.constant([[BEGIN, *ids, *ends][:-1] or [BEGIN]])
            given = {n: source[n][row : row + 1] for n in ("lengths", "memory")}
            logits, _ = layer.teach(said, table=source["table"], **given)
            barred = [0, BEGIN] + ([] if row == 0 else [UNKNOWN])
            logits = np.delete(logits.numpy()[0].astype(np.float64), barred, 1)
            kept = [token for token in range(SIZE) if token not in barred]
            logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
            path = [*ids, *ends]
            total = sum(logs[step, kept.index(token)] for step, token in enumerate(path))
            assert found["scores"][row, number] == pytest.approx(total, abs=1e-4)


def test_a_row_says_alone_what_it_says_in_a_batch(source, found) -> None:
    layer = tf.function(decoder(n_best=3).call)
    for row in range(6):
        length = int(source["lengths"][row])
        alone = layer(
            source["ids"][row : row + 1, :length],
            source["lengths"][row : row + 1],
            source["memory"][row : row + 1, :length],
            source["table"],
        )
        for name in ("pieces", "places", "weights", "copied"):
            one, other = alone[name].numpy()[0], found[name][row]
            np.testing.assert_allclose(one, other[: len(one)], atol=1e-5)
            assert not other[len(one) :].any()
        np.testing.assert_allclose(alone["scores"][0], found["scores"][row], atol=1e-4)


def test_nothing_is_said_of_nothing_and_nothing_is_cut(found) -> None:
    assert not found["pieces"][5].any()
    assert not found["cut"][5].any()
    assert found["scores"][5, 0] == 0


def test_only_what_is_unknown_is_copied(found) -> None:
    assert UNKNOWN not in found["pieces"][1:]
    said = found["pieces"][0] > 0
    assert (found["copied"][0][said] == 2).all()


def test_search_is_greedy_until_it_is_for_good(source) -> None:
    wide, narrow = decoder(beam=4), decoder(beam=1)
    wide.width.assign(1)
    one, other = (tf.function(layer.call)(**source) for layer in (wide, narrow))
    np.testing.assert_array_equal(one["pieces"], other["pieces"])


def test_a_search_counts_as_no_layer_that_misses_its_kernel(source) -> None:
    graph = tf.function(decoder().call).get_concrete_function(**source).graph.as_graph_def()
    kernels = Functions(graph.library).kernels(graph.node, "CPU")
    assert [kernel.name for kernel in kernels] == ["BlockLSTMV2"]
