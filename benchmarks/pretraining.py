"""What a language model of plain text is worth to a classifier of few labelled ones.

    python -m benchmarks.pretraining FOLDER [--labelled 1000] [--sentences] [--minutes 60]
        [--each 10] [--seeds 3] [--run runs/pretraining] [--json]

FOLDER holds `train.jsonl.gz` and `test.jsonl.gz` of texts and labels. So many of the first keep
their labels, the texts of the others are plain text: a language model of words learns from them for
`--minutes`. For each seed, `sentiment` is trained on other labelled rows for at most `--each`
minutes, from nothing and from the language model, and measured on the second file. The language
model is kept in `--run`, and trained no more where it is there.

With `--sentences`, what is labelled and measured on are the last sentences of reviews of the second
file whose rating is not in the middle: short texts, and labels that not every one of them shows.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import apps
from apps import environment
from benchmarks.machine import about_machine, sentence

_WORDS = range(8, 41)
_MEASURED = 3_000
_SETTINGS = {"tokens": "word", "lower": True, "vocabulary": 30_000}


def main() -> None:
    """Print accuracy with and without pretraining, seed by seed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--labelled", type=int, default=1000)
    parser.add_argument("--sentences", action="store_true")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--each", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--run", type=Path, default=Path("runs/pretraining"))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    environment.import_tensorflow_quietly()
    found = measured(options)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{sentence(about_machine('tensorflow'))}\n")
    print("| seed | from nothing | from the language model | bag of words |")
    print("|---|---|---|---|")
    for row in found["seeds"]:
        figures = (row[name] for name in ("nothing", "language", "bag_of_words"))
        print(f"| {row['seed']} | {' | '.join(f'{figure:.4f}' for figure in figures)} |")
    gains = [row["language"] - row["nothing"] for row in found["seeds"]]
    print(
        f"\nGain {np.mean(gains):.4f}, perplexity of the language model {found['perplexity']:.1f}"
    )


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """The language model's perplexity on held-out plain text, and accuracies by seed."""
    rows = list(_rows(options.folder / "train.jsonl.gz"))
    order = np.random.default_rng(0).permutation(len(rows))
    aside = 0 if options.sentences else options.labelled * options.seeds
    labelled = [rows[row] for row in order[:aside]]
    plain = [{"text": rows[row]["text"]} for row in order[aside:]]
    test: Any = options.folder / "test.jsonl.gz"
    if options.sentences:
        labelled = list(_last_sentences(_rows(test)))
        np.random.default_rng(0).shuffle(labelled)
        test, labelled = labelled[:_MEASURED], labelled[_MEASURED:]
    language = options.run / "language"
    if not (language / "metrics.json").is_file():
        minutes = options.minutes
        apps.train("generation", plain, run=language, minutes=minutes, **_SETTINGS)
    found = []
    for seed in range(options.seeds):
        chosen = labelled[seed * options.labelled : (seed + 1) * options.labelled]
        taught = [{name: row[name] for name in ("text", "label")} for row in chosen]
        figures: dict[str, Any] = {"seed": seed}
        for name, settings in (("nothing", {}), ("language", {"pretrained": str(language)})):
            with tempfile.TemporaryDirectory() as folder:
                run = apps.train(
                    "sentiment",
                    taught,
                    run=Path(folder) / "run",
                    seed=seed,
                    minutes=options.each,
                    **settings,
                )
                metrics = run.evaluate(test)
            figures[name] = metrics["accuracy"]
            figures["bag_of_words"] = metrics["baselines"]["bag_of_words"]["accuracy"]
        found.append(figures)
    perplexity = apps.load(language).metrics["metrics"]["perplexity"]
    return {"seeds": found, "perplexity": perplexity}


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def _last_sentences(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        if 3 < row["rating"] < 8:
            continue
        text = re.sub(r"<br\s*/?>", " ", row["text"])
        sentences = [part.strip() for part in re.split(r"(?<=[.!?])\s+", text)]
        usable = [part for part in sentences if len(part.split()) in _WORDS]
        if len(usable) > 1:
            yield {"text": usable[-1], "label": row["label"]}


if __name__ == "__main__":
    main()
