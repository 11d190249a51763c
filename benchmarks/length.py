"""What a sequence costs as it grows: time, memory, and one step more behind it.

    python -m benchmarks.length [--lengths 64,…,16384] [--models NAME,…] [--rounds 3] [--json]

Stacks with as many weights as one LSTM of 128 units over 64 features, batches of 4 in training, one
sequence in serving. Each length has a process for each model; they take turns. A model that needs
more than 20 GiB or a minute for a batch is not asked for longer sequences.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.contender import Contender, take_turns
from benchmarks.length_contender import BATCH, ONNX, TORCH
from benchmarks.machine import about_machine, sentence

LENGTHS = (64, 256, 1024, 4096, 16384)
MODELS = ("lstm", "gru", "rnn", "minlstm", "mlstm", "ssm", "transformer", TORCH, ONNX)
_LONGEST_MS = 60_000.0
_FIGURES = {
    "learn": "one training step on a batch of 4, ms",
    "speed": "steps a second in training, all four rows",
    "memory": "memory that it takes, MiB",
    "step": "one step more behind such a history, ms",
    "state": "what is kept of the history, bytes",
}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--lengths", default=",".join(map(str, LENGTHS)))
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    lengths = [int(length) for length in options.lengths.split(",")]
    about = about_machine("tensorflow", "keras", "torch", "onnxruntime")
    found = measured(options.models.split(","), lengths, options.rounds)
    if options.json:
        print(json.dumps({"machine": about, "batch": BATCH, "lengths": lengths, "figures": found}))
        return
    print(f"{sentence(about)}\n")
    for figure, title in _FIGURES.items():
        print(table(found, lengths, figure, title), end="\n\n")


def measured(
    models: Sequence[str], lengths: Sequence[int], rounds: int
) -> dict[str, dict[str, list[float | None]]]:
    """Each figure by model and length; None where it was not or could not be measured."""
    found: dict[str, dict[str, list[float | None]]] = {
        model: {figure: [None] * len(lengths) for figure in (*_FIGURES, "units")}
        for model in models
    }
    out: set[str] = set()
    for place, steps in enumerate(lengths):
        running = {
            model: Contender(model, "benchmarks.length_contender", model) for model in models
        }

        def note(figure: str, values: Mapping[str, float], place: int = place) -> None:
            for model, value in values.items():
                found[model][figure][place] = value

        for model in list(running):
            try:
                note("units", {model: running[model].ask("prepare", steps=steps)})
                note("state", {model: running[model].ask("state")})
                if model != ONNX and model not in out:
                    note("memory", {model: running[model].ask("memory")})
            except RuntimeError:
                out.add(model)
                del running[model]
        alive = list(running.values())
        learns = [one for one in alive if one.name != ONNX and one.name not in out]
        note("learn", take_turns(learns, rounds, "learn"))
        note("step", take_turns(alive, rounds, "step"))
        for one in alive:
            one.close()
            if (found[one.name]["learn"][place] or 0.0) > _LONGEST_MS:
                out.add(one.name)
    for figures in found.values():
        figures["speed"] = [
            None if ms is None else BATCH * steps / ms * 1000
            for ms, steps in zip(figures["learn"], lengths, strict=True)
        ]
    return found


def table(
    found: Mapping[str, Mapping[str, Sequence[float | None]]],
    lengths: Sequence[int],
    figure: str,
    title: str,
) -> str:
    """A row for each model; the exponent is the slope between the three longest, in logarithms."""
    rows = [f"| {title} | {' | '.join(f'{n:,}' for n in lengths)} | exponent |"]
    rows.append("|---" * (len(lengths) + 2) + "|")
    for model, figures in found.items():
        values = figures[figure]
        if any(value is not None for value in values):
            cells = [_written(value) for value in values]
            slope = exponent(lengths, values)
            grown = "–" if slope is None else f"{slope + 0.0:.2f}".replace("-0.00", "0.00")
            rows.append(f"| {model} | {' | '.join(cells)} | {grown} |")
    return "\n".join(rows)


def exponent(lengths: Sequence[int], values: Sequence[float | None]) -> float | None:
    """How a figure grows with the length: the slope over the last three in logarithms."""
    known = [(n, v) for n, v in zip(lengths, values, strict=True) if v is not None and v > 0][-3:]
    if len(known) < 2:
        return None
    slope, _ = np.polyfit([math.log(n) for n, _ in known], [math.log(v) for _, v in known], 1)
    return float(slope)


def _written(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    main()
