"""A served `sentiment` model under load: ours, and stock Keras's export of the same weights.

    python -m benchmarks.serving RUN --texts FILE [--soak-minutes 10] [--out benchmarks/results]

Both models stand in one server, which runs in a process of its own as `python -m apps serve`; a
second server has batching switched off. Every combination of protocol, clients, batching and model
takes its turn in each round, the models in alternating order; medians over the rounds are compared.
The server, the load generator and the model share the machine's cores, as they would on an
engineer's own machine. Beside them, in this process and without a server: both SavedModels and
onnxruntime on prepared tensors, one text at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

import apps
from apps.data import read
from apps.export.saved_model import BATCHING
from apps.serving.models.servable import Servable
from benchmarks.load_test import load_test
from benchmarks.machine import about_machine, sentence
from benchmarks.serving_models import export_stock
from benchmarks.serving_soak import soak

OURS, STOCK = "sentiment", "stock"
TARGET = 0.35
READY = re.compile(r"gRPC (\S+), REST (\S+)")


@dataclass(frozen=True)
class Case:
    """One setting: protocol, concurrent clients, and whether the server batches requests."""

    protocol: str
    clients: int
    batching: bool

    def __str__(self) -> str:
        joined = "batching" if self.batching else "no batching"
        return f"{self.protocol}, {self.clients} client{'s' * (self.clients > 1)}, {joined}"


CASES = [Case(*way) for way in itertools.product(("gRPC", "REST"), (1, 32), (True, False))]


@contextlib.contextmanager
def server(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """A server process on free ports; its address for each protocol."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "apps", "serve", str(folder)),
            *("--port", "0", "--rest-port", "0", *options),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        urls: dict[str, str] = {}
        available = 0
        while not urls or available < len(models_in(folder)):
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the server ended:\n" + "".join(said))
            said.append(line)
            found = READY.search(line)
            if found:
                rest = found[2]
                urls = {"gRPC": f"grpc://{found[1]}", "REST": rest}
            available += "AVAILABLE" in line or "available" in line
        # Further output must not fill the pipe.
        subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        yield urls
    finally:
        process.terminate()
        process.wait(timeout=60)


def models_in(folder: Path) -> list[Path]:
    return [entry for entry in folder.iterdir() if entry.is_dir()]


def measure(folder: Path, texts: Sequence[str], rounds: int, seconds: float) -> list[dict]:
    """Every case and model in turn, round by round; medians over the rounds."""
    taken: dict[Case, dict[str, list[dict]]] = {case: {OURS: [], STOCK: []} for case in CASES}
    with server(folder) as joined, server(folder, "--no-batching") as single:
        for turn in range(rounds):
            for case in CASES:
                url = (joined if case.batching else single)[case.protocol]
                for model in (OURS, STOCK) if turn % 2 else (STOCK, OURS):
                    result = asdict(
                        load_test(url, texts, model=model, clients=case.clients, seconds=seconds)
                    )
                    taken[case][model].append(result)
                    print(turn + 1, case, model, result, flush=True)
    return [
        {"case": str(case), **vars(case), "models": {m: middle(r) for m, r in by_model.items()}}
        for case, by_model in taken.items()
    ]


def middle(results: list[dict]) -> dict[str, Any]:
    """Medians of the figures; errors are summed."""
    figures = {
        key: statistics.median(result[key] for result in results)
        for key in ("throughput", "p50_ms", "p95_ms", "p99_ms")
    }
    return {**figures, "errors": sum(sum(result["errors"].values()) for result in results)}


def without_server(run: Any, ours: Path, stock: Path, texts: Sequence[str], rounds: int) -> dict:
    """Median milliseconds for one text, without a server: raw texts, and prepared tensors."""
    servables = {
        "ours": Servable.load(ours, OURS, 1),
        "stock Keras": Servable.load(stock, STOCK, 1),
    }
    session = onnxruntime.InferenceSession(
        ours / "assets.extra" / "model.onnx", providers=["CPUExecutionProvider"]
    )
    raw = [{"text": np.array([text.encode()], object)} for text in texts]
    words = run.application.adapted["words"]
    prepared = []
    for text in texts:
        ids, _ = words.flat([text])
        prepared.append({"ids": ids[None], "lengths": np.array([len(ids)], np.int32)})
    contenders = {
        "ours, raw text": (lambda row: servables["ours"].run("serving_default", row), raw),
        "stock Keras, raw text": (
            lambda row: servables["stock Keras"].run("serving_default", row),
            raw,
        ),
        "ours, prepared": (lambda row: servables["ours"].run("tensors", row), prepared),
        "onnxruntime, prepared": (lambda row: session.run(None, row), prepared),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds + 1):
        for name, (call, rows) in contenders.items():
            for row in rows:
                start = time.perf_counter()
                call(row)
                if turn:
                    times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def table(results: dict) -> str:
    """The results as Markdown."""
    lines = [
        "# A served model",
        "",
        f"`{results['command']}` on {sentence(results['machine'])}. {results['texts']}",
        "",
        "Requests per second and milliseconds, medians of "
        f"{results['rounds']} rounds of {results['seconds']:g} s each.",
        "",
        "| | ours, 1/s | p50 | p99 | stock Keras, 1/s | p50 | p99 | p50 ours / stock | errors |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results["cases"]:
        ours, stock = row["models"][OURS], row["models"][STOCK]
        cells = [
            f"{model[key]:.1f}"
            for model in (ours, stock)
            for key in ("throughput", "p50_ms", "p99_ms")
        ]
        ratio = f"{ours['p50_ms'] / stock['p50_ms']:.2f}"
        errors = str(ours["errors"] + stock["errors"])
        lines.append("| " + " | ".join([row["case"], *cells, ratio, errors]) + " |")
    lines += ["", "One text at a time, in one process, without a server:", ""]
    lines += ["| | median, ms |", "|---|---|"]
    lines += [f"| {name} | {ms:.2f} |" for name, ms in results["without_server"].items()]
    if results.get("soak"):
        lines += ["", "## Under load while versions are published", "", results["soak"]["text"]]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path, help="a finished sentiment run")
    parser.add_argument("--texts", required=True, help="a source of texts to send")
    parser.add_argument("--count", type=int, default=200, help="how many of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement")
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results"))
    options = parser.parse_args(arguments)

    about = about_machine("tensorflow", "keras", "onnxruntime", "grpcio", "uvicorn")
    run = apps.load(options.run)
    application: Any = run.application
    columns = {"text": application.columns()["text"]}
    examples = read(options.texts, columns, sample=application.sample)
    chosen = np.random.default_rng(0).permutation(len(examples))[: options.count]
    texts = [examples["text"][i] for i in chosen]
    lengths = [len(application.adapted["words"].flat([text])[0]) for text in texts]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ours = run.export(folder, onnx=True)
        stock = export_stock(run, folder / STOCK / "1")
        shutil.copy(ours / BATCHING, stock / BATCHING)
        # Without the list, which names only our model, the server finds both folders.
        (folder / "models.config").unlink()
        single = without_server(run, ours, stock, texts[:50], rounds=options.rounds)
        print(single, flush=True)
        cases = measure(folder, texts, options.rounds, options.seconds)
        shutil.rmtree(folder / STOCK)
        under_load = (
            soak(folder, server, texts, options.soak_minutes) if options.soak_minutes else None
        )
    results = {
        "command": " ".join(["python -m benchmarks.serving", *(arguments or sys.argv[1:])]),
        "machine": about,
        "texts": (
            f"{len(texts)} texts of {statistics.median(lengths):g} words in the median, "
            f"{max(lengths)} at most; {run.model.count_params():,} parameters."
        ),
        "rounds": options.rounds,
        "seconds": options.seconds,
        "cases": cases,
        "without_server": single,
        "soak": under_load,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "serving.json").write_text(json.dumps(results, indent=1, ensure_ascii=False))
    (options.out / "serving.md").write_text(table(results))
    print(table(results))


if __name__ == "__main__":
    os.environ.setdefault("APPS_NATIVE_LSTM", "0")
    main()
