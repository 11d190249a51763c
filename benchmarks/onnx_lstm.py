"""Time of an exported LSTM in onnxruntime and of the same LSTM in TensorFlow.

    python -m benchmarks.onnx_lstm [--rounds N] [--out benchmarks/results]

One masked layer, a batch of 32 rows of 50 to 200 steps, 128 features, 128 units, two threads each.
Every contender runs in a process of its own; they take turns, round by round, and medians over the
rounds are compared. Before that, their answers must agree.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.contender import ROOT, Contender, take_turns
from benchmarks.machine import about_machine, sentence
from benchmarks.onnx_lstm_contender import (
    BATCH,
    CASES,
    FEATURES,
    FUSED,
    LOOP,
    OURS,
    PREDICT,
    STEPS,
    STOCK,
    THREADS,
    UNITS,
)

PLAIN = "ours, TensorFlow's kernel"
TARGET = 0.3
WORKER = "benchmarks.onnx_lstm_contender"


@dataclass(frozen=True)
class Kind:
    """A contender: its name in the table, and the arguments and environment of its process."""

    name: str
    worker: str
    environment: dict[str, str] = field(default_factory=dict)


KINDS = (
    Kind(STOCK, STOCK),
    Kind(PREDICT, PREDICT),
    Kind(OURS, OURS),
    Kind(PLAIN, OURS, {"APPS_NATIVE_LSTM": "0"}),
    Kind(FUSED, FUSED),
    Kind(LOOP, LOOP),
)


def measure(case: str, contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Median milliseconds per contender, after a check that all compute the same."""
    answers = [contender.ask("prepare", case=case) for contender in contenders]
    if max(answers) - min(answers) > 1e-6:
        raise RuntimeError(f"the contenders do not compute the same for {case}: {answers}")
    return take_turns(contenders, rounds, case=case)


def table(results: dict) -> str:
    """The results as Markdown."""
    names = [kind.name for kind in KINDS]
    lines = [
        "# An exported LSTM in onnxruntime",
        "",
        f"`{results['command']}` on {sentence(results['machine'])}. Batch {BATCH}, "
        f"{STEPS // 4} to {STEPS} steps, {FEATURES} features, {UNITS} units, masked, {THREADS} "
        "threads. Medians of interleaved rounds, one process for each contender. "
        f"`{STOCK}`, `{OURS}` and `{PLAIN}` run in a `tf.function`, `{PREDICT}` calls "
        f"`Model.predict`, `{FUSED}` runs this package's export, `{LOOP}` Keras's export of "
        "its own layer.",
        "",
        "| layer | " + " | ".join(f"{name}, ms" for name in names) + f" | {FUSED} / {STOCK} |",
        "|---|" + "---|" * (len(names) + 1),
    ]
    for row in results["times"]:
        times = row["ms"]
        cells = [f"{times[name]:.1f}" for name in names]
        ratio = f"{times[FUSED] / times[STOCK]:.2f}"
        lines.append("| " + " | ".join([row["case"], *cells, ratio]) + " |")
    lines += ["", f"Target of the last column: at most {TARGET}."]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)

    about = about_machine("tensorflow", "keras", "onnxruntime")
    times = []
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", WORKER, "export", folder],
            check=True,
            cwd=ROOT,
        )
        contenders = [
            Contender(kind.name, WORKER, kind.worker, folder, environment=kind.environment)
            for kind in KINDS
        ]
        for case in CASES:
            medians = measure(case, contenders, options.rounds)
            times.append({"case": case, "ms": medians, "target": {STOCK: TARGET}})
            print(case, {name: round(value, 1) for name, value in medians.items()}, flush=True)
        for contender in contenders:
            contender.close()
    command = " ".join(["python -m benchmarks.onnx_lstm", *(arguments or sys.argv[1:])])
    results = {"command": command, "machine": about, "times": times}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "onnx.json").write_text(json.dumps(results, indent=1, ensure_ascii=False))
    (options.out / "onnx.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
