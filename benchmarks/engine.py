"""Time and memory of `apps.layers.LSTM`, `keras.layers.LSTM` and `torch.nn.LSTM`.

    python -m benchmarks.engine [--quick] [--out benchmarks/results]

Every contender runs in a process of its own, with the environment that its users would have. The
processes stay alive and take turns, round by round, so that other load on the machine affects all
of them; medians over the rounds are compared. Torch's threads wait for each other in busy loops, so
its figures are meaningless on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contender import Contender, take_turns
from benchmarks.machine import about_machine, installed, sentence

STOCK, COMPILED, TORCH, OURS = "keras", "keras XLA", "torch", "ours"
CONTENDERS = (STOCK, COMPILED, TORCH, OURS)
FLOORS = ("arithmetic", "memory")
WORKER, FLOOR = "benchmarks.engine_contender", "benchmarks.engine_floor"


@dataclass(frozen=True)
class Case:
    """One measurement: sizes of a batch and a layer, and whether gradients are computed too."""

    batch: int
    time: int
    features: int
    units: int
    gradient: bool

    def __str__(self) -> str:
        passes = "forward + backward" if self.gradient else "forward"
        return f"{self.batch} × {self.time}, {self.features} → {self.units}, {passes}"


TARGETS = {
    Case(32, 200, 128, 128, True): {STOCK: 0.6, TORCH: 0.9},
    Case(64, 100, 256, 256, True): {STOCK: 0.6, TORCH: 0.9},
    Case(8, 400, 64, 64, True): {TORCH: 0.9},
    Case(1, 1000, 256, 256, False): {STOCK: 0.25, TORCH: 1.0},
    Case(1, 100, 128, 128, False): {STOCK: 0.25, TORCH: 1.0},
    Case(32, 200, 128, 128, False): {TORCH: 1.0},
}
SWEEP = [
    Case(batch, time, units, units, gradient)
    for batch, time, units in [
        (1, 16, 32),
        (1, 2000, 64),
        (1, 200, 512),
        (2, 64, 256),
        (4, 500, 128),
        (8, 16, 512),
        (8, 200, 128),
        (16, 2000, 32),
        (16, 100, 256),
        (32, 16, 64),
        (32, 100, 512),
        (64, 50, 32),
        (64, 400, 128),
        (128, 16, 256),
        (128, 100, 64),
    ]
    for gradient in (False, True)
]
MEMORY = [Case(8, 2000, 128, 128, False), Case(8, 2000, 128, 128, True)]


def start(name: str) -> Contender:
    return Contender(name, FLOOR if name in FLOORS else WORKER, name)


def measure(case: Case, contenders: Sequence[Contender], rounds: int) -> dict[str, float]:
    """Median milliseconds per contender, over rounds in which they take turns."""
    for contender in contenders:
        contender.ask("prepare", **vars(case))
    return take_turns(contenders, rounds, **vars(case))


def peak_memory(case: Case, name: str) -> float:
    """MiB by which a few runs of a case raise the peak memory of an otherwise idle process."""
    contender = start(name)
    try:
        return contender.ask("memory", **vars(case))
    finally:
        contender.close()


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = [
        "# The engine compared with Keras and torch",
        "",
        f"`{results['command']}` on {sentence(results['machine'])}. Medians of interleaved "
        "rounds, one process for each contender.",
        "",
        "| batch × steps, features → units | "
        + " | ".join(f"{n}, ms" for n in (*CONTENDERS, *FLOORS))
        + " | ours / keras | ours / torch | ours / floor | target |",
        "|---|" + "---|" * (len(CONTENDERS) + len(FLOORS) + 4),
    ]
    for row in results["times"]:
        times = row["ms"]
        cells = [f"{times[n]:.1f}" if n in times else "–" for n in (*CONTENDERS, *FLOORS)]
        ratios = [f"{times[OURS] / times[n]:.2f}" if n in times else "–" for n in (STOCK, TORCH)]
        ratios.append(f"{times[OURS] / max(times[n] for n in FLOORS):.1f}")
        goal = ", ".join(f"≤ {limit} of {name}" for name, limit in row["targets"].items())
        lines.append("| " + " | ".join([row["case"], *cells, *ratios, goal]) + " |")
    lines += [
        "",
        "Arithmetic and memory are what the machine allows (`benchmarks/engine_floor.py`): the "
        "products alone, register-blocked, on all cores; reading the recurrent weights at each "
        "step. The floor is the larger one.",
        "",
        "| peak memory | keras, MiB | ours, MiB | ratio |",
        "|---|---|---|---|",
    ]
    for row in results["memory"]:
        stock, ours = row["MiB"][STOCK], row["MiB"][OURS]
        lines.append(f"| {row['case']} | {stock:.0f} | {ours:.0f} | {ours / stock:.2f} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the targets only, fewer rounds")
    parser.add_argument("--rounds", type=int, help="rounds per case; 11, or 7 with --quick")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)
    rounds = options.rounds or (7 if options.quick else 11)

    about = about_machine("tensorflow", "keras", "torch")
    names = [name for name in CONTENDERS if name != TORCH or installed("torch")]
    names += FLOORS
    contenders = [start(name) for name in names]
    times = []
    for case, targets in TARGETS.items():
        medians = measure(case, contenders, rounds)
        times.append({"case": str(case), "ms": medians, "targets": targets})
        print(case, {name: round(value, 1) for name, value in medians.items()}, flush=True)
    if not options.quick:
        swept = [contender for contender in contenders if contender.name != COMPILED]
        for case in SWEEP:
            medians = measure(case, swept, rounds)
            times.append({"case": str(case), "ms": medians, "targets": {STOCK: 1.0, TORCH: 1.0}})
            print(case, {name: round(value, 1) for name, value in medians.items()}, flush=True)
    for contender in contenders:
        contender.close()
    memory = [
        {"case": str(case), "MiB": {name: peak_memory(case, name) for name in (STOCK, OURS)}}
        for case in MEMORY
    ]
    command = " ".join(["python -m benchmarks.engine", *(arguments or sys.argv[1:])])
    results = {"command": command, "machine": about, "times": times, "memory": memory}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "engine.json").write_text(json.dumps(results, indent=1, ensure_ascii=False))
    (options.out / "engine.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    main()
