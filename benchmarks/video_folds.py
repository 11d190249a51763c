"""Leave-sources-out cross-validation of the action model: every clip is tested once.

    python -m benchmarks.video_folds FOLDER [--group COLUMN] [--folds 5] [--seed 0] [--json]

FOLDER holds manifests (`.csv`) of `video`, `label` and a source film, camera or actor, all of which
are read. Sources are divided into folds of nearly equal size; for each fold a model is trained on
the other sources, as `apps.train` does it by default, and evaluated on the fold.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import about_machine, sentence

Rows = list[dict[str, str]]
_BASELINES = ("majority", "frames_without_order")


def read(folder: Path, group: str) -> Rows:
    """The rows of all manifests of a folder, each clip once, with absolute paths."""
    found: dict[str, dict[str, str]] = {}
    for manifest in sorted(folder.glob("*.csv")):
        with manifest.open(newline="", encoding="utf-8-sig") as lines:
            for row in csv.DictReader(lines):
                path = str((folder / row["video"]).resolve())
                found[path] = {"video": path, "label": row["label"], "group": row[group]}
    return list(found.values())


def divided(rows: Rows, folds: int, seed: int) -> list[list[int]]:
    """Row numbers of each fold; the largest source first, each to the fold it fits best.

    A source goes where the fold is furthest from its share of the source's classes.
    """
    sources: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        sources.setdefault(row["group"], []).append(number)
    names = sorted(sources)
    names = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    found: list[list[int]] = [[] for _ in range(folds)]
    counts = [Counter[str]() for _ in range(folds)]
    for name in sorted(names, key=lambda name: -len(sources[name])):
        brought = Counter(rows[number]["label"] for number in sources[name])
        fold = min(
            range(folds),
            key=lambda f: (
                sum(counts[f][label] * n for label, n in brought.items()),
                len(found[f]),
            ),
        )
        found[fold] += sources[name]
        counts[fold].update(brought)
    return [sorted(fold) for fold in found]


def measured(train: Rows, test: Rows, seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Accuracies of model and baselines on one fold."""
    import apps

    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        run = apps.train("actions", train, run=Path(folder) / "run", seed=seed, **settings)
        found = run.evaluate(test)
    figures = {name: found["baselines"][name]["accuracy"] for name in _BASELINES}
    return {
        "clips": found["examples"],
        "sources": len({row["group"] for row in test}),
        "accuracy": found["accuracy"],
        **figures,
        "seconds": round(time.perf_counter() - started, 1),
    }


def pooled(folds: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Shares of all clips that were answered right, each by the model that had not seen it."""
    clips = np.array([fold["clips"] for fold in folds])
    names = ("accuracy", *_BASELINES)
    return {name: float(np.dot(clips, [f[name] for f in folds]) / clips.sum()) for name in names}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure fold by fold, and print a line for each and one for all, or JSON."""
    parser = argparse.ArgumentParser(prog="benchmarks.video_folds", description=__doc__)
    parser.add_argument("folder", type=Path, help="holds the manifests")
    parser.add_argument("--group", default="source", help="column of the sources")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of the division and of all trainings")
    parser.add_argument("--epochs", type=int, help="as apps train takes it")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    chosen = parser.parse_args(arguments)
    rows = read(chosen.folder, chosen.group)
    settings = {} if chosen.epochs is None else {"epochs": chosen.epochs, "updates": 1}
    about, folds = about_machine("tensorflow", "keras", "av"), []
    if not chosen.json:
        print(f"{sentence(about)}\n", flush=True)
    for number, fold in enumerate(divided(rows, chosen.folds, chosen.seed), 1):
        inside = set(fold)
        train = [row for place, row in enumerate(rows) if place not in inside]
        folds.append(measured(train, [rows[place] for place in fold], chosen.seed, settings))
        if not chosen.json:
            print(f"fold {number}: {_line(folds[-1])}", flush=True)
    total = pooled(folds)
    if chosen.json:
        print(json.dumps({"machine": about, "folds": folds, "pooled": total}))
        return
    spread = np.std([fold["accuracy"] for fold in folds], ddof=1) if len(folds) > 1 else 0.0
    print(f"all {sum(f['clips'] for f in folds)} clips: {_figures(total)}")
    print(f"standard deviation over folds: {spread:.3f}")


def _line(fold: Mapping[str, Any]) -> str:
    head = f"{fold['clips']} clips of {fold['sources']} sources, {fold['seconds']:.0f} s"
    return f"{head}: {_figures(fold)}"


def _figures(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {found[name]:.3f}" for name in ("accuracy", *_BASELINES))


if __name__ == "__main__":
    main()
