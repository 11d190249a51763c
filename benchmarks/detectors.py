"""What each detector of anomalies finds of each kind of fault, on a made machine.

    python -m benchmarks.detectors [--seeds 3] [--json]

For each seed a detector learns from one draw of the machine, whose labels it does not see, and is
measured on another one, each at the threshold that it has chosen without labels. A fault counts as
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

DETECTORS: Mapping[str, Mapping[str, str]] = {
    "default": {},
    "forecaster, stream alone": {"reference": "stream"},
    "autoencoder": {"model": "autoencoder"},
    "autoencoder, stream alone": {"model": "autoencoder", "reference": "stream"},
    "telemanom's threshold": {"scorer": "dynamic"},
}
_MERGE = 20


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    about = about_machine("tensorflow", "keras")
    found: dict[str, list[dict[str, Any]]] = {}
    for seed in range(options.seeds):
        for name, figures in measured(seed).items():
            found.setdefault(name, []).append(figures)
    if options.json:
        print(json.dumps({"machine": about, "seeds": options.seeds, "detectors": found}))
        return
    print(f"{sentence(about)}\n")
    print(f"| | average precision | {' | '.join(KINDS)} | false alarms |")
    print("|---" * (len(KINDS) + 3) + "|")
    for name, runs in found.items():
        precision = np.mean([one["average_precision"] for one in runs])
        hits = [sum(one["found"][kind] for one in runs) for kind in KINDS]
        of = [sum(one["faults"][kind] for one in runs) for kind in KINDS]
        cells = [f"{hit} of {count}" for hit, count in zip(hits, of, strict=True)]
        false = sum(one["false_alarms"] for one in runs)
        print(f"| {name} | {precision:.3f} | {' | '.join(cells)} | {false} |")


def measured(seed: int) -> dict[str, dict[str, Any]]:
    """Figures of each detector and of each baseline for one draw."""
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
