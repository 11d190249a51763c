"""An experiment that nobody runs."""

from __future__ import annotations

from benchmarks.experiment import Evaluation, Experiment

MADE_UP = Experiment(
    "made-up",
    "sentiment",
    "made-up reviews",
    "--data DATA/train.csv --epochs 2",
    (Evaluation("ten reviews", "--data DATA/test.csv"),),
    "accuracy",
    1,
)
