"""One contender of `benchmarks.gpu`, in a process of its own.

    python -m benchmarks.gpu_contender ours|keras|"keras without cuDNN"|torch|application

Reads one JSON object a line, a case and a task, and answers each with one line of JSON. Each run
ends with one small copy to the host, which waits for the card.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.engine_contender import Run, seconds
from benchmarks.gpu_kernels import kernel_milliseconds

# Several of these processes share a card.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")


def make_torch(case: dict[str, Any]) -> Run:
    """A function that runs torch's layer once."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = torch.nn.LSTM(case["features"], case["units"], batch_first=True).to(device)
    shape = case["batch"], case["time"], case["features"]
    x = torch.randn(*shape, device=device, requires_grad=case["gradient"])

    def forward() -> object:
        with torch.no_grad():
            return layer(x)[0].sum().item()

    def backward() -> object:
        layer.zero_grad()
        x.grad = None
        layer(x)[0].square().sum().backward()
        return layer.bias_hh_l0.grad.cpu()

    return backward if case["gradient"] else forward


def make_tensorflow(kind: str, case: dict[str, Any]) -> Run:
    """A function that runs Keras's layer, or ours, once."""
    import keras
    import tensorflow as tf

    from apps.layers import LSTM

    options: dict[str, Any] = {} if kind != "keras without cuDNN" else {"use_cudnn": False}
    kinds: Any = LSTM if kind == "ours" else keras.layers.LSTM
    layer = kinds(case["units"], return_sequences=True, **options)
    layer.build((None, None, case["features"]))
    x = tf.random.normal([case["batch"], case["time"], case["features"]])
    weights = [weight.value for weight in layer.trainable_weights]

    @tf.function
    def forward(x: tf.Tensor) -> list[tf.Tensor]:
        return [tf.reduce_sum(layer(x))]

    @tf.function
    def backward(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(layer(x)))
        return tape.gradient(loss, [x, *weights])

    run = backward if case["gradient"] else forward
    return lambda: run(x)[-1].numpy()


@functools.cache
def _begun(name: str) -> tuple[Any, Any]:
    """An application's training before its first step, and the batch of that step."""
    from apps.training.checkpoints import Position
    from apps.training.plan import Plan
    from apps.training.session import Session

    with tempfile.TemporaryDirectory() as folder:
        session = Session(Plan(name), run=Path(folder) / "run", log=lambda line: None)
        training = session._training
        return training, next(iter(training._batches(Position())))


def make_application(name: str, batch: int) -> Run:
    """A function that makes one training step of an application's default model.

    Args:
        name: of the catalogue.
        batch: rows of the step: those of a batch of its sample, over and over.
    """
    import tensorflow as tf

    training, first = _begun(name)
    rows = tf.range(batch) % tf.shape(next(iter(first.values())))[0]
    tensors = {key: tf.gather(value, rows) for key, value in first.items()}
    states = training.carried.zeros(batch)
    step = training._step
    assert step is not None
    return lambda: step({**tensors, **states})[0].numpy()


def about() -> dict[str, Any]:
    """The devices that TensorFlow found, and the libraries that it was built for."""
    import tensorflow as tf

    built = tf.sysconfig.get_build_info()
    return {
        "gpus": [device.name for device in tf.config.list_physical_devices("GPU")],
        **{name: built.get(name) for name in ("cuda_version", "cudnn_version")},
    }


def main() -> None:
    kind = sys.argv[1]
    prepared: Run | None = None
    for line in sys.stdin:
        case = json.loads(line)
        task = case.pop("task")
        answer: Any = None
        if task == "prepare":
            # The tensors of the case before it go first.
            prepared = None
            if kind == "torch":
                prepared = make_torch(case)
            elif kind == "application":
                prepared = make_application(**case)
            else:
                prepared = make_tensorflow(kind, case)
            for _ in range(3):
                prepared()
        elif task == "about":
            answer = about()
        else:
            assert prepared is not None
            timed = task == "time"
            answer = 1000 * seconds(prepared) if timed else kernel_milliseconds(prepared)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
