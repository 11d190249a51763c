"""One contender of `benchmarks.length`, in a process of its own.

    python -m benchmarks.length_contender lstm|gru|…|"torch LSTM"|"onnxruntime LSTM"

Reads one JSON object a line, a task and a length, and answers with one number a line.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine_contender import peak, seconds
from benchmarks.equal_weights import DEPTH, widest

BATCH, FEATURES, UNITS, STEPS_IN_A_ROW = 4, 64, 128, 20
TORCH, ONNX = "torch LSTM", "onnxruntime LSTM"
# So that what asks for more fails by itself, and takes nothing else with it.
_MOST_MEMORY = 20 * 2**30

Run = Callable[[], object]


def units_of(kind: str) -> int:
    """The width at which a stack has as many weights as one LSTM of 128 units."""
    wanted = 4 * UNITS * (FEATURES + UNITS + 1)
    return widest(lambda units: _stack(kind, units, 16).count_params(), wanted, 8, 4 * UNITS)


def _stack(kind: str, units: int, window: int) -> Any:
    from apps.layers.alternatives.stack import sequence_stack

    stack = sequence_stack(kind, units, DEPTH.get(kind, 1), return_state=True, seed=0)
    if kind == "transformer":
        # It sees everything: its cache is as long as the history.
        for (layer,) in stack.layers:
            layer.mixer.window = window
    stack.build((None, None, FEATURES))
    return stack


def in_tensorflow(kind: str, units: int, steps: int) -> Mapping[str, Run]:
    """Training on sequences of so many steps, and one step more behind a history of as many."""
    import tensorflow as tf

    stack = _stack(kind, units, steps)
    x = tf.random.normal([BATCH, steps, FEATURES])
    weights = [weight.value for weight in stack.trainable_weights]

    def learn(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.square(stack(x)[0]))
        return tape.gradient(loss, [x, *weights])

    learning = tf.function(learn)
    one, states = tf.random.normal([1, FEATURES]), tuple(stack.get_initial_state(1))
    if kind == "transformer":
        states = tuple(
            tf.fill(tf.shape(state), float(steps)) if state.shape[-1] == 1 else state
            for state in states
        )
    stepping = tf.function(lambda x, *states: stack.advance(x, states))

    def step() -> Any:
        now = states
        for _ in range(STEPS_IN_A_ROW):
            now = stepping(one, *now)
        return [state.numpy() for state in now]

    return {
        "learn": lambda: [part.numpy() for part in tf.nest.flatten(learning(x))],
        "step": step,
        "state": lambda: sum(state.shape[-1] for state in states) * 4,
    }


def in_torch(steps: int) -> Mapping[str, Run]:
    """The same with torch's layer."""
    import torch

    layer = torch.nn.LSTM(FEATURES, UNITS, batch_first=True)
    x = torch.randn(BATCH, steps, FEATURES, requires_grad=True)
    one = torch.randn(1, 1, FEATURES)

    def learn() -> object:
        layer.zero_grad()
        x.grad = None
        layer(x)[0].square().sum().backward()
        return x.grad

    def step() -> object:
        states = None
        with torch.no_grad():
            for _ in range(STEPS_IN_A_ROW):
                out, states = layer(one, states)
        return out

    return {"learn": learn, "step": step, "state": lambda: 2 * UNITS * 4}


def in_onnxruntime() -> Mapping[str, Run]:
    """One step with onnxruntime, the states handed over in each call."""
    import keras
    import onnxruntime

    from apps.export.onnx.conversion import convert
    from apps.layers import LSTM

    x = keras.Input((1, FEATURES), name="x")
    states = [keras.Input((UNITS,), name=name) for name in ("hidden", "cell")]
    out, hidden, cell = LSTM(UNITS, return_sequences=True, return_state=True)(x, states)
    model = keras.Model([x, *states], {"out": out, "h": hidden, "c": cell})
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        file.write_bytes(convert(model, "model").SerializeToString())
        session = onnxruntime.InferenceSession(str(file), options)
    names = [output.name for output in session.get_outputs()]
    one = np.random.default_rng(0).standard_normal((1, 1, FEATURES)).astype(np.float32)

    def step() -> object:
        given = {"x": one, **dict.fromkeys(("hidden", "cell"), np.zeros((1, UNITS), np.float32))}
        for _ in range(STEPS_IN_A_ROW):
            found = dict(zip(names, session.run(names, given), strict=True))
            given |= {"hidden": found["h"], "cell": found["c"]}
        return given

    return {"step": step, "state": lambda: 2 * UNITS * 4}


def main() -> None:
    kind = sys.argv[1]
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY, _MOST_MEMORY))
    units = 0 if kind in (TORCH, ONNX) else units_of(kind)
    runs: Mapping[str, Run] = {}
    before = 0.0
    for line in sys.stdin:
        request = json.loads(line)
        task = request["task"]
        if task == "prepare":
            before = peak()
            if kind == TORCH:
                runs = in_torch(request["steps"])
            elif kind == ONNX:
                runs = in_onnxruntime()
            else:
                runs = in_tensorflow(kind, units, request["steps"])
            answer: Any = float(units)
        elif task == "memory":
            runs["learn"]()
            answer = peak() - before
        elif task == "state":
            answer = runs["state"]()
        else:
            times = STEPS_IN_A_ROW if task == "step" else 1
            answer = 1000 * seconds(runs[task]) / times
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
