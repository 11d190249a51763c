"""What a finished run holds: figures that are undefined, answers of so many units and no more."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from toy import WORDS, Toy, rows

import apps
from apps import catalogue
from apps.components import Adaptation
from apps.data import Examples
from apps.report.quantities import Metric
from apps.run import Run
from apps.tasks.classification import Classification

SHOWN = 10


class Undefined(Classification):
    """Measures something more, which never has a value."""

    metrics = (*Classification.metrics, Metric("nothing", "nothing at all", "lower"))

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {**super().measure(statistics), "nothing": math.nan}


class Told(Toy):
    """Is told the answers while it trains, so that it learns nothing."""

    name = "told"
    task = Undefined("label")

    def adapt(self, examples: Examples) -> Adaptation:
        truth = [self.labels.index(label) for label in examples["label"]]
        told = 99 * np.eye(len(WORDS), dtype=np.float32)[truth]
        return Adaptation(super().adapt(examples), columns={"told": told})

    def forward(self, batch: Mapping[str, Any]) -> Any:
        return super().forward(batch) + batch["told"]


def records(number: int, seed: int) -> list[dict[str, str]]:
    examples = rows(number, seed)
    pairs = zip(examples["text"], examples["label"], strict=True)
    return [{"text": text, "label": label} for text, label in pairs]


VALIDATION = records(40, seed=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    with pytest.MonkeyPatch.context() as patch:
        entry = catalogue.Entry(f"{__name__}:Told", "which word is more frequent")
        patch.setitem(catalogue.APPLICATIONS, "told", entry)
        patch.setattr(Classification, "most_predictions", SHOWN)
        yield apps.train(
            "told",
            records(96, seed=0),
            validation=VALIDATION,
            run=tmp_path_factory.mktemp("told") / "run",
            log=lambda line: None,
            epochs=1,
        )


def test_an_undefined_figure_is_null(run: Run, answered: Callable[..., str], tmp_path: Any) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    file = tmp_path / "rows.jsonl"
    file.write_text("".join(f"{json.dumps(row)}\n" for row in VALIDATION))
    written = json.loads(run.files.metrics.read_text(), parse_constant=refuse)
    printed = answered("evaluate", run.folder, "--data", file, "--json")
    evaluated = json.loads(printed, parse_constant=refuse)
    for metrics, whole in ((written["metrics"], written), (evaluated, evaluated)):
        for figures in (metrics, whole["interval"], whole["baselines"]["majority"]):
            assert figures["nothing"] is None
            assert figures["accuracy"] is not None
    table = answered("evaluate", run.folder, "--data", file).splitlines()
    assert [line.split()[-1] for line in table[2:]] == ["–"] * 3


def test_predictions_are_those_of_units_that_are_evenly_spread(run: Run) -> None:
    chosen = np.linspace(0, len(VALIDATION) - 1, SHOWN).round().astype(int)
    predictions = [json.loads(line) for line in run.files.predictions.open()]
    assert run.metrics["examples"]["validation"] == len(VALIDATION) > SHOWN
    assert [row["truth"] for row in predictions] == [VALIDATION[n]["label"] for n in chosen]
    assert [row["input"] for row in predictions] == [VALIDATION[n]["text"] for n in chosen]
    answers = run.predict(VALIDATION)
    for row, number in zip(predictions, chosen, strict=True):
        answer = answers[number]
        assert row["probabilities"] == pytest.approx(answer["probabilities"], abs=2e-6)
    hits = [a["label"] == row["label"] for a, row in zip(answers, VALIDATION, strict=True)]
    assert run.metrics["metrics"]["accuracy"] == pytest.approx(np.mean(hits))


def test_what_only_training_is_told_does_not_help_in_measuring(run: Run) -> None:
    header, last = (line.split(",") for line in run.files.history.read_text().splitlines())
    epoch = dict(zip(header, map(float, last), strict=True))
    assert epoch["loss"] < 1e-6
    assert epoch["val_cross_entropy"] > 0.1
    assert run.metrics["metrics"]["cross_entropy"] == pytest.approx(epoch["val_cross_entropy"])
    assert run.evaluate(VALIDATION)["cross_entropy"] == pytest.approx(epoch["val_cross_entropy"])
