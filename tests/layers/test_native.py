"""The kernels compiled on this machine, compared with TensorFlow's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.kernels import native
from apps.layers.kernels.block import block_lstm
from apps.layers.kernels.loop import loop_lstm

needs_compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="needs a compiler"
)
SHAPES = [
    (1, 1, 1, 1),
    (3, 2, 5, 7),
    (20, 5, 9, 16),
    (17, 1, 33, 40),
    (30, 7, 64, 65),
    (9, 130, 3, 128),
    (12, 5, 20, 400),
    (300, 1, 8, 200),  # threads share every step of few rows with many weights
    (40, 2, 8, 200),
]


def draw(time: int, batch: int, features: int, units: int) -> list[tf.Tensor]:
    """Inputs, states and weights for the kernels."""
    rng = np.random.default_rng(time)
    shapes = [(time, batch, features), (batch, units), (batch, units)]
    weights = [(features, 4 * units), (units, 4 * units), (4 * units,)]
    values = [rng.normal(size=shape) for shape in shapes]
    values += [rng.normal(scale=0.2, size=shape) for shape in weights]
    return [tf.constant(value, tf.float32) for value in values]


def outputs_and_gradients(kernel, arguments: list[tf.Tensor]) -> list[np.ndarray]:
    @tf.function
    def run(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            hidden, cell = kernel(*arguments)
            loss = tf.reduce_sum(tf.sin(hidden)) + tf.reduce_sum(tf.cos(cell))
        return hidden, cell, *tape.gradient(loss, arguments)

    return [value.numpy() for value in run(*arguments)]


@needs_compiler
def test_kernels_are_in_use() -> None:
    assert native.load() == native.Status(True)


@pytest.mark.parametrize("shape", SHAPES)
def test_kernels_agree_with_a_plain_loop(shape: tuple[int, int, int, int]) -> None:
    arguments = draw(*shape)
    pairs = zip(
        outputs_and_gradients(block_lstm, arguments),
        outputs_and_gradients(loop_lstm, arguments),
        strict=True,
    )
    for got, expected in pairs:
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6 * np.abs(expected).max())


def block_operations(time: int, limit: int, peephole: bool, clip: float) -> dict[str, np.ndarray]:
    """All outputs of the two operations, run separately, for arguments of every kind."""
    x, h0, c0, kernel, recurrent, bias = draw(time, 4, 3, 18)
    rng = np.random.default_rng(5)
    wci, wcf, wco = (tf.constant(rng.normal(size=18), tf.float32) for _ in range(3))
    shared = {
        "seq_len_max": tf.constant(limit, tf.int64),
        "x": x,
        "cs_prev": c0,
        "h_prev": h0,
        "w": tf.concat([kernel, recurrent], 0),
        "wci": wci,
        "wcf": wcf,
        "wco": wco,
        "b": bias,
        "use_peephole": peephole,
    }
    forward = tf.raw_ops.BlockLSTMV2(cell_clip=clip, **shared)._asdict()
    grads = tf.raw_ops.BlockLSTMGrad(
        cs_grad=x[..., :1] * tf.ones([18]), h_grad=forward["h"] + 1, **forward, **shared
    )
    # TensorFlow does not set the peepholes' gradients without peepholes, nor the gates after the
    # last step to run.
    values = {name: value.numpy() for name, value in {**forward, **grads._asdict()}.items()}
    gates = {name: values[name][:limit] for name in ("i", "f", "o", "ci", "co")}
    unset = () if peephole else ("wci_grad", "wcf_grad", "wco_grad")
    return {name: value for name, value in {**values, **gates}.items() if name not in unset}


OPERATIONS = [(6, 6, False, 0.0), (6, 4, False, 0.0), (6, 6, True, 0.0), (6, 6, False, 0.3)]


@needs_compiler
@pytest.mark.parametrize("options", OPERATIONS)
def test_operations_mean_what_they_mean_to_tensorflow(options: tuple, tmp_path: Path) -> None:
    """Replacing a kernel must not change the operation for its other users."""
    assert native.load().active
    code = (
        "import numpy as np\n"
        "from tests.layers.test_native import block_operations\n"
        "from apps.layers.kernels import native\n"
        "assert not native.load().active\n"
        f"np.savez('expected.npz', **block_operations(*{options!r}))"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, "APPS_NATIVE_LSTM": "0"}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    expected = np.load(tmp_path / "expected.npz")
    for name, got in block_operations(*options).items():
        np.testing.assert_allclose(got, expected[name], rtol=1e-5, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("shape", [(4, 0, 3, 5), (0, 2, 3, 5)])
def test_nothing_to_run(shape: tuple[int, int, int, int]) -> None:
    arguments = draw(*shape)
    hidden, _, *gradients = outputs_and_gradients(block_lstm, arguments)
    assert hidden.shape == (*shape[:2], shape[3])
    for gradient, argument in zip(gradients, arguments, strict=True):
        np.testing.assert_array_equal(gradient, np.zeros(argument.shape))


def test_same_inputs_same_bits() -> None:
    arguments = draw(50, 9, 20, 40)
    first, second = (outputs_and_gradients(block_lstm, arguments) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_same_bits_while_other_programs_keep_threads_from_one_another() -> None:
    arguments = draw(300, 1, 8, 200)
    run = tf.function(block_lstm, autograph=False)
    first = run(*arguments)[0].numpy()
    burn = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(burn) for _ in range(2 * (os.cpu_count() or 1))]
    try:
        for _ in range(60):
            np.testing.assert_array_equal(run(*arguments)[0].numpy(), first)
    finally:
        for one in others:
            one.kill()
            one.wait()


@needs_compiler
def test_without_a_home_folder_there_is_a_reason_and_no_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    status = native.load.__wrapped__()
    assert not status.active
    assert "XDG_CACHE_HOME" in status.reason


@pytest.mark.parametrize("setting", [{"CXX": "no-such-compiler"}, {"APPS_NATIVE_LSTM": "0"}])
def test_without_kernels_of_our_own_numbers_are_the_same(setting: dict, tmp_path: Path) -> None:
    arguments = draw(12, 3, 5, 8)
    expected = outputs_and_gradients(block_lstm, arguments)
    np.savez(tmp_path / "arguments.npz", *[value.numpy() for value in arguments])
    code = (
        "import numpy as np, tensorflow as tf\n"
        "from tests.layers.test_native import outputs_and_gradients\n"
        "from apps.layers.kernels import native\n"
        "from apps.layers.kernels.block import block_lstm\n"
        "status = native.load()\n"
        "assert not status.active and status.reason\n"
        "arguments = [tf.constant(v) for v in np.load('arguments.npz').values()]\n"
        "np.savez('got.npz', *outputs_and_gradients(block_lstm, arguments))"
    )
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": root, **setting}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    for got, wanted in zip(np.load(tmp_path / "got.npz").values(), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=3e-6 * np.abs(wanted).max())
