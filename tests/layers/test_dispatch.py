"""The kernel is chosen where the graph runs; only the last tests need a GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from apps.layers import LSTM, recurrence
from apps.layers.kernels import dispatch
from apps.layers.kernels.cudnn import cudnn_lstm

FUSED, BACKWARD = "CudnnRNNV3", "CudnnRNNBackpropV3"
needs_gpu = pytest.mark.skipif(
    not tf.config.list_physical_devices("GPU"), reason="needs a GPU to run the kernel on"
)


@pytest.fixture
def steps() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).normal(size=(3, 6, 4)), tf.float32)


@pytest.fixture
def mask() -> tf.Tensor:
    return tf.sequence_mask([6, 0, 4], 6)


@pytest.fixture
def calls_gpu_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that calls the GPU kernel; the CPU kernel is only named as its equivalent."""
    choose, implement = dispatch.call_for_device, dispatch._implementation
    other = {"CPU": "GPU", "GPU": "CPU"}
    monkeypatch.setattr(recurrence, "call_for_device", lambda cpu, gpu, xs: choose(gpu, cpu, xs))
    monkeypatch.setattr(
        dispatch, "_implementation", lambda k, name, device: implement(k, name, other[device])
    )


def operations(definition) -> set[str]:
    """Types of all operations of a graph and of the functions in its library."""
    nodes = list(definition.node)
    for function in definition.library.function:
        nodes.extend(function.node_def)
    return {node.op for node in nodes}


def called(definition) -> set[str]:
    """Types of the operations that a call of the graph reaches before it is optimised."""
    library = {function.signature.name: function for function in definition.library.function}
    seen: set[str] = set()

    def visit(nodes) -> set[str]:
        found = set()
        for node in nodes:
            found.add(node.op)
            for attribute in node.attr.values():
                name = attribute.func.name
                if name in library and name not in seen:
                    seen.add(name)
                    found |= visit(library[name].node_def)
        return found

    return visit(definition.node)


def loss_gradients(layer: keras.Layer, steps: tf.Tensor, mask: tf.Tensor | None):
    """A graph that gives a layer's outputs, and the gradients at its inputs and weights."""

    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = tf.nest.flatten(layer(x, mask=mask))
            loss = tf.add_n([tf.reduce_sum(tf.sin(output)) for output in outputs])
        sources = [x, *(weight.value for weight in layer.trainable_weights)]
        return outputs, tape.gradient(loss, sources)

    return run


OPTIONS = [
    {},
    {"return_sequences": True},
    {"return_sequences": True, "return_state": True},
    {"return_sequences": True, "go_backwards": True},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("masked", [False, True])
def test_graph_is_swapped_where_it_runs(
    options: dict, masked: bool, steps: tf.Tensor, mask: tf.Tensor, calls_gpu_kernel: None
) -> None:
    """On a CPU, which has no kernel for cuDNN's operation, both passes run nevertheless."""
    layer, stock = LSTM(5, **options), keras.layers.LSTM(5, **options)
    layer.build(steps.shape)
    stock.build(steps.shape)
    stock.set_weights(layer.get_weights())
    chosen_mask = mask if masked else None
    run = loss_gradients(layer, steps, chosen_mask)
    graph = run.get_concrete_function(steps).graph.as_graph_def()
    assert {FUSED, BACKWARD} <= called(graph)
    outputs, gradients = run(steps)
    expected_outputs, expected_gradients = loss_gradients(stock, steps, chosen_mask)(steps)
    for got, expected in zip(outputs, expected_outputs, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-6)
    for got, expected in zip(gradients, expected_gradients, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("batch", [None, 3], ids=["any batch", "zero states are constants"])
def test_unread_outputs_and_constants_do_not_hinder_the_swap_in_a_session(
    batch: int | None, steps: tf.Tensor, tmp_path: Path, calls_gpu_kernel: None
) -> None:
    """TensorFlow Serving's loader optimises graphs in another order than Python does."""
    layer = LSTM(5, return_state=True)
    layer.build(steps.shape)
    module = tf.Module()
    module.weights = [weight.value for weight in layer.weights]
    module.run = tf.function(lambda x: {"output": layer(x)[0]})
    answer = module.run.get_concrete_function(tf.TensorSpec([batch, None, 4]))
    tf.saved_model.save(module, str(tmp_path), signatures=answer)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        loaded = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(tmp_path))
        signature = loaded.signature_def["serving_default"]
        feed = {signature.inputs["x"].name: steps.numpy()}
        got = session.run(signature.outputs["output"].name, feed)
    np.testing.assert_allclose(got, module.run(steps)["output"], atol=1e-6)


def test_without_a_swap_the_gpu_kernel_fails_on_a_cpu(steps: tf.Tensor) -> None:
    """The test above relies on this: the operation that it starts from cannot run here."""
    zeros, ones = tf.zeros([3, 5]), tf.ones([3], tf.int32)
    weights = tf.zeros([4, 20]), tf.zeros([5, 20]), tf.zeros([20])
    with tf.device("CPU"), pytest.raises((tf.errors.InvalidArgumentError, tf.errors.NotFoundError)):
        cudnn_lstm(tf.transpose(steps, [1, 0, 2]), zeros, zeros, *weights, ones)


def test_graph_holds_both_kernels_and_calls_the_one_for_cpus(steps: tf.Tensor) -> None:
    layer = LSTM(5)
    layer(steps)
    traced = loss_gradients(layer, steps, None).get_concrete_function(steps)
    graph = traced.graph.as_graph_def()
    assert {FUSED, BACKWARD, "BlockLSTMV2"} <= operations(graph)
    assert "BlockLSTMV2" in called(graph)
    assert FUSED not in called(graph)


def test_use_cudnn_false_leaves_it_out(steps: tf.Tensor) -> None:
    layer = LSTM(5, use_cudnn=False)
    layer(steps)
    graph = tf.function(layer).get_concrete_function(steps).graph
    assert FUSED not in operations(graph.as_graph_def())


def test_under_xla_a_loop_runs(steps: tf.Tensor) -> None:
    layer = LSTM(5, return_sequences=True)
    expected = layer(steps)
    compiled = tf.function(layer, jit_compile=True)
    np.testing.assert_allclose(compiled(steps), expected, atol=1e-6)
    graph = compiled.get_concrete_function(steps).graph
    assert not operations(graph.as_graph_def()) & {FUSED, "BlockLSTMV2"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray, np.ndarray]:
    """A model saved as .keras and SavedModel, with an input and its answer."""
    folder = tmp_path_factory.mktemp("saved")
    x = np.random.default_rng(1).normal(size=(4, 7, 3)).astype("float32")
    x[1, 5:] = 0
    x[2] = 0
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Masking(),
            keras.layers.Bidirectional(LSTM(6, return_sequences=True)),
            LSTM(5),
            keras.layers.Dense(2),
        ]
    )
    model.compile("sgd", "mse")
    model.fit(x, np.zeros((4, 2)), verbose=0)
    model.save(folder / "model.keras")
    model.export(folder / "saved_model", verbose=False)
    np.save(folder / "x.npy", x)
    return folder, x, model.predict(x, verbose=0)


def in_fresh_process(code: str, folder: Path) -> np.ndarray:
    """What `code` leaves in `answer` in a process that has imported nothing yet."""
    program = f"import numpy as np\nx = np.load('x.npy')\n{code}\nnp.save('answer.npy', answer)"
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "CUDA_VISIBLE_DEVICES": ""}
    subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, check=True)
    return np.load(folder / "answer.npy")


def test_saved_model_runs_without_this_package(saved) -> None:
    """TensorFlow alone, with its own kernels, gives the same answer."""
    folder, _, expected = saved
    code = (
        "import sys, tensorflow as tf\n"
        "model = tf.saved_model.load('saved_model')\n"
        "answer = model.serve(x)\n"
        "assert not any(name.startswith('apps') for name in sys.modules)"
    )
    np.testing.assert_allclose(in_fresh_process(code, folder), expected, atol=1e-6)


def test_keras_file_gives_equal_answers_in_a_fresh_process(saved) -> None:
    folder, _, expected = saved
    code = (
        "import apps.layers, keras\n"
        "answer = keras.models.load_model('model.keras').predict(x, verbose=0)"
    )
    np.testing.assert_array_equal(in_fresh_process(code, folder), expected)


def test_saved_model_holds_cudnn_and_calls_the_kernel_for_cpus(saved) -> None:
    folder, _, _ = saved
    file = saved_model_pb2.SavedModel()
    file.ParseFromString((folder / "saved_model" / "saved_model.pb").read_bytes())
    definition = file.meta_graphs[0].graph_def
    assert FUSED in operations(definition)
    # Two directions and a second layer: each has a GPU function equivalent to its CPU function.
    devices = [
        (
            function.attr["api_implements"].s,
            function.attr["api_preferred_device"].s,
            FUSED in {node.op for node in function.node_def},
        )
        for function in definition.library.function
        if "api_implements" in function.attr and "backward" not in function.signature.name
    ]
    on_gpu = {name for name, device, fused in devices if device == b"GPU" and fused}
    on_cpu = {name for name, device, fused in devices if device == b"CPU" and not fused}
    assert on_gpu == on_cpu
    assert len(on_gpu) >= 3
    served = tf.saved_model.load(str(folder / "saved_model")).signatures["serving_default"]
    assert FUSED not in called(served.graph.as_graph_def())


@pytest.mark.gpu
@needs_gpu
@pytest.mark.parametrize("options", OPTIONS)
def test_gpu_and_cpu_agree(options: dict, steps: tf.Tensor, mask: tf.Tensor) -> None:
    layer = LSTM(5, **options)
    layer(steps)
    run = loss_gradients(layer, steps, mask)
    with tf.device("GPU"):
        on_gpu = tf.nest.flatten(run(steps))
    with tf.device("CPU"):
        on_cpu = tf.nest.flatten(loss_gradients(layer, steps, mask)(steps))
    for got, expected in zip(on_gpu, on_cpu, strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-3)
