"""What the tour learns from, what it keeps back to measure on, and the input it asks about.

Everything is read and checked here, as `apps train` reads it, before anything long begins.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps import catalogue
from apps.data import Clip, Examples, parse_rename, read
from apps.data.panels.windows import SERIES
from apps.data.sources import SAMPLE
from docs.tour_steps import Source

# Share of the rows that is kept back to measure on.
_FIFTHS = 5
_HELD = 1 / _FIFTHS
# A text that has its words side by side in the picture of `inspect`.
_MOST_WORDS = 30
_OTHER_CLASSES = ("unknown", "silence")


@dataclass(frozen=True)
class _Read:
    """A source whose rows were read, checked and parted."""

    given: str
    columns: str
    learnt: Examples
    held: Examples
    until: str


def prepare(wanted: dict[str, tuple[str, str]], folder: Path) -> list[Source]:
    """Read all sources, and only then write what the commands of the tour will read.

    Args:
        wanted: source and `--columns` of each application.
        folder: of the tour; made where it is not there.

    Raises:
        UserError: a source cannot be read, or no model can be trained on it.
    """
    # The user's own first: a bad one is refused before a sample is made.
    order = sorted(wanted, key=lambda name: wanted[name][0] == SAMPLE)
    every = {name: _read(name, *wanted[name]) for name in order}
    folder.mkdir(parents=True, exist_ok=True)
    return [_written(name, every[name], folder / name) for name in wanted]


def _read(application: str, given: str, columns: str) -> _Read:
    kind = catalogue.load(application)
    rename = parse_rename(columns, kind.columns()) if columns else {}
    if given == SAMPLE:
        # Another seed makes other rows, which `evaluate --data sample` measures on too.
        made = kind.sample(1)
        return _Read(given, columns, made, made, "")
    rows = read(given, kind.columns(), rename=rename)
    probe = kind(kind.Config())
    checked = probe.check(rows, learning=True)
    if SERIES in rows:
        # The moments part the second half of the rows into fifths.
        until = probe.input.origins(rows, _FIFTHS, given=False)[-3]
        return _Read(given, columns, rows, rows, until)
    probe.task.adapt(checked)
    learnt, held = probe.input.split(checked, _HELD, probe.task.stratify)
    probe.input.split(learnt, probe.config.validation_fraction, probe.task.stratify)
    return _Read(given, columns, learnt, held, "")


def _written(application: str, one: _Read, folder: Path) -> Source:
    folder.mkdir(exist_ok=True)
    own = one.given != SAMPLE
    data = held = one.given
    columns = one.columns if own else ""
    if own and not one.until:
        data, held = _write(one.learnt, folder / "learnt"), _write(one.held, folder / "held")
        columns = ""
    asked, truth = _input(one, folder)
    return Source(application, one.given, data, held, columns, one.until, asked, truth)


def _write(rows: Examples, stem: Path) -> str:
    """Rows as JSON lines, or as a manifest beside whose recordings come from files."""
    if "audio" not in rows:
        file = stem.with_suffix(".jsonl")
        names = list(rows.columns)
        values = zip(*rows.columns.values(), strict=True)
        lines = [json.dumps(dict(zip(names, value, strict=True))) for value in values]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(file)
    file = stem.with_suffix(".csv")
    rest = [name for name in rows.columns if name != "audio"]
    times = Counter(clip.path for clip in rows["audio"])
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["audio", *rest])
        for number, clip in enumerate(rows["audio"]):
            path = clip.path
            # A file of its own where there is none, or it holds several recordings.
            if times[path] > 1 or not os.path.isfile(path):
                stem.mkdir(exist_ok=True)
                path = _sound(clip, stem / f"{number}.wav")
            writer.writerow([os.path.abspath(path), *(rows[name][number] for name in rest)])
    return str(file)


def _input(one: _Read, folder: Path) -> tuple[str, str]:
    """A held-back text or recording and its label, or the table whose next rows are forecast."""
    rows = one.held
    if SERIES in rows:
        if one.given != SAMPLE:
            return one.given, ""
        file = folder / "table.csv"
        rows[SERIES][0].frame.to_csv(file, index=False)
        return str(file), ""
    row = next((r for r in range(len(rows)) if _telling(rows, r)), 0)
    label = str(rows["label"][row])
    if "audio" in rows:
        return _sound(rows["audio"][row], folder / "input.wav"), label
    return " ".join(rows["text"][row].split()), label


def _telling(rows: Examples, row: int) -> bool:
    """Whether a row makes a clear picture."""
    if "audio" in rows:
        return rows["label"][row] not in _OTHER_CLASSES
    return 5 <= len(rows["text"][row].split()) <= _MOST_WORDS


def _sound(clip: Clip, file: Path) -> str:
    import soundfile

    samples: Any = clip.samples
    soundfile.write(file, samples, clip.rate, subtype="PCM_16")
    return str(file)
