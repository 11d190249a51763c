"""What each detector of anomalies finds on made data: faults by kind, and lasting ones.

    python -m benchmarks.detectors [--seeds 3] [--json]

For each seed a detector learns from one draw of a machine, whose labels it does not see, and is
measured on another one; and it learns from the first 400 rows of ten series of a water circuit, and
is measured on the others. Thresholds are chosen without labels. A fault of the machine counts as
found if an alarm lies in it or in the 20 rows behind it; any other alarm is false.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score

import apps
from apps.tasks.anomalies.events import events_of
from apps.timeseries.sample_machine import KINDS, Fault, faults_of, sample_machine
from benchmarks.machine import about_machine, sentence
from benchmarks.made_circuit import NORMAL, write_circuit

DETECTORS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "forecaster, stream alone": {"reference": "stream"},
    "autoencoder": {"model": "autoencoder"},
    "autoencoder, stream alone": {"model": "autoencoder", "reference": "stream"},
    "telemanom's threshold": {"scorer": "dynamic"},
}
_MERGE = 20
_FIGURES = ("auc_pr", "row_f1", "row_precision", "row_recall", "event_f1", "affiliation_f1")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    about = about_machine("tensorflow", "keras")
    found: dict[str, list[dict[str, Any]]] = {}
    lasting: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for table, measured in ((found, on_machine(seed)), (lasting, on_circuit(seed))):
            for name, figures in measured.items():
                table.setdefault(name, []).append(figures)
    if options.json:
        tables = {"machine faults": found, "circuit": lasting}
        print(json.dumps({"machine": about, "seeds": options.seeds, **tables}))
        return
    print(f"{sentence(about)}\n")
    print(f"| machine | average precision | {' | '.join(KINDS)} | false alarms |")
    print("|---" * (len(KINDS) + 3) + "|")
    for name, runs in found.items():
        precision = np.mean([one["average_precision"] for one in runs])
        hits = [sum(one["found"][kind] for one in runs) for kind in KINDS]
        of = [sum(one["faults"][kind] for one in runs) for kind in KINDS]
        cells = [f"{hit} of {count}" for hit, count in zip(hits, of, strict=True)]
        false = sum(one["false_alarms"] for one in runs)
        print(f"| {name} | {precision:.3f} | {' | '.join(cells)} | {false} |")
    print(f"\n| circuit | {' | '.join(_FIGURES)} |")
    print("|---" * (len(_FIGURES) + 1) + "|")
    for name, runs in lasting.items():
        means = [np.mean([one[figure] or 0.0 for one in runs]) for figure in _FIGURES]
        print(f"| {name} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


def on_circuit(seed: int) -> dict[str, dict[str, Any]]:
    """Figures of each detector and of each baseline for one draw of the circuit."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_circuit(data, seed)
        for number, (name, settings) in enumerate(DETECTORS.items()):
            run = apps.train(
                "anomalies",
                data,
                run=Path(folder) / str(number),
                until=f"#{NORMAL}",
                seed=seed,
                **settings,
            )
            measured = run.evaluate(data, since=f"#{NORMAL}")
            found[name] = {figure: measured[figure] for figure in _FIGURES}
        for name, figures in measured["baselines"].items():
            found[name] = {figure: figures[figure] for figure in _FIGURES}
    return found


def on_machine(seed: int) -> dict[str, dict[str, Any]]:
    """Figures of each detector and of each baseline for one draw of the machine."""
    learnt, asked = sample_machine(seed), sample_machine(seed + 1000)
    frame = asked["series"][0].frame
    labels, faults = frame["label"].to_numpy(), faults_of(asked)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{name}.csv" for name in ("learnt", "asked")]
        for machine, file in zip((learnt, asked), files, strict=True):
            # As a user has them who knows of no fault.
            rows = machine["series"][0].frame.drop(columns=["label", "fault"])
            rows.to_csv(file, index=False)
        for number, (name, settings) in enumerate(DETECTORS.items()):
            started = time.monotonic()
            run = apps.train(
                "anomalies", files[0], run=Path(folder) / str(number), seed=seed, **settings
            )
            seconds = time.monotonic() - started
            answer = run.predict(str(files[1]))[0]
            score, flag = np.array(answer["score"]), np.array(answer["flag"], bool)
            found[name] = {**figures(score, flag, labels, faults), "seconds": round(seconds, 1)}
        units = run.application.input.units(run.application.check(asked, learning=False))
        for name, baseline in run.baselines().items():
            answered = baseline.predict(units)
            lengths = np.asarray(units["stop"]) - np.asarray(units["start"])
            real = np.arange(answered["score"].shape[1]) < lengths[:, None]
            found[name] = figures(answered["score"][real], answered["flag"][real], labels, faults)
    return found


def figures(
    score: np.ndarray, flag: np.ndarray, labels: np.ndarray, faults: Sequence[Fault]
) -> dict[str, Any]:
    """Average precision of rows, faults found by kind, and false alarms.

    Args:
        score: `(rows,)`.
        flag: `(rows,)` bool.
        labels: `(rows,)`, 1 in a fault.
        faults: all of them.
    """
    alarms = events_of(flag, _MERGE)
    hits = dict.fromkeys(KINDS, 0)
    met = set()
    for fault in faults:
        own = {a for a in alarms if a[0] < fault.end + _MERGE and a[1] >= fault.start}
        hits[fault.kind] += bool(own)
        met |= own
    return {
        "average_precision": float(average_precision_score(labels, score)),
        "found": hits,
        "faults": {kind: sum(fault.kind == kind for fault in faults) for kind in KINDS},
        "false_alarms": len(alarms) - len(met),
    }


if __name__ == "__main__":
    main()
