"""How often a language model knows whether a verb is singular, some clauses behind its noun.

    python -m benchmarks.agreement RUN [--count 200] [--seed 1] [--json]

RUN is a run of `generation` on its sample. Of sentences that the sample does not hold, it tells
which form of the verb the model finds likelier, the one that agrees with the noun or the other one;
the same of the n-grams beside it. Half would be right by chance.
"""

from __future__ import annotations

import argparse
import itertools
import json
from typing import Any

import numpy as np

import apps
from apps import environment
from apps.data import Examples
from apps.text.sample_prose import agreements

CLAUSES = (0, 1, 2, 3)


def main() -> None:
    """Print the share of right verbs by the number of clauses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("--count", type=int, default=200, help="sentences of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    environment.import_tensorflow_quietly()
    found = shares(apps.load(options.run), options.count, options.seed)
    if options.json:
        print(json.dumps(found))
        return
    names = list(found)
    print(f"| clauses between | {' | '.join(names)} |")
    print(f"|---|{'---|' * len(names)}")
    for clauses in CLAUSES:
        print(f"| {clauses} | {' | '.join(f'{found[name][clauses]:.3f}' for name in names)} |")


def shares(run: Any, count: int, seed: int) -> dict[str, list[float]]:
    """Of the model and of each baseline, the share of right verbs for each number of clauses."""
    asked = [one for clauses in CLAUSES for one in agreements(seed, count, clauses)]
    texts = [f"{one.prefix}{verb}." for one in asked for verb in (one.right, one.wrong)]
    rows = [{"text": text, "max_tokens": 0} for text in texts]
    nats = {"model": [sum(answer["prompt_nats"]) for answer in run.predict(rows)]}
    tokens = run.application.adapted["tokens"]
    ids, offsets = tokens.flat(texts)
    whole = [ids[a:b] for a, b in itertools.pairwise(offsets)]
    units = Examples({"ids": whole, "context": [ids[:0]] * len(whole)}, texts, "sentences")
    for name, baseline in run.baselines().items():
        nats[name] = (-baseline.predict(units)["log_probs"].sum(1)).tolist()
    return {name: _right(values) for name, values in nats.items()}


def _right(nats: list[float]) -> list[float]:
    right, wrong = np.array(nats).reshape(-1, 2).T
    return (right < wrong).reshape(len(CLAUSES), -1).mean(1).tolist()


if __name__ == "__main__":
    main()
