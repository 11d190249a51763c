"""Files that experiments need besides those of the data folder."""

from __future__ import annotations

import csv
from pathlib import Path

FSDD_SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def without_speaker(data: Path, to: Path, *, speaker: str) -> None:
    """Write `train.csv`, all recordings of FSDD but one speaker's, and `test.csv`, that speaker's.

    Args:
        data: the data folder.
        to: where the two manifests are written; audio is named by its absolute path.
        speaker: who is left out.
    """
    folder = (data / "speech/fsdd").resolve()
    rows = []
    for name in ("train", "test"):
        with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as lines:
            rows += list(csv.DictReader(lines))
    for name, inside in (("train", False), ("test", True)):
        with (to / f"{name}.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(["audio", "label", "speaker"])
            for row in rows:
                if (row["speaker"] == speaker) == inside:
                    table.writerow([folder / row["audio"], row["label"], row["speaker"]])


def last_characters(data: Path, to: Path, *, count: int) -> None:
    """Write the last characters of tiny Shakespeare to `last-tenth.txt`."""
    with (data / "text/shakespeare/input.txt").open(encoding="utf-8", newline="") as stream:
        text = stream.read()
    with (to / "last-tenth.txt").open("w", encoding="utf-8", newline="") as stream:
        stream.write(text[-count:])
