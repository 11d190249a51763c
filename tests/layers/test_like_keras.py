"""`apps.layers.LSTM` takes what `keras.layers.LSTM` takes, and differentiates as far as it does."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

from apps.layers import LSTM, LSTMStack
from apps.layers.kernels import native

BATCH, STEPS, FEATURES, UNITS = 3, 5, 4, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, STEPS, FEATURES)).astype("float32")
STATES = [RNG.normal(size=(BATCH, UNITS)).astype("float32") for _ in range(2)]
MASK = np.arange(STEPS) < np.array([5, 0, 3])[:, None]
DTYPES = ("int32", "int64", "uint8", "int8", "bool", "float16", "float64", "bfloat16")
MASKS = {
    "integers": MASK.astype("int32"),
    "halves": MASK * 0.5,
    "one more axis": MASK[..., None],
    "one more axis, on the left": MASK[:, ::-1, None].astype("uint8"),
    "one for all rows": MASK[2:],
    "holes": np.array([[1, 0, 1, 0, 1], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool),
}
OPTIONS: list[dict] = [
    {"use_cudnn": False},
    {"activation": tf.tanh, "recurrent_activation": keras.ops.sigmoid},
    {"stateful": True},
    {"trainable": False, "dtype": "float64"},
    {"activity_regularizer": "l2", "bias_constraint": "max_norm", "implementation": 1},
    {"zero_output_for_mask": True, "go_backwards": True, "unit_forget_bias": False},
]


def twins(**options) -> tuple[LSTM, keras.layers.LSTM]:
    layer, stock = LSTM(UNITS, **options), keras.layers.LSTM(UNITS, **options)
    for one in (layer, stock):
        one.build(X.shape)
    weights = [np.random.default_rng(1).normal(0, 0.5, w.shape) for w in stock.cell.weights]
    layer.cell.set_weights(weights)
    stock.cell.set_weights(weights)
    return layer, stock


def assert_equal(got, expected, tolerance: float = 1e-5) -> None:
    for ours, theirs in zip(tf.nest.flatten(got), tf.nest.flatten(expected), strict=True):
        assert ours.dtype == theirs.dtype
        ours, theirs = (tf.cast(value, tf.float64).numpy() for value in (ours, theirs))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_inputs_of_any_dtype(dtype: str, policy: str) -> None:
    layer, stock = twins(dtype=policy)
    x = tf.cast(tf.abs(X) * 3, dtype)
    tolerance = 2e-2 if "16" in dtype + policy else 1e-5
    assert_equal(layer(x), stock(x), tolerance)
    symbolic = keras.Input((STEPS, FEATURES), dtype=dtype)
    assert_equal(keras.Model(symbolic, layer(symbolic))(x), stock(x), tolerance)


def test_a_stack_takes_integers() -> None:
    stack = LSTMStack(4, depth=2, bidirectional=True)
    x = (np.abs(X) * 3).astype("int64")
    np.testing.assert_array_equal(stack(x), stack(x.astype("float32")))


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
@pytest.mark.parametrize("backwards", [False, True])
def test_masks_of_any_form(mask: np.ndarray, backwards: bool) -> None:
    layer, stock = twins(return_sequences=True, return_state=True, go_backwards=backwards)
    assert_equal(layer(X, mask=mask), stock(X, mask=mask))


def test_a_mask_of_other_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="it needs their steps"):
        LSTM(UNITS)(X, mask=MASK[:, :1])


STATE_FORMS = {
    "tuple": tuple(STATES),
    "float64": [state.astype("float64") for state in STATES],
    "integers": [state.astype("int32") for state in STATES],
    "variables": [tf.Variable(state) for state in STATES],
    "one for all rows": [state[:1] for state in STATES],
}


@pytest.mark.parametrize("states", STATE_FORMS.values(), ids=STATE_FORMS)
def test_initial_states_of_any_form(states) -> None:
    layer, stock = twins(return_state=True)
    assert_equal(layer(X, initial_state=states), stock(X, initial_state=states))


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "-".join(options))
def test_arguments_count_and_are_kept(options: dict) -> None:
    layer, stock = twins(return_sequences=True, **options)
    for _ in range(2):
        assert_equal((layer(X, mask=MASK), layer.losses), (stock(X, mask=MASK), stock.losses))
    assert len(layer.trainable_weights) == len(stock.trainable_weights)
    if "activation" not in options:  # Keras itself cannot load TensorFlow's functions
        copy = LSTM.from_config(layer.get_config())
        assert copy.get_config() == layer.get_config()
        assert copy.use_cudnn == layer.use_cudnn


def test_the_config_holds_every_argument() -> None:
    arguments = set()
    for kind in (LSTM, keras.layers.LSTM):
        for one in inspect.signature(kind.__init__).parameters.values():
            if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
                arguments.add(one.name)
    assert arguments - {"self"} <= set(LSTM(3).get_config())
    both = keras.layers.Bidirectional(LSTM(3, use_cudnn=False))
    assert both.backward_layer.use_cudnn is False


def penalty(layer, x, mask):
    """Gradient of a gradient penalty at the inputs and weights."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            outputs = tf.nest.flatten(layer(x, mask=mask))
            loss = tf.add_n([tf.reduce_sum(tf.sin(output)) for output in outputs])
        slope = inner.gradient(loss, x)
        norm = tf.sqrt(tf.reduce_sum(slope**2, [1, 2]) + 1e-3)
        value = tf.reduce_mean((norm - 1) ** 2)
    return outer.gradient(value, [x, *(weight.value for weight in layer.trainable_weights)])


def along_ones(layer, x, mask):
    """Derivative of the outputs, and of the gradient, computed forwards."""
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as forwards:
        with tf.GradientTape() as tape:
            tape.watch(x)
            output = layer(x, mask=mask)
            loss = tf.reduce_sum(tf.sin(output))
        slope = tape.gradient(loss, x)
    return forwards.jvp(output), forwards.jvp(slope)


def third(layer, x, mask):
    with tf.GradientTape() as outer:
        outer.watch(x)
        value = tf.reduce_sum(penalty(layer, x, mask)[0] ** 2)
    return outer.gradient(value, x)


def jacobians(layer, x, mask):
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        output = layer(x, mask=mask)
    return tape.batch_jacobian(output, x), tape.jacobian(output, layer.cell.bias.value)


DERIVATIVES = [
    (penalty, "eager", True, {"return_sequences": True}),
    (penalty, "graph", True, {"return_state": True, "go_backwards": True}),
    (penalty, "graph", False, {}),
    (penalty, "xla", True, {}),
    (along_ones, "eager", True, {}),
    (along_ones, "eager", False, {}),
    (third, "eager", True, {}),
    (jacobians, "graph", True, {}),
]


@pytest.mark.parametrize(("derivative", "mode", "fused", "options"), DERIVATIVES)
def test_further_derivatives(derivative, mode, fused, options, monkeypatch) -> None:
    if not fused:
        monkeypatch.setattr(native, "load", lambda: native.Status(False))
    elif not native.load().active:
        pytest.skip(native.load().reason)
    layer, stock = twins(**options)
    x, mask = tf.constant(X[:, :2]), tf.constant(MASK[:, 2:4])

    def run(one):
        if mode == "eager":
            return derivative(one, x, mask)
        return tf.function(lambda x: derivative(one, x, mask), jit_compile=mode == "xla")(x)

    assert_equal(run(layer), run(stock), 1e-4)


def test_forwards_through_a_graph() -> None:
    """Keras's own loop cannot; the derivative of the eager layer is the reference."""
    layer, stock = twins()
    x = tf.constant(X[:, :2])
    run = tf.function(lambda x: along_ones(layer, x, None))
    assert_equal(run(x), along_ones(stock, x, None), 1e-4)
