"""`apps.layers.LSTM` computes the same numbers as `keras.layers.LSTM`."""

from __future__ import annotations

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers import LSTM, lstm

MASKS = ("none", "right", "left", "holes")


def draw_mask(kind: str, batch: int, time: int, rng: np.random.Generator) -> tf.Tensor | None:
    """A mask of one kind; if it pads, one row has all steps and one has none."""
    if kind == "none":
        return None
    if kind == "holes":
        return tf.constant(rng.random((batch, time)) < 0.6)
    lengths = rng.integers(0, time + 1, size=batch)
    lengths[0], lengths[-1] = time, 0
    mask = np.arange(time) < lengths[:, None]
    return tf.constant(mask if kind == "right" else mask[:, ::-1].copy())


def twins(units: int, features: int, *, both: bool = False, **options):
    """The layer and Keras's own, with equal weights and nonzero biases."""
    pair = [LSTM(units, **options), keras.layers.LSTM(units, **options)]
    if both:
        pair = [keras.layers.Bidirectional(layer) for layer in pair]
    rng = np.random.default_rng(units)
    for layer in pair:
        layer.build((None, None, features))
    # Larger weights make the recurrence chaotic, and it would magnify rounding differences.
    weights = [rng.normal(scale=units**-0.5, size=w.shape) for w in pair[0].weights]
    for layer in pair:
        layer.set_weights(weights)
    return pair


def results(layer: keras.Layer, x, states, mask, mode: str):
    """Outputs, and the gradients at inputs, initial states and weights, of a curved loss."""

    def run(x, states):
        with tf.GradientTape() as tape:
            tape.watch([x, *states])
            outputs = tf.nest.flatten(layer(x, initial_state=list(states) or None, mask=mask))
            loss = tf.add_n([tf.reduce_sum(tf.sin((1.0 + n) * y)) for n, y in enumerate(outputs)])
        sources = [x, *states, *(weight.value for weight in layer.trainable_weights)]
        return outputs, tape.gradient(loss, sources)

    if mode == "eager":
        return run(x, states)
    return tf.function(run, jit_compile=mode == "xla")(x, states)


def assert_equal_numbers(pair, shape, *, mask=None, states=(), mode="graph") -> None:
    """Outputs within 1e-6, every gradient within 1e-5 of its largest entry."""
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(size=shape), tf.float32)
    outputs, gradients = results(pair[0], x, states, mask, mode)
    stock_outputs, stock_gradients = results(pair[1], x, states, mask, mode)
    for got, expected in zip(outputs, stock_outputs, strict=True):
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)
    for got, expected in zip(gradients, stock_gradients, strict=True):
        scale = np.abs(expected).max()
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5 * scale)


def draw_states(batch: int, units: int, count: int) -> tuple[tf.Tensor, ...]:
    rng = np.random.default_rng(7)
    return tuple(
        tf.constant(rng.normal(scale=0.5, size=(batch, units)), tf.float32) for _ in range(count)
    )


@pytest.mark.parametrize("mode", ["eager", "graph"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    ("sequences", "backwards"), list(itertools.product([False, True], repeat=2))
)
def test_numbers_with_states_and_masks(mode, mask, sequences, backwards) -> None:
    pair = twins(6, 4, return_sequences=sequences, go_backwards=backwards, return_state=True)
    chosen = draw_mask(mask, 5, 9, np.random.default_rng(3))
    assert_equal_numbers(pair, (5, 9, 4), mask=chosen, states=draw_states(5, 6, 2), mode=mode)


@pytest.mark.parametrize("seed", range(8))
def test_numbers_on_random_shapes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    batch, time, features, units = (int(rng.integers(1, top)) for top in (40, 60, 70, 140))
    options = {name: bool(rng.integers(2)) for name in ("return_sequences", "return_state")}
    mask = draw_mask(str(rng.choice(MASKS)), batch, time, rng)
    assert_equal_numbers(twins(units, features, **options), (batch, time, features), mask=mask)


@pytest.mark.parametrize("options", [{}, {"return_sequences": True}, {"return_state": True}])
@pytest.mark.parametrize("shape", [(1, 700, 5), (2, 300, 5), (3, 260, 9), (40, 30, 33)])
def test_numbers_without_a_gradient(shape: tuple[int, int, int], options: dict) -> None:
    """Kernels keep less if nothing needs a gradient; their chunks of steps join without seams."""
    layer, stock = twins(21, shape[2], **options)
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    got, expected = (tf.nest.flatten(tf.function(call)(x)) for call in (layer, stock))
    for ours, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", ["graph", "xla"])
@pytest.mark.parametrize("mask", ["none", "right"])
def test_numbers_bidirectional(mode: str, mask: str) -> None:
    pair = twins(5, 3, both=True, return_sequences=True, return_state=True)
    chosen = draw_mask(mask, 4, 7, np.random.default_rng(1))
    assert_equal_numbers(pair, (4, 7, 3), mask=chosen, states=draw_states(4, 5, 4), mode=mode)


def test_numbers_stacked_and_trained() -> None:
    """Two masked layers and a head train along the same path."""
    x = np.random.default_rng(0).normal(size=(16, 8, 3)).astype("float32")
    x[3:6, 5:] = 0
    models = []
    for kind in (LSTM, keras.layers.LSTM):
        keras.utils.set_random_seed(4)
        layers = [keras.Input((None, 3)), keras.layers.Masking()]
        layers += [kind(6, return_sequences=True), kind(5), keras.layers.Dense(1)]
        model = keras.Sequential(layers)
        model.compile("sgd", "mse")
        model.fit(x, x[:, 0, :1], epochs=3, shuffle=False, verbose=0)
        models.append(model)
    for got, expected in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_zero_output_for_mask() -> None:
    pair = twins(6, 4, return_sequences=True, zero_output_for_mask=True)
    mask = draw_mask("right", 5, 9, np.random.default_rng(2))
    assert_equal_numbers(pair, (5, 9, 4), mask=mask)


def test_row_of_no_steps_keeps_its_state_and_gives_zeros() -> None:
    layer = LSTM(3, return_state=True)
    states = draw_states(2, 3, 2)
    mask = tf.constant([[True, True], [False, False]])
    output, hidden, cell = layer(tf.ones([2, 2, 4]), initial_state=list(states), mask=mask)
    np.testing.assert_array_equal(output[1], np.zeros(3))
    np.testing.assert_array_equal(hidden[1], states[0][1])
    np.testing.assert_array_equal(cell[1], states[1][1])


def test_batch_of_no_steps_ends_in_its_first_state() -> None:
    layer = LSTM(3, return_state=True)
    run = tf.function(lambda x, h, c: layer(x, initial_state=[h, c]))
    states = draw_states(2, 3, 2)
    run(tf.ones([2, 1, 4]), *states)
    got = run.get_concrete_function(tf.TensorSpec([None, None, 4]), *states)(
        tf.ones([2, 0, 4]), *states
    )
    np.testing.assert_array_equal(got[1], states[0])
    np.testing.assert_array_equal(got[2], states[1])


@pytest.mark.parametrize(
    ("policy", "tolerance"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2), ("float64", 1e-12)]
)
def test_other_dtypes(policy: str, tolerance: float) -> None:
    layer, stock = twins(9, 4, dtype=policy, return_sequences=True)
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 12, 4)), tf.float64)
    for call in (layer, tf.function(layer)):
        got = call(x)
        assert got.dtype == layer.compute_dtype
        np.testing.assert_allclose(
            tf.cast(got, tf.float64), tf.cast(stock(x), tf.float64), atol=tolerance
        )


def test_half_precision_trains() -> None:
    layer, stock = twins(8, 4, dtype="mixed_float16")
    x = tf.constant(np.random.default_rng(0).normal(size=(3, 12, 4)), tf.float32)
    _, gradients = results(layer, x, (), None, "graph")
    _, expected = results(stock, x, (), None, "graph")
    for got, wanted in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-2 * np.abs(wanted).max())


def test_stateful_and_chunks_equal_the_whole() -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 12, 4)), tf.float32)
    whole = LSTM(5, return_sequences=True, return_state=True)
    output, hidden, cell = whole(x)
    state: list[tf.Tensor] | None = None
    pieces = []
    for chunk in tf.split(x, [5, 1, 6], 1):
        piece, *state = whole(chunk, initial_state=state)
        pieces.append(piece)
    np.testing.assert_allclose(tf.concat(pieces, 1), output, atol=1e-6)
    np.testing.assert_allclose(np.stack(state or []), [hidden, cell], atol=1e-6)

    stateful = LSTM(5, return_sequences=True, stateful=True)
    stateful.build(x[:, :6].shape)
    stateful.set_weights(whole.get_weights())
    run = tf.function(stateful)
    halves = [run(x[:, :6]), run(x[:, 6:])]
    np.testing.assert_allclose(tf.concat(halves, 1), output, atol=1e-6)
    stateful.reset_state()
    np.testing.assert_allclose(run(x[:, :6]), output[:, :6], atol=1e-6)


def test_weights_move_both_ways_and_config_round_trips(tmp_path) -> None:
    options: dict = {
        "dropout": 0.2,
        "weight_dropout": 0.3,
        "chrono": 40,
        "seed": 5,
        "kernel_regularizer": "l2",
        "recurrent_constraint": "max_norm",
        "return_sequences": True,
    }
    layer = LSTM(4, **options)
    copy = LSTM.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    model = keras.Sequential([keras.Input((None, 3)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x = np.ones((2, 5, 3), "float32")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert [w.shape for w in layer.weights] == [w.shape for w in loaded.layers[0].weights]
    stock = keras.layers.LSTM(4, return_sequences=True)
    stock.build((None, None, 3))
    stock.set_weights(layer.get_weights())
    layer.set_weights(stock.get_weights())
    np.testing.assert_allclose(stock(x), layer(x), atol=1e-6)


def test_regularizers_constraints_and_initializers_reach_the_weights() -> None:
    layer = LSTM(
        3,
        kernel_initializer="ones",
        recurrent_initializer="zeros",
        bias_initializer="ones",
        kernel_regularizer=keras.regularizers.L1(0.5),
        recurrent_constraint=keras.constraints.NonNeg(),
    )
    layer.build((None, None, 2))
    kernel, recurrent, bias = layer.get_weights()
    for weights, value in ((kernel, 1), (recurrent, 0), (bias, 1)):
        np.testing.assert_array_equal(weights, np.full_like(weights, value))
    assert float(layer.losses[0]) == pytest.approx(0.5 * 24)
    assert layer.cell.recurrent_kernel.constraint is layer.recurrent_constraint


def test_weight_dropout_drops_the_share_asked_for_and_keeps_the_mean() -> None:
    """With one step from a state of ones, each gate's input is a sum over recurrent weights."""
    dropped = []
    layer = LSTM(64, weight_dropout=0.4, seed=1)
    layer.build((None, None, 1))
    kept = layer.get_weights()
    original = keras.random.dropout

    def watch(inputs, rate, seed=None):
        dropped.append(original(inputs, rate, seed=seed))
        return dropped[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lstm.keras.random, "dropout", watch)
        layer(tf.zeros([1, 1, 1]), training=True)
        layer(tf.zeros([1, 1, 1]), training=True)
        layer(tf.zeros([1, 1, 1]), training=False)
    assert len(dropped) == 2
    for weights in dropped:
        share = float(np.mean(np.asarray(weights) == 0))
        assert share == pytest.approx(0.4, abs=0.02)  # 16384 draws: 5 standard deviations
    alive = np.asarray(dropped[0]) != 0
    np.testing.assert_allclose(np.asarray(dropped[0])[alive], kept[1][alive] / 0.6, rtol=1e-5)
    assert (np.asarray(dropped[0]) != np.asarray(dropped[1])).any()


@pytest.mark.parametrize("options", [{"dropout": 0.5}, {"weight_dropout": 0.5}])
def test_dropout_is_for_training_and_repeats_under_a_seed(options: dict) -> None:
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 6, 8)), tf.float32)
    first, second = (LSTM(5, seed=9, **options) for _ in range(2))
    first.build(x.shape), second.build(x.shape)
    second.set_weights(first.get_weights())
    np.testing.assert_array_equal(first(x, training=True), second(x, training=True))
    assert (first(x, training=True).numpy() != first(x).numpy()).any()
    np.testing.assert_array_equal(first(x), first(x, training=False))


def test_inference_writes_nothing() -> None:
    """A server expects a pure function; stock Keras advances a seed with every request."""
    layer = LSTM(3, dropout=0.5, weight_dropout=0.5, seed=1)
    layer.build((None, None, 4))
    graph = (
        tf.function(lambda x: layer(x, training=False))
        .get_concrete_function(tf.TensorSpec([None, None, 4]))
        .graph.as_graph_def()
    )
    operations = {node.op for node in graph.node}
    operations |= {node.op for f in graph.library.function for node in f.node_def}
    assert not {op for op in operations if "Assign" in op or "Random" in op}


def test_input_dropout_has_one_mask_for_all_steps() -> None:
    """Equal steps stay equal: from the same state, each gives the same output."""
    layer = LSTM(4, dropout=0.5, seed=3, return_sequences=True)
    layer.build((None, None, 20))
    _, recurrent, bias = layer.get_weights()
    # An open forget gate would carry state on; closed, each step stands alone.
    bias[4:8] = -1e4
    layer.set_weights([layer.get_weights()[0], recurrent * 0, bias])
    output = layer(tf.ones([1, 5, 20]), training=True).numpy()
    np.testing.assert_allclose(output, np.repeat(output[:, :1], 5, 1), atol=1e-6)


def test_chrono_bias() -> None:
    """Forget gates log(u), u uniform in [1, T - 1]; input gates minus that; others 0."""
    layer = LSTM(2000, chrono=100, seed=0, recurrent_initializer="zeros")
    layer.build((None, None, 1))
    inputs, forget, cell, output = np.split(layer.get_weights()[2], 4)
    np.testing.assert_array_equal(inputs, -forget)
    np.testing.assert_array_equal([cell, output], np.zeros((2, 2000)))
    ranges = np.exp(forget)
    assert ranges.min() >= 1 - 1e-5
    assert ranges.max() <= 99 + 1e-3
    assert ranges.mean() == pytest.approx(50, abs=2.6)  # 4 standard errors of 98 / sqrt(12 n)


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"recurrent_dropout": 0.2}, "weight_dropout"),
        ({"activation": "relu"}, "leave it out"),
        ({"recurrent_activation": "hard_sigmoid"}, "leave it out"),
        ({"use_bias": False}, "leave use_bias out"),
        ({"unroll": True}, "leave unroll out"),
        ({"weight_dropout": 1.0}, "weight_dropout"),
        ({"chrono": 1}, "chrono"),
    ],
)
def test_what_cannot_be_fused_is_refused_with_a_remedy(options: dict, remedy: str) -> None:
    with pytest.raises(ValueError, match=remedy):
        LSTM(4, **options)
