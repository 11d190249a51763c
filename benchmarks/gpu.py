"""`apps.layers.LSTM`, stock Keras with and without cuDNN, and torch, on one GPU.

    python -m benchmarks.gpu [--quick] [--applications NAME,…] [--out benchmarks/results]

Every contender runs in a process of its own; they take turns on the same card, round by round, and
medians are compared. Beside them stands the floor: what the recurrent kernels of ours take by
themselves. Then each application's default training step, at a batch that fills the card: the one
from which twice as many rows a step bring hardly more rows a second. Where there is no GPU all runs
on the CPU, and the table says so; `--quick` takes two shapes and one application.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.catalogue import APPLICATIONS
from benchmarks.contender import Contender, take_turns
from benchmarks.engine import TARGETS, Case
from benchmarks.machine import about_machine, installed, sentence

OURS, STOCK, LOOP, TORCH = "ours", "keras", "keras without cuDNN", "torch"
WORKER = "benchmarks.gpu_contender"
# The last of them take most of a large card's units at every step.
CASES = [
    *TARGETS,
    Case(128, 500, 512, 512, True),
    Case(256, 200, 1024, 1024, True),
    Case(1024, 100, 512, 512, True),
    Case(1024, 100, 512, 512, False),
]
QUICK = [Case(8, 50, 32, 32, True), Case(1, 100, 128, 128, False)]
# A loop that starts kernels step by step takes seconds for longer ones.
_LONGEST_LOOP = 250
_FEWEST, _MOST = 32, 8192
# From one batch to twice the batch.
_HARDLY_MORE = 1.1
# Torch brings its own libraries of CUDA, and must not find those that TensorFlow was pointed to.
_OWN_LIBRARIES = {"LD_LIBRARY_PATH": "", "PYTHONPATH": ""}


def card() -> str | None:
    """Name, driver and memory of the first GPU, None where the driver tells of none."""
    question = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total"]
    try:
        told = subprocess.run(
            [*question, "--format=csv,noheader"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return next(iter(told.stdout.splitlines()), None)


def start(name: str) -> Contender:
    environment = _OWN_LIBRARIES if name == TORCH else None
    return Contender(name, WORKER, name, environment=environment)


def measure(case: Case, contenders: Sequence[Contender], rounds: int) -> dict[str, Any]:
    """A row of the table: median milliseconds per contender, and the floor."""
    taking = [one for one in contenders if one.name != LOOP or case.time <= _LONGEST_LOOP]
    for contender in taking:
        contender.ask("prepare", **vars(case))
    times = take_turns(taking, rounds, **vars(case))
    floor = next(one for one in taking if one.name == OURS).ask("floor")
    return {"case": str(case), "ms": times, "floor": floor}


def filling(time_of: Callable[[int], float | None]) -> tuple[int, float] | None:
    """The batch from which twice the rows bring hardly more rows a second.

    Args:
        time_of: the milliseconds of a step of so many rows; None where memory does not suffice.

    Returns:
        The batch and its milliseconds; None where not even the smallest batch fits.
    """
    best: tuple[int, float] | None = None
    batch = _FEWEST
    while batch <= _MOST:
        milliseconds = time_of(batch)
        if milliseconds is None:
            break
        if best and batch / milliseconds < _HARDLY_MORE * best[0] / best[1]:
            break
        best = batch, milliseconds
        batch *= 2
    return best


def measure_application(name: str, rounds: int, most: int = _MOST) -> dict[str, Any]:
    """A row of the second table."""
    floors: dict[int, float | None] = {}
    contender = start("application")

    def time_of(batch: int) -> float | None:
        if batch > most:
            return None
        try:
            contender.ask("prepare", name=name, batch=batch)
            times = take_turns([contender], rounds)
            floors[batch] = contender.ask("floor")
        except (RuntimeError, BrokenPipeError):  # it died, of memory as a rule
            return None
        return times["application"]

    found = filling(time_of)
    contender.close()
    if found is None:
        return {"application": name}
    batch, milliseconds = found
    return {"application": name, "batch": batch, "ms": milliseconds, "floor": floors[batch]}


def table(results: Mapping[str, Any]) -> str:
    """The results as Markdown."""
    names = [name for name in (OURS, STOCK, LOOP, TORCH) if name in results["contenders"]]
    where = f"on {results['card']}" if results["card"] else "on the CPU: TensorFlow found no GPU"
    lines = [
        f"`{results['command']}` {where}; {sentence(results['machine'])}. Medians of "
        f"{results['rounds']} interleaved rounds.",
        "",
        "| batch × steps, features → units | "
        + " | ".join(f"{name}, ms" for name in names)
        + " | kernels alone, ms | ours / kernels |",
        "|---" * (len(names) + 3) + "|",
    ]
    for row in results["times"]:
        cells = [_written(row["ms"].get(name)) for name in names]
        floor = row["floor"]
        share = row["ms"][OURS] / floor if floor else None
        lines.append(
            "| " + " | ".join([row["case"], *cells, *map(_written, (floor, share))]) + " |"
        )
    if not results["applications"]:
        return "\n".join(lines) + "\n"
    lines += [
        "",
        "| training step of | batch | ms | rows a second | recurrent kernels alone, ms |",
        "|---|---|---|---|---|",
    ]
    for row in results["applications"]:
        if "ms" not in row:
            lines.append(f"| {row['application']} | did not run | – | – | – |")
            continue
        speed = f"{1000 * row['batch'] / row['ms']:,.0f}"
        cells = [str(row["batch"]), _written(row["ms"]), speed, _written(row["floor"])]
        lines.append("| " + " | ".join([row["application"], *cells]) + " |")
    return "\n".join(lines) + "\n"


def _written(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print the tables, write gpu.json."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two shapes, one application")
    parser.add_argument("--rounds", type=int, help="rounds per case; 11, or 3 with --quick")
    parser.add_argument("--applications", help="names with commas; none for no application")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)
    rounds = options.rounds or (3 if options.quick else 11)
    asked = options.applications or ("sentiment" if options.quick else ",".join(APPLICATIONS))
    names = [] if asked == "none" else asked.split(",")
    if unknown := set(names) - set(APPLICATIONS):
        parser.error(f"unknown application {sorted(unknown)[0]}")

    results: dict[str, Any] = {
        "command": " ".join(["python -m benchmarks.gpu", *(arguments or sys.argv[1:])]),
        "machine": about_machine("tensorflow", "keras", "torch"),
        "rounds": rounds,
        "contenders": [n for n in (OURS, STOCK, LOOP, TORCH) if n != TORCH or installed(TORCH)],
        "times": [],
        "applications": [],
    }
    contenders = [start(name) for name in results["contenders"]]
    found: Any = contenders[0].ask("about")
    # A driver may know a card that TensorFlow cannot open.
    results |= {"card": card() if found["gpus"] else None, "tensorflow": found}
    for case in QUICK if options.quick else CASES:
        results["times"].append(measure(case, contenders, rounds))
        print(json.dumps(results["times"][-1], ensure_ascii=False), file=sys.stderr, flush=True)
    for contender in contenders:
        contender.close()
    most = _FEWEST if options.quick else _MOST
    for name in names:
        results["applications"].append(measure_application(name, rounds, most))
        print(json.dumps(results["applications"][-1]), file=sys.stderr, flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    written = json.dumps(results, indent=1, ensure_ascii=False)
    (options.out / "gpu.json").write_text(written)
    print(table(results))


if __name__ == "__main__":
    main()
