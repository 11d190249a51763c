"""One contender of `benchmarks.onnx_lstm`, in a process of its own.

    python -m benchmarks.onnx_lstm_contender export FOLDER
    python -m benchmarks.onnx_lstm_contender KIND FOLDER

`export` writes the ONNX files of all cases. A process of another kind reads one JSON object
a line, a case and a task, and answers with one number a line.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.engine_contender import seconds

if TYPE_CHECKING:
    import keras

BATCH, STEPS, FEATURES, UNITS, THREADS = 32, 200, 128, 128, 2
CASES = ("all steps", "last step", "both directions, all steps")
FUSED, LOOP = "onnxruntime", "onnxruntime Loop"
STOCK, PREDICT, OURS = "keras", "keras predict()", "ours"


def batch() -> dict[str, np.ndarray]:
    """Rows with a quarter to all of the steps; the first has all."""
    draw = np.random.default_rng(0)
    lengths = draw.integers(STEPS // 4, STEPS + 1, BATCH)
    lengths[0] = STEPS
    x = draw.standard_normal((BATCH, STEPS, FEATURES))
    return {"x": x.astype(np.float32), "lengths": lengths.astype(np.int32)}


def make_model(layer: type, case: str) -> keras.Model:
    """A Keras model of one masked layer, with the same weights in every process."""
    import keras

    from apps.layers.pooling import LengthMask

    x = keras.Input((None, FEATURES), name="x")
    lengths = keras.Input((), dtype="int32", name="lengths")
    lstm = layer(UNITS, return_sequences=case != "last step")
    if case.startswith("both"):
        lstm = keras.layers.Bidirectional(lstm)
    outputs = lstm(x, mask=LengthMask()(x[..., 0], lengths))
    model = keras.Model({"x": x, "lengths": lengths}, outputs)
    draw = np.random.default_rng(1)
    model.set_weights([0.1 * draw.standard_normal(w.shape) for w in model.get_weights()])
    return model


def file_of(folder: Path, kind: str, case: str) -> Path:
    return folder / f"{kind} {case}.onnx".replace(" ", "_").replace(",", "")


def export(folder: Path) -> None:
    """Write our export and Keras's own of every case."""
    import keras

    from apps.export.onnx.conversion import convert
    from apps.layers import LSTM

    for case in CASES:
        fused = convert(make_model(LSTM, case), "model").SerializeToString()
        file_of(folder, FUSED, case).write_bytes(fused)
        stock = make_model(keras.layers.LSTM, case)
        stock(batch())
        stock.export(file_of(folder, LOOP, case), format="onnx", verbose=False)


def in_tensorflow(kind: str, case: str) -> Callable[[], Any]:
    """A function that runs Keras's layer, or ours, once."""
    import keras
    import tensorflow as tf

    from apps.layers import LSTM

    model = make_model(LSTM if kind == OURS else keras.layers.LSTM, case)
    if kind == PREDICT:
        rows = batch()
        return lambda: model.predict(rows, batch_size=BATCH, verbose=0)
    given = {name: tf.constant(value) for name, value in batch().items()}
    run = tf.function(lambda given: model(given, training=False))
    return lambda: run(given).numpy()


def in_onnxruntime(file: Path) -> Callable[[], Any]:
    """A function that runs an ONNX file once."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    given = batch()
    return lambda: session.run(None, given)[0]


def main() -> None:
    kind, folder = sys.argv[1], Path(sys.argv[2])
    if kind == "export":
        export(folder)
        return
    if kind not in (FUSED, LOOP):
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(THREADS)
        tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    runs: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        request = json.loads(line)
        case = request["case"]
        if request["task"] == "prepare":
            file = file_of(folder, kind, case)
            onnx = kind in (FUSED, LOOP)
            runs[case] = in_onnxruntime(file) if onnx else in_tensorflow(kind, case)
            answer = float(np.abs(runs[case]()).mean())
        else:
            answer = 1000 * seconds(runs[case])
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
