"""One contender of `benchmarks.engine`, in a process of its own.

    python engine_contender.py keras|"keras XLA"|torch|ours

Reads one JSON object a line, a case and a task, and answers with one number a line.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable

Run = Callable[[], object]


def make_torch(batch: int, steps: int, features: int, units: int, gradient: bool) -> Run:
    """A function that runs torch's layer once."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    layer = torch.nn.LSTM(features, units, batch_first=True).to(device)
    x = torch.randn(batch, steps, features, device=device, requires_grad=gradient)

    def forward() -> object:
        with torch.no_grad():
            return layer(x)[0].sum().item()

    def backward() -> object:
        layer.zero_grad()
        x.grad = None
        layer(x)[0].square().sum().backward()
        # A small copy waits for a card.
        return layer.bias_hh_l0.grad.cpu()

    return backward if gradient else forward


def make_tensorflow(kind: str, all_results: bool = True) -> Callable[..., Run]:
    """A maker of functions that run Keras's layer, or ours, once.

    Args:
        kind: `ours`, `keras`, `keras XLA` or `keras without cuDNN`.
        all_results: copy all gradients to the host, not only the last one.
    """
    if kind == "ours":
        from apps.layers import LSTM
    import keras
    import tensorflow as tf

    layer_class = LSTM if kind == "ours" else keras.layers.LSTM

    def make(batch: int, steps: int, features: int, units: int, gradient: bool) -> Run:
        options = {"use_cudnn": False} if kind == "keras without cuDNN" else {}
        layer = layer_class(units, return_sequences=True, **options)
        layer.build((None, None, features))
        x = tf.random.normal([batch, steps, features])
        weights = [weight.value for weight in layer.trainable_weights]

        def forward(x: tf.Tensor) -> tf.Tensor:
            return tf.reduce_sum(layer(x))

        def backward(x: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(x)
                loss = tf.reduce_sum(tf.square(layer(x)))
            return tape.gradient(loss, [x, *weights])

        run = tf.function(backward if gradient else forward, jit_compile=kind == "keras XLA")
        if not all_results:
            return lambda: tf.nest.flatten(run(x))[-1].numpy()
        return lambda: [value.numpy() for value in tf.nest.flatten(run(x))]

    return make


def peak() -> float:
    """Peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(run: Run) -> float:
    """Mean seconds of a run, over as many as fill 20 ms, after a warm-up run."""
    run()
    start = time.perf_counter()
    count, elapsed = 0, 0.0
    while elapsed < 0.02:
        run()
        count += 1
        elapsed = time.perf_counter() - start
    return elapsed / count


def main() -> None:
    kind = sys.argv[1]
    make = make_torch if kind == "torch" else make_tensorflow(kind)
    prepared: Run | None = None
    for line in sys.stdin:
        request = json.loads(line)
        task = request.pop("task")
        if task in ("prepare", "memory"):
            before = peak()
            prepared = make(
                request["batch"],
                request["time"],
                request["features"],
                request["units"],
                request["gradient"],
            )
            for _ in range(3):
                prepared()
            answer = peak() - before
        else:
            assert prepared is not None
            answer = 1000 * seconds(prepared)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
