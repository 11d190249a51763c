"""How far back the last output's gradient reaches in each model before it has learnt anything.

    python -m benchmarks.memory_gradients [--steps 500] [--rows 32] [--out F.png] [--json]

Norm of the gradient of the last output with respect to what the first layer reads at each step,
mean over rows of random numbers, relative to the largest; models as in `benchmarks.memory`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment
from apps.atomic import write_atomically
from benchmarks.memory import MODELS, built

_FEATURES = 2
# Below it float32 says nothing.
_SMALLEST = 1e-30


def main() -> None:
    """Draw the picture, and print how much is left after so many steps."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--out", type=Path, default=Path("docs/gradients.png"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    environment.import_tensorflow_quietly()
    found = {model: norms(model, options.steps, options.rows) for model in MODELS}
    picture = drawn(found)
    write_atomically(options.out, lambda stream: stream.write(picture))
    if options.json:
        print(json.dumps({model: values.tolist() for model, values in found.items()}))
        return
    backs = [back for back in (10, 50, 100, 200, 499) if back < options.steps]
    print(f"| steps back | {' | '.join(map(str, backs))} |")
    print("|---" * (len(backs) + 1) + "|")
    for model, values in found.items():
        print(f"| {model} | {' | '.join(f'{values[back]:.1e}' for back in backs)} |")


def norms(model: str, steps: int, rows: int, seed: int = 0) -> np.ndarray:
    """Relative gradient norm by steps back, `(steps,)`."""
    import tensorflow as tf

    network = built(model, _FEATURES, 0, steps, seed)
    draw = np.random.default_rng(seed).standard_normal((rows, steps, _FEATURES))
    x = tf.constant(draw, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        last = tf.reduce_sum(network(x)[:, -1])
    gradient = np.asarray(tape.gradient(last, x), np.float64)
    found = np.linalg.norm(gradient, axis=-1).mean(0)[::-1]
    return found / found.max()


def drawn(found: dict[str, np.ndarray]) -> bytes:
    """The curves as a PNG, on a logarithmic scale."""
    import io

    from matplotlib.figure import Figure

    figure = Figure((8, 4.5), dpi=110, layout="constrained")
    axes: Any = figure.add_subplot()
    for model, values in found.items():
        axes.plot(np.maximum(values, _SMALLEST), label=model, linewidth=1.4)
    axes.set_yscale("log")
    axes.set_ylim(1e-12, 3)
    axes.set_xlabel("steps back from the last output")
    axes.set_ylabel("gradient norm, relative")
    axes.grid(alpha=0.3)
    axes.legend(ncols=2, fontsize=8)
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    return stream.getvalue()


if __name__ == "__main__":
    main()
