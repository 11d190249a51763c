"""The Numenta Anomaly Benchmark: the application and plain baselines, scored by NAB's own rules.

    python -m benchmarks.nab FOLDER [--json] [--seed 0]

FOLDER holds NAB's `data` and `labels/combined_windows.json`. Each detector reads one file after the
other, row by row, and sees no row before its time; its settings are the same for all files. From
every detector's scores, an alarm is raised only where a row exceeds the 100 rows before it.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from apps.errors import UserError
from benchmarks.machine import about_machine, sentence
from benchmarks.nab_score import PROFILES, Floats, LabelledSeries, alarms, read_corpus, score

Detector = Callable[[LabelledSeries], Floats]
_WIDTH = 400  # Rows before a row that say what is usual.
_GAUSSIAN_WIDTH = 1000  # NAB's own choice for its windowed Gaussian.


def main() -> None:
    """Print NAB's scores of each detector."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    about = about_machine("tensorflow", "pandas")
    try:
        corpus = read_corpus(options.folder)
        found = measured(corpus, options.seed)
    except UserError as error:
        parser.exit(2, f"{error}\n")
    rows = sum(len(series.values) for series in corpus)
    if options.json:
        names = (*PROFILES, "seconds")
        detectors = {
            detector: {name: figures[name] for name in names} for detector, figures in found.items()
        }
        print(
            json.dumps(
                {"machine": about, "seed": options.seed, "rows": rows, "detectors": detectors}
            )
        )
        return
    windows = sum(len(series.windows) for series in corpus)
    print(f"{sentence(about)}\n\n{len(corpus)} files, {rows:,} rows, seed {options.seed}\n")
    print(table(found, windows))


def table(found: Mapping[str, Mapping[str, Any]], windows: int) -> str:
    """A line for each detector; found windows and false alarms are those of the standard profile.

    Args:
        found: figures by detector, as `measured` returns them.
        windows: how many the corpus has.
    """
    lines = [
        "| detector | standard | low FP | low FN "
        f"| windows found of {windows} | false alarms | seconds |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {name} | {figures['standard']:.1f} | {figures['low_fp']:.1f} "
        f"| {figures['low_fn']:.1f} | {figures['found']} | {figures['false_alarms']} "
        f"| {figures['seconds']:.1f} |"
        for name, figures in found.items()
    ]
    return "\n".join(lines)


def measured(corpus: Sequence[LabelledSeries], seed: int) -> dict[str, dict[str, Any]]:
    """Scores in each profile, found windows, false alarms and seconds by detector."""
    detectors: dict[str, Callable[[], Sequence[Floats]]] = {
        name: functools.partial(_each, detector, corpus)
        for name, detector in baselines(seed).items()
    }
    # It imports TensorFlow.
    from benchmarks.nab_detector import application_scores

    detectors["anomalies"] = functools.partial(application_scores, corpus, seed)
    found = {}
    for name, detector in detectors.items():
        began = time.perf_counter()
        scores = [alarms(series) for series in detector()]
        seconds = time.perf_counter() - began
        results = score(corpus, scores)
        standard = results["standard"]
        found[name] = {
            **{profile: result["score"] for profile, result in results.items()},
            "found": standard["found"],
            "false_alarms": standard["false_alarms"],
            "seconds": seconds,
        }
    return found


def _each(detector: Detector, corpus: Sequence[LabelledSeries]) -> list[Floats]:
    return [detector(series) for series in corpus]


def baselines(seed: int) -> dict[str, Detector]:
    """Plain detectors by name.

    Each maps a file to `(rows,)` scores, none of which is negative, and each score depends on the
    rows up to its own only.
    """
    return {
        "null": null,
        "random": functools.partial(random, seed=seed),
        "rolling_z": rolling_z,
        "seasonal_difference": seasonal_difference,
        "moving_difference": moving_difference,
        "windowed_gaussian": windowed_gaussian,
    }


def null(series: LabelledSeries) -> Floats:
    """Nothing is anomalous."""
    return np.zeros(len(series.values))


def random(series: LabelledSeries, *, seed: int) -> Floats:
    """Uniform numbers, which do not look at the values."""
    generator = np.random.default_rng([seed, zlib.crc32(series.name.encode())])
    return generator.random(len(series.values))


def rolling_z(series: LabelledSeries) -> Floats:
    """How many standard deviations a value lies from the mean of the 400 before it."""
    mean, deviation = _usual(series.values)
    return _known(np.abs(series.values - mean) / deviation)


def seasonal_difference(series: LabelledSeries) -> Floats:
    """Absolute difference to a day before, in standard deviations of the 400 differences before.

    The value of a day before is that of the last row whose stamp is a day old or older.
    """
    # Searched are the latest stamps so far, which never go back.
    latest = np.maximum.accumulate(series.times)
    before = np.searchsorted(latest, latest - np.timedelta64(1, "D"), side="right") - 1
    difference = np.where(before >= 0, series.values - series.values[before], np.nan)
    return _known(np.abs(difference) / _usual(difference)[1])


def moving_difference(series: LabelledSeries) -> Floats:
    """The one-liner of Wu and Keogh 2021, `abs(diff(x)) > movmean(...) + c * movstd(...)`.

    Mean and standard deviation are those of the 400 absolute differences before; the score is the
    largest c at which the row is an anomaly, 0 where that is negative.
    """
    difference = np.abs(np.diff(series.values, prepend=np.nan))
    mean, deviation = _usual(difference)
    return np.maximum(_known((difference - mean) / deviation), 0.0)


def windowed_gaussian(series: LabelledSeries) -> Floats:
    """NAB's own baseline: 1 less the normal tail beyond the value, from the 1,000 rows before."""
    mean, deviation = _usual(series.values, width=_GAUSSIAN_WIDTH)
    return _known(ndtr(np.abs(series.values - mean) / deviation))


def _usual(values: Floats, width: int = _WIDTH) -> tuple[Floats, Floats]:
    """Mean and standard deviation of so many rows before each, fewer at the beginning.

    Returns:
        Twice `(rows,)`, NaN where no row before has a value. The deviation is never less than a
        thousandth of the mean, so that noise upon a constant is no anomaly.
    """
    before = pd.Series(values).shift(1).rolling(width, min_periods=1)
    mean = before.mean().to_numpy()
    floor = 1e-9 + 1e-3 * np.abs(mean)
    return mean, np.maximum(before.std(ddof=0).to_numpy(), floor)


def _known(scores: Floats) -> Floats:
    """Scores with 0 where the rows before do not say what is usual."""
    return np.nan_to_num(scores, nan=0.0)


if __name__ == "__main__":
    main()
