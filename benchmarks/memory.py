"""What LSTMs and others of as many parameters remember, and which states they can follow.

    python -m benchmarks.memory [--problems NAME;…] [--models NAME,…] [--lags 100,500,1000,2000]
        [--seeds 3] [--steps 4000] [--minutes 10] [--file benchmarks/results/memory.jsonl]

Each model first takes the learning rate that suits it: three are tried for a quarter of the steps
with a seed of their own. Then it learns with each seed, until the problem is solved or its steps or
minutes are over. The file has a line for each training that is done, and is gone on with.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from apps import environment
from benchmarks.equal_weights import DEPTH, widest
from benchmarks.machine import about_machine
from benchmarks.memory_tasks import Batch, Problem, problems

MODELS = ("lstm", "lstm, chrono", "gru", "rnn", "minlstm", "mlstm", "ssm", "transformer")
_UNITS, _BATCH, _LARGEST_NORM = 64, 32, 1.0
_RATES = (1e-2, 3e-3, 1e-3)
_SHARE, _TRIAL_SEED, _WARMING, _MEASURED_EVERY = 4, 1000, 50, 100


def main() -> None:
    """Run what is not yet in the file, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--problems", help="names, parted by semicolons; all of them by default")
    parser.add_argument("--models", default=";".join(MODELS))
    parser.add_argument("--lags", default="100,500,1000,2000")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--minutes", type=float, default=10.0, help="of one training at most")
    parser.add_argument("--file", default="benchmarks/results/memory.jsonl", type=Path)
    options = parser.parse_args()
    environment.import_tensorflow_quietly()
    made = problems(tuple(int(lag) for lag in options.lags.split(",")))
    chosen = list(made) if options.problems is None else options.problems.split(";")
    budget = {"steps": options.steps, "minutes": options.minutes}
    for name in chosen:
        problem = made[name.strip()]()
        for model in options.models.split(";"):
            _race(name.strip(), problem, model.strip(), options.seeds, budget, options.file)
    print(table(read(options.file)))


def read(file: Path) -> list[dict[str, Any]]:
    """The trainings that are done."""
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _race(
    name: str, problem: Problem, model: str, seeds: int, budget: dict[str, Any], file: Path
) -> None:
    def done(seed: int, rate: float | None = None) -> dict[str, Any] | None:
        own = (line for line in read(file) if line["problem"] == name and line["model"] == model)
        return next(
            (one for one in own if one["seed"] == seed and rate in (None, one["rate"])), None
        )

    def add(seed: int, rate: float, share: int) -> dict[str, Any]:
        found = trained(problem, model, seed, rate, budget["steps"] // share, budget["minutes"])
        line = {"problem": name, "model": model, "seed": seed, "rate": rate, **found}
        line |= {
            "naive": problem.naive,
            "solved_below": problem.solved,
            "date": time.strftime("%F"),
        }
        line["machine"] = about_machine("tensorflow", "keras")["processor"]
        with file.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(line) + "\n")
        figures = {key: found[key] for key in ("error", "longer", "solved_after", "steps")}
        environment.say(f"{name}: {model}, seed {seed}, rate {rate:g}: {figures}")
        return line

    trials = [done(_TRIAL_SEED, rate) or add(_TRIAL_SEED, rate, _SHARE) for rate in _RATES]
    best = min(trials, key=lambda one: (one["solved_after"] or math.inf, one["loss"]))
    for seed in range(seeds):
        if done(seed) is None:
            add(seed, best["rate"], 1)


def built(model: str, features: int, classes: int, steps: int, seed: int) -> Any:
    """A Keras model of about as many parameters as one LSTM of 64 units."""
    import keras

    from apps.layers.alternatives.stack import sequence_stack

    kind = model.partition(",")[0]

    def made(units: int) -> Any:
        given: dict[str, Any] = {"seed": seed, "name": "stack"}
        if model == "lstm, chrono":
            given["chrono"] = float(steps)
        stack = sequence_stack(kind, units, DEPTH.get(kind, 1), **given)
        x = keras.Input((None, features))
        dense = keras.layers.Dense(
            classes or 1, kernel_initializer=keras.initializers.GlorotUniform(seed), name="said"
        )
        return keras.Model(x, dense(stack(x)))

    if kind == "lstm":
        return made(_UNITS)
    wanted = 4 * _UNITS * (features + _UNITS + 1) + (_UNITS + 1) * (classes or 1)
    return made(widest(lambda units: made(units).count_params(), wanted, 8, 160))


def trained(
    problem: Problem, model: str, seed: int, rate: float, steps: int, minutes: float
) -> dict[str, Any]:
    """Train one model until it has solved the problem or its budget is over.

    Returns:
        `error` on the test rows, `longer` on longer sequences, `loss`; `solved_after`, steps, None
        where it has not; `steps` and `seconds` taken; `parameters`.
    """
    import keras
    import tensorflow as tf

    length = problem.test[0].shape[1]
    keras.utils.set_random_seed(seed)
    network = built(model, problem.features, problem.classes, length, seed)
    warming = min(_WARMING, steps // 10)
    rates = keras.optimizers.schedules.CosineDecay(
        0.01 * rate, steps - warming, alpha=0.01, warmup_target=rate, warmup_steps=warming
    )
    optimizer = keras.optimizers.Adam(rates, clipnorm=_LARGEST_NORM)
    optimizer.build(network.trainable_variables)

    def loss_of(said: Any, target: Any) -> Any:
        if not problem.classes:
            return tf.reduce_mean((said[:, -1] - target) ** 2)
        asked = target >= 0
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tf.maximum(target, 0), said)
        return tf.reduce_sum(tf.where(asked, losses, 0.0)) / tf.reduce_sum(
            tf.cast(asked, tf.float32)
        )

    @tf.function(reduce_retracing=True)
    def step(x: Any, target: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = loss_of(network(x, training=True), target)
        gradients = tape.gradient(loss, network.trainable_variables)
        optimizer.apply(gradients, network.trainable_variables)
        return loss

    @tf.function(reduce_retracing=True)
    def answer(x: Any) -> Any:
        return network(x, training=False)

    def measured(batch: Batch) -> tuple[float, float]:
        x, target = batch
        said = np.concatenate([answer(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)])
        loss = float(loss_of(tf.constant(said), tf.constant(target)))
        if not problem.classes:
            return loss, loss
        asked = target >= 0
        return float((said.argmax(-1) != target)[asked].mean()), loss

    random, started = np.random.default_rng(seed), time.monotonic()
    solved_after, number, left = None, 0, 60.0 * minutes
    error = loss = math.inf
    while number < steps and time.monotonic() - started < left:
        value = float(step(*problem.draw(random, _BATCH)))
        number += 1
        if not math.isfinite(value):
            break
        if number % _MEASURED_EVERY == 0 or number == steps:
            error, loss = measured(problem.test)
            if error < problem.solved:
                solved_after = number
                break
    if not solved_after and math.isfinite(value):
        error, loss = measured(problem.test)
    longer = None if problem.longer is None else measured(problem.longer)[0]
    return {
        "error": error,
        "loss": loss if math.isfinite(loss) else 1e9,
        "longer": longer,
        "solved_after": solved_after,
        "steps": number,
        "seconds": round(time.monotonic() - started, 1),
        "parameters": network.count_params(),
    }


def table(lines: Sequence[dict[str, Any]]) -> str:
    """Errors on the test rows, worst and best seed, by problem and model."""
    raced = [line for line in lines if line["seed"] != _TRIAL_SEED]
    names = list(dict.fromkeys(line["problem"] for line in raced))
    rows = [f"| problem | constant | {' | '.join(MODELS)} |", "|---" * (len(MODELS) + 2) + "|"]
    for name in names:
        own = [line for line in raced if line["problem"] == name]
        cells = [_cell([line for line in own if line["model"] == model]) for model in MODELS]
        rows.append(f"| {name} | {own[0]['naive']:.3f} | {' | '.join(cells)} |")
        if own[0]["longer"] is not None:
            cells = [
                _cell([line for line in own if line["model"] == model], "longer")
                for model in MODELS
            ]
            rows.append(f"| – four times as long | {own[0]['naive']:.3f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(runs: Sequence[dict[str, Any]], figure: str = "error") -> str:
    if not runs:
        return "–"
    values = sorted(run[figure] for run in runs)
    solved = [run["solved_after"] for run in runs]
    shown = f"{values[len(values) // 2]:.3f}"
    if len(values) > 1:
        shown += f" ({values[0]:.3f} to {values[-1]:.3f})"
    if figure == "error" and all(solved):
        shown = f"**{shown}** in {int(np.median(solved))}"
    return shown


if __name__ == "__main__":
    main()
