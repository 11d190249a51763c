"""Searches compared: default, random, Hyperband, Bayesian and Optuna in the same minutes.

    python -m benchmarks.tuning APP --train SRC --test SRC [--rows N] [--minutes M] [--seeds 0,1,2]

Every contender gets the same rows and the same wall-clock minutes, in a process of its own pinned
to one core, as many at a time as there are cores. The winner of each is measured once on the test
rows, after its minutes. Optuna (TPE with its median pruner) searches the same space, also begins
with the default configuration, and trains with the same loop in a single process; its best trial is
its model, as for most of its users.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.machine import about_machine, sentence

RESULTS = Path(__file__).parent / "results"
CONTENDERS = ("default", "random", "hyperband", "bayesian", "optuna")


def main() -> None:
    """Run every contender with every seed and write table and figures."""
    options = _parser().parse_args()
    about = about_machine("tensorflow", "keras", "keras-tuner", "optuna")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    # Contenders of one seed run close together in time, so that other load affects all of them.
    turns = list(itertools.product(seeds, options.contenders.split(",")))
    cores = sorted(os.sched_getaffinity(0))
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(len(cores)) as pool:
        options.train = _drawn(options.train, options.rows, Path(scratch, "train.jsonl"))
        options.test = _drawn(options.test, options.test_rows, Path(scratch, "test.jsonl"))
        free = list(cores)

        def run(turn: tuple[int, str]) -> dict[str, Any]:
            core = free.pop()
            try:
                return _contend(options, turn[0], turn[1], core, Path(scratch))
            finally:
                free.append(core)

        found = list(pool.map(run, turns))
    document = {
        "machine": about,
        "command": "python -m benchmarks.tuning " + " ".join(sys.argv[1:]),
        "minutes": options.minutes,
        "fixed": options.fix,
        "space": options.space,
        "took_minutes": round((time.monotonic() - began) / 60, 1),
        "runs": found,
    }
    name = f"tuning-{options.application}"
    (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / f"{name}.md").write_text(_table(document))
    print(_table(document))


def _drawn(source: str, rows: int | None, file: Path) -> str:
    """A file with `rows` lines drawn with seed 0 from `.jsonl[.gz]`; all if it is None."""
    if rows is None:
        return source
    content = Path(source).read_bytes()
    if source.endswith(".gz"):
        content = gzip.decompress(content)
    found = content.decode().splitlines(keepends=True)
    random.Random(0).shuffle(found)
    file.write_text("".join(found[:rows]))
    return str(file)


def _contend(
    options: argparse.Namespace, seed: int, contender: str, core: int, scratch: Path
) -> dict[str, Any]:
    """One contender with one seed, in a process pinned to one core."""
    task = {
        "application": options.application,
        "train": os.path.abspath(options.train),
        "test": os.path.abspath(options.test),
        "minutes": options.minutes,
        "fixed": dict(pair.split("=", 1) for pair in options.fix),
        "space": dict(pair.split("=", 1) for pair in options.space),
        "finalists": options.finalists,
        "final_seeds": options.final_seeds,
        "objective": options.objective,
        "seed": seed,
        "contender": contender,
        "folder": str(scratch / f"{contender}-{seed}"),
    }
    command = ["taskset", "-c", str(core), sys.executable, "-m", "benchmarks.tuning_contender"]
    done = subprocess.run([*command, json.dumps(task)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{contender}, seed {seed}: {done.stderr[-2000:]}")
    result = json.loads(done.stdout.splitlines()[-1])
    print(
        contender, seed, json.dumps({k: v for k, v in result.items() if k != "curve"}), flush=True
    )
    return {"contender": contender, "seed": seed, **result}


def _table(document: dict[str, Any]) -> str:
    """Medians and all seeds as Markdown."""
    runs = document["runs"]
    defaults = {run["seed"]: run for run in runs if run["contender"] == "default"}
    lines = [
        f"`{document['command']}`",
        "",
        sentence(document["machine"]) + f"; {document['minutes']:g} minutes each on one core.",
        "",
        "| contender | test accuracy, median | each seed | trials, median | "
        "best score on held-out rows | minutes to the default's score |",
        "|---|---|---|---|---|---|",
    ]
    for contender in dict.fromkeys(run["contender"] for run in runs):
        own = [run for run in runs if run["contender"] == contender]
        tests = [run["test"] for run in own]
        reached = [_reached(run, defaults.get(run["seed"])) for run in own]
        lines.append(
            f"| {contender} | {statistics.median(tests):.4f} | "
            f"{', '.join(f'{test:.4f}' for test in tests)} | "
            f"{statistics.median(run['trials'] for run in own):g} | "
            f"{statistics.median(run['score'] for run in own):.4f} | "
            f"{', '.join(reached)} |"
        )
    return "\n".join([*lines, ""])


def _reached(run: dict[str, Any], default: dict[str, Any] | None) -> str:
    """Minutes until the best score so far reached the default's final one."""
    if default is None:
        return "–"
    for seconds, score in run["curve"]:
        better = score >= default["score"] if run["maximise"] else score <= default["score"]
        if better:
            return f"{seconds / 60:.1f}"
    return "never"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning")
    parser.add_argument("application")
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--rows", type=int, metavar="N", help="use N of the training rows")
    parser.add_argument("--test-rows", type=int, metavar="N")
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--contenders", default=",".join(CONTENDERS))
    parser.add_argument("--fix", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--space", action="append", default=[], metavar="KEY=LOW:HIGH[:log]")
    parser.add_argument("--objective", default="accuracy")
    parser.add_argument("--finalists", type=int, default=3)
    parser.add_argument("--final-seeds", type=int, default=3)
    return parser


if __name__ == "__main__":
    main()
