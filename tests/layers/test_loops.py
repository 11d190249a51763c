"""Loops that run eagerly are graphs, traced once, and give what they give in a graph."""

from __future__ import annotations

import gc
import weakref

import keras
import numpy as np
import tensorflow as tf

from apps.layers.loops import as_graph, method_as_graph

TRACED: list[tuple[int | None, ...]] = []


@as_graph(2, 1)
def summed(values: tf.Tensor, first: dict[str, tf.Tensor]) -> tf.Tensor:
    """Sums over the second axis, one step after another."""
    TRACED.append(tuple(values.shape))

    def go_on(step: tf.Tensor, total: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return step + 1, total + values[:, step]

    steps = tf.shape(values)[1]
    start = (tf.constant(0), tf.ensure_shape(first["total"], [None, values.shape[2]]))
    return tf.while_loop(lambda step, _: step < steps, go_on, start)[1]


class Scaled(keras.layers.Layer):
    """A layer with a loop and a weight."""

    def build(self, shape: object) -> None:
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    @method_as_graph(2)
    def call(self, values: tf.Tensor) -> tf.Tensor:
        TRACED.append(tuple(values.shape))
        return values * tf.convert_to_tensor(self.scale)


def test_it_is_traced_once_for_all_batches_and_lengths() -> None:
    TRACED.clear()
    for rows, steps in ((1, 2), (3, 5), (2, 0)):
        values = np.random.default_rng(rows).normal(size=(rows, steps, 4))
        found = summed(values, {"total": tf.ones((rows, 4), tf.float64)})
        np.testing.assert_allclose(found, 1.0 + values.sum(1))
    assert TRACED == [(None, None, 4)]
    summed(np.zeros((1, 1, 2)), {"total": np.zeros((1, 2))})
    assert TRACED[1:] == [(None, None, 2)]


def test_its_gradient_is_that_of_the_loop() -> None:
    values = tf.Variable(np.arange(6.0).reshape(1, 3, 2))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(summed(values**2, {"total": tf.zeros((1, 2), tf.float64)}))
    np.testing.assert_allclose(tape.gradient(total, values), 2.0 * values)


def test_a_graph_of_a_layer_reads_its_weights_and_ends_with_it() -> None:
    one, other = Scaled(), Scaled()
    values = tf.constant([[1.0, 2.0]])
    for layer in (one, other):
        layer.build(values.shape)
    other.scale.assign(3.0)
    assert one(values).numpy().tolist() == [[1.0, 2.0]]
    assert other(values).numpy().tolist() == [[3.0, 6.0]]
    one.scale.assign(5.0)
    assert one(values).numpy().tolist() == [[5.0, 10.0]]
    gone = weakref.ref(one)
    del one, layer
    gc.collect()
    assert gone() is None


def test_in_a_graph_it_is_the_function_itself() -> None:
    graph = tf.function(summed).get_concrete_function(
        tf.TensorSpec([None, None, 4], tf.float64), {"total": tf.TensorSpec([None, 4], tf.float64)}
    )
    kinds = {operation.type for operation in graph.graph.get_operations()}
    assert "StatelessWhile" in kinds
    assert not kinds & {"PartitionedCall", "StatefulPartitionedCall"}
