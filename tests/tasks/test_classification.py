"""Classification: its metrics beside scikit-learn's, and how much of an answer is kept."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from apps.configuration import ApplicationConfig
from apps.tasks.classification import ClassAnswers, Classification


def classification(classes: int) -> Classification:
    labels = [f"class {number}" for number in range(classes)]
    answers = {"answers": ClassAnswers(labels, name="answers")}
    return Classification("label").bound(ApplicationConfig(), 0, answers)


def test_metrics_are_scikit_learns() -> None:
    draw = np.random.default_rng(0)
    # The last class does not occur, the one before is never answered.
    truth = draw.integers(0, 4, 200).astype(np.int32)
    logits = draw.standard_normal((200, 5))
    logits[:, 3] = -9
    task = classification(5)
    statistics = task.statistics({"target": truth}, logits)
    assert {array.shape for array in statistics.values()} == {(200,)}
    found = task.measure(statistics)
    predicted = logits.argmax(-1)
    odds = np.exp(logits)
    shares = odds / odds.sum(-1, keepdims=True)
    assert found["accuracy"] == pytest.approx(accuracy_score(truth, predicted))
    present = np.unique(truth)
    macro = f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
    assert found["f1"] == pytest.approx(macro)
    assert found["cross_entropy"] == pytest.approx(log_loss(truth, shares, labels=range(5)))


@pytest.mark.parametrize("truth", ["class 3", "class 49"])
def test_of_many_classes_the_likeliest_and_the_true_one_are_kept(truth: str) -> None:
    task = classification(50)
    odds = np.random.default_rng(1).permutation(50)[::-1] + 1.0
    odds[49] = 0.5
    probabilities = {
        label: float(p) for label, p in zip(task.labels, odds / sum(odds), strict=True)
    }
    answer = {"label": max(probabilities, key=probabilities.__getitem__)}
    kept = task.kept({**answer, "probabilities": probabilities}, truth)
    likeliest = sorted(probabilities, key=probabilities.__getitem__, reverse=True)[:20]
    expected = {label: probabilities[label] for label in {*likeliest, truth}}
    assert kept == {**answer, "probabilities": expected}


def test_of_few_classes_all_are_kept() -> None:
    probabilities = dict.fromkeys(classification(20).labels, 0.05)
    answer = {"label": "class 0", "probabilities": probabilities}
    assert classification(20).kept(answer, "class 7") == answer
