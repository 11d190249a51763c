"""An experiment: a training, what it is measured on, and the figures that stand beside it.

In all arguments `DATA` is the data folder, `MADE` a folder with what `made` has written, and `RUN`
the run folder.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_LONG = 20.0  # Minutes from which one seed has to do.


@dataclass(frozen=True)
class Published:
    """A figure of somebody else as it was written: one number, or the two ends of a range."""

    label: str
    figures: tuple[str, ...]

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers without the words before them."""
        return tuple(float(figure.split()[-1]) for figure in self.figures)


@dataclass(frozen=True)
class Evaluation:
    """What is measured on, in words, and the arguments of `python -m apps evaluate RUN`."""

    on: str
    arguments: str


@dataclass(frozen=True)
class Experiment:
    """A training and its evaluations.

    Attributes:
        name: of its files.
        application: the application, by its name on the command line.
        title: what it is, in words; a row of a table where the experiment has a `group`.
        train: arguments of `python -m apps train APPLICATION`; None where `module` trains too.
        evaluations: the first one is what tables are about.
        metric: the metric that counts, by name.
        minutes: how long one seed takes, about.
        ends: what ends the training.
        more: further metrics that tables show.
        published: figures of others in the same metric.
        bar: the figure that was to be reached; of the mean where the group is averaged.
        group: title of the table that it shares with others.
        averaged: whether the table ends with the mean of its rows.
        headline: whether it stands for its application in README.md.
        module: measures in place of `apps evaluate` and takes `--json` and `--seed`.
        made: writes files that are needed, given the data folder and theirs.
        needs: what `made` reads, below the data folder.
    """

    name: str
    application: str
    title: str
    train: str | None
    evaluations: tuple[Evaluation, ...]
    metric: str
    minutes: float
    ends: Literal["minutes", "epochs"] = "epochs"
    more: tuple[str, ...] = ()
    published: tuple[Published, ...] = ()
    bar: float | None = None
    group: str = ""
    averaged: bool = False
    headline: bool = False
    module: str = ""
    made: Callable[[Path, Path], None] | None = None
    needs: tuple[str, ...] = ()

    @property
    def seeds(self) -> int:
        """How many seeds are run: three where one takes less than 20 minutes."""
        return 3 if self.minutes < _LONG else 1

    @property
    def data(self) -> tuple[str, ...]:
        """The files and folders that must be there, below the data folder."""
        texts = [self.train or "", *(one.arguments for one in self.evaluations)]
        found = re.findall(r"DATA/([^\s,]+)", " ".join(texts))
        return tuple(dict.fromkeys([*found, *self.needs]))

    def commands(self, seed: int) -> list[list[str]]:
        """The arguments of `python`, command by command; the training comes first, if any."""
        if self.module:
            folder = shlex.split(self.evaluations[0].arguments)
            return [["-m", self.module, *folder, "--seed", str(seed), "--json"]]
        assert self.train is not None
        words = [*shlex.split(self.train), "--seed", str(seed), "--run", "RUN"]
        found = [["-m", "apps", "train", self.application, *words]]
        for one in self.evaluations:
            words = [*shlex.split(one.arguments), "--json"]
            found.append(["-m", "apps", "evaluate", "RUN", *words])
        return found
