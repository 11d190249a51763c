"""Accuracy, delay, time and memory of a speech application on a stream.

    python -m benchmarks.speech_streaming RUN [--data SRC] [--minutes M] [--snr DB] [--chunk-ms 20]

A long sound is made from a seed: recordings over noise with gaps between them, of the built-in
sample's held-out speakers or of --data. It goes through `step` chunk by chunk, as `python -m apps
stream` would send it, in a process pinned to --cores cores. For keywords, misses, false alarms an
hour and the delay from a word's end to its decision are measured; for transcription, word errors
over the whole.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.contender import ROOT
from benchmarks.machine import about_machine, sentence

WORKER = "benchmarks.speech_streaming_contender"
# Largest real-time factor, and the number of cores for it.
TARGETS = {"keywords": (0.02, 1), "transcription": (0.1, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure one run with every chunk size, and write figures and table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speech_streaming")
    parser.add_argument("run", metavar="RUN")
    parser.add_argument("--data", default="sample", metavar="SRC", help="not the training data")
    parser.add_argument("--columns", metavar="NAME=COLUMN,…")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--snr", type=float, default=15.0, metavar="DB", help="words over noise")
    parser.add_argument("--gap", default="0.5,3", metavar="S,S", help="seconds between recordings")
    parser.add_argument("--tolerance", type=float, default=1.0, metavar="S")
    parser.add_argument("--chunk-ms", default="20,100", metavar="MS,…")
    parser.add_argument("--cores", type=int, help="1 for keywords, 2 for transcription")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)

    about = about_machine("tensorflow", "keras")
    about_run = json.loads(Path(options.run, "config.json").read_text(encoding="utf-8"))
    application = about_run["application"]
    limit, cores = TARGETS[application]
    found = []
    for chunk_ms in map(float, options.chunk_ms.split(",")):
        task = {
            "run": os.path.abspath(options.run),
            "data": options.data if options.data == "sample" else os.path.abspath(options.data),
            "columns": options.columns,
            "seconds": 60 * options.minutes,
            "snr": options.snr,
            "gap": [float(seconds) for seconds in options.gap.split(",")],
            "tolerance": options.tolerance,
            "chunk_ms": chunk_ms,
            "cores": options.cores or cores,
            "seed": options.seed,
        }
        found.append(_measured(task))
        print(json.dumps(found[-1]), flush=True)
    results = {
        "command": " ".join(
            ["python -m benchmarks.speech_streaming", *(arguments or sys.argv[1:])]
        ),
        "machine": about,
        "application": application,
        "target": {"real_time_factor": limit, "cores": cores},
        "streams": found,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    name = f"speech_streaming-{application}"
    (options.out / f"{name}.json").write_text(json.dumps(results, indent=1) + "\n")
    (options.out / f"{name}.md").write_text(table(results))
    print(table(results))


def _measured(task: dict[str, Any]) -> dict[str, Any]:
    """Measure one stream in a process of its own."""
    command = [sys.executable, "-m", WORKER, json.dumps(task)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{task['run']}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(results: dict[str, Any]) -> str:
    """The results as Markdown."""
    streams, target = results["streams"], results["target"]
    lines = [
        f"# {results['application'].capitalize()} on a stream",
        "",
        f"`{results['command']}` on {sentence(results['machine'])}.",
        "",
        "| chunk, ms | " + " | ".join(streams[0]["accuracy"]) + " | real-time factor | ms a chunk, "
        "median | 99th percentile | memory after 20 s, MiB | at the end, MiB |",
        "|---|" + "---|" * (len(streams[0]["accuracy"]) + 5),
    ]
    for stream in streams:
        accuracy = [_figure(value) for value in stream["accuracy"].values()]
        cells = [
            f"{stream['chunk_ms']:g}",
            *accuracy,
            f"{stream['real_time_factor']:.4f}",
            f"{stream['chunk_median_ms']:.2f}",
            f"{stream['chunk_99_ms']:.2f}",
            f"{stream['memory_start_mib']:.0f}",
            f"{stream['memory_end_mib']:.0f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    lines += [
        "",
        f"{streams[0]['seconds'] / 60:.1f} minutes of sound on {streams[0]['cores']} of the cores. "
        f"The real-time factor is wall-clock time by duration; target: at most "
        f"{target['real_time_factor']} on {target['cores']}.",
        "",
    ]
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return str(value) if isinstance(value, int) else f"{value:.3g}"


if __name__ == "__main__":
    main()
