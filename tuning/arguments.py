"""The arguments of a search, stated once: for the command line, for Python, for its folder."""
# ruff: noqa: RUF009  (`argument` makes a field)

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from apps.errors import UserError, nearest
from apps.report.quantities import finite

ALGORITHMS = ("hyperband", "bayesian", "random", "grid")
STRATEGIES = ("mirrored", "multiworker")
CONSTRAINTS = ("latency_ms", "parameters", "size_mb")
_LARGEST = 2**31 - 1000


def argument(
    default: Any,
    help: str,
    metavar: str = "",
    *,
    least: int | None = None,
    choices: tuple[str, ...] = (),
    option: str | None = None,
    **parser: Any,
) -> Any:
    """Dataclass field of an argument of a search.

    Args:
        default: its value unless it is given; a dict stands for pairs of names and values.
        help: what `--help` prints.
        metavar: what `--help` calls the value.
        least: the least value of a whole number; other numbers have to be positive.
        choices: the words that are taken.
        option: its name on the command line, where it differs; empty where it has none.
        **parser: further arguments of `ArgumentParser.add_argument`.
    """
    about = {
        "least": least,
        "choices": choices,
        "option": option,
        "parser": {"help": help, **({"metavar": metavar} if metavar else {}), **parser},
    }
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata=about)
    return field(default=default, metadata=about)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The arguments that say what is searched; the help of each field describes it."""

    data: Any = argument("sample", "file, folder, tfds:NAME or sample", "SRC")
    validation: Any = argument(None, "a source to score on; else a part of --data", "SRC")
    test: Any = argument(None, "measure the winner on this source, once", "SRC")
    since: str | None = argument(
        None, "of series: the first time of --data that counts, or #ROWS before it", "T"
    )
    until: str | None = argument(
        None, "of series: the time that follows the last one that counts, or #ROWS before it", "T"
    )
    test_since: str | None = argument(None, "likewise of --test", "T")
    test_until: str | None = argument(None, "likewise of --test", "T")
    labels: str | None = argument(
        None, "of sensors: windows of --data and --validation that are anomalies", "FILE"
    )
    test_labels: str | None = argument(None, "likewise of --test", "FILE")
    folds: int | None = argument(
        None,
        "of series: score on so many stretches, each by a training on what was before it",
        "N",
        least=2,
        type=int,
    )
    columns: Any = argument({}, "names of the columns in the source", "NAME=COLUMN,…")
    algorithm: str = argument(
        "hyperband", "who proposes the trials", "|".join(ALGORITHMS), choices=ALGORITHMS
    )
    trials: int | None = argument(None, "at most so many trials", "N", least=1, type=int)
    minutes: float | None = argument(None, "budget of the whole command", "M", type=float)
    trial_minutes: float = argument(
        60.0, "limit of one trial; at most a quarter of --minutes", "M", type=float
    )
    objective: str = argument("", "the metric that decides", "METRIC")
    budget: dict[str, Any] = argument(
        {}, f"upper bounds of {', '.join(CONSTRAINTS)}", "NAME=BOUND,…", action="append"
    )
    fix: dict[str, Any] = argument({}, "do not search this one", "KEY=VALUE", action="append")
    space: dict[str, Any] = argument(
        {},
        "search this one in this range; also KEY=a,b,c",
        "KEY=LOW:HIGH[:log]",
        action="append",
    )
    seed: int = argument(
        0, "of proposals and trials; the finals take the numbers after it", "S", least=0, type=int
    )
    finalists: int = argument(3, "how many of the best are retrained", "N", least=0, type=int)
    seeds: int = argument(3, "how many times each of them", "N", least=0, type=int)
    strategy: str | None = argument(
        None, "trials on several devices", "|".join(STRATEGIES), choices=STRATEGIES
    )


@dataclass(frozen=True, kw_only=True)
class SearchArguments(Asked):
    """All arguments of a search: what is searched, and how this call goes about it."""

    workers: int = argument(1, "trials side by side on this machine", "N", least=0, type=int)
    listen: str | None = argument(None, "let workers of other machines join here", "HOST:PORT")
    memory_mb: float | None = argument(
        None,
        "resident memory of a trial; nine tenths of what is free unless given",
        "MB",
        option="--memory",
        type=float,
    )
    export: Any = argument(
        None,
        "write the winner as a SavedModel, to saved_models unless named",
        "DIR",
        nargs="?",
        const="saved_models",
    )
    run: Any = argument(None, "the folder of the search; searches/APP-TIME unless given", "DIR")
    resume: bool = argument(False, "go on with the search in --run", action="store_true")
    log: Callable[[str], None] | None = argument(
        None, "takes progress lines in place of the leaderboard on standard error", option=""
    )

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Self:
        """The arguments of a call; None stands for the default.

        Raises:
            UserError: an unknown name (the nearest is suggested), or a value that is not taken.
        """
        known = [one.name for one in dataclasses.fields(cls)]
        for name in given:
            if name not in known:
                raise UserError(f"unknown argument '{name}'{nearest(name, known)}")
        asked = cls(**{name: value for name, value in given.items() if value is not None})
        asked._check()
        if asked.resume and asked.run is None:
            raise UserError("--resume: name the folder of the search with --run DIR")
        if asked.test is None:
            for name in ("test_since", "test_until", "test_labels"):
                if getattr(asked, name) is not None:
                    flag = "--" + name.replace("_", "-")
                    raise UserError(f"{flag}: name the source with --test SRC")
        if asked.folds:
            asked._check_folds()
        if not asked.workers and asked.listen is None:
            raise UserError("workers=0: nobody would run a trial; give --listen HOST:PORT too")
        if asked.strategy == "multiworker" and (asked.listen is None or asked.workers):
            raise UserError(
                "strategy multiworker: give --workers 0 --listen HOST:PORT, and start a worker "
                "with one --id and a TF_CONFIG on each machine of the cluster"
            )
        return asked

    def _check_folds(self) -> None:
        if self.validation is not None:
            raise UserError("--folds: walks through --data itself; leave --validation out")
        if self.algorithm == "hyperband":
            raise UserError(
                "--folds: hyperband's trials go on where others have stopped, which folds do not; "
                "take --algorithm bayesian, random or grid"
            )
        if self.strategy is not None:
            raise UserError("--folds: trains on one device; leave --strategy out")

    def _check(self) -> None:
        """Raise UserError where a number or a word is not one that is taken."""
        for one in dataclasses.fields(self):
            value, least = getattr(self, one.name), one.metadata["least"]
            choices = one.metadata["choices"]
            if value is None:
                continue
            if choices and value not in choices:
                raise UserError(f"{value}: unknown{nearest(value, choices)}")
            whole = finite(value) and value % 1 == 0
            if least is not None and not (whole and least <= value < _LARGEST):
                raise UserError(f"{one.name}={value}: give a whole number from {least}")
            number = one.metadata["parser"].get("type") is float
            if number and not (finite(value) and 0 < value < 1e9):
                raise UserError(f"{one.name}={value}: give a positive number")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give a parser an option for each argument; what is not given is None."""
    for one in dataclasses.fields(SearchArguments):
        if option := _option(one):
            parser.add_argument(option, dest=one.name, **one.metadata["parser"])


def from_options(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments that a parser has read, by name.

    Raises:
        UserError: a pair of name and value is none, or is given twice.
    """
    found = {}
    for one in dataclasses.fields(SearchArguments):
        value = getattr(options, one.name, None)
        if isinstance(value, list):
            # The values of the others hold commas themselves.
            texts = ",".join(value).split(",") if one.name == "budget" else value
            value = _pairs(texts, _option(one))
        found[one.name] = value
    return found


def to_options(asked: Asked) -> list[str]:
    """The command line that asks for the same search, word by word."""
    words = []
    for one in dataclasses.fields(Asked):
        value, option = getattr(asked, one.name), _option(one)
        if isinstance(value, dict):
            pairs = [f"{name}={typed(part)}" for name, part in value.items()]
            # Only what may be given more than once is.
            values = pairs if "action" in one.metadata["parser"] else [",".join(pairs)]
        else:
            values = ["" if value is None else typed(value)]
        words += [word for text in values if text for word in (option, text)]
    return words


def typed(value: Any) -> str:
    """A value as the command line reads it back, to the last digit."""
    if isinstance(value, (list, tuple)):
        return ",".join(map(typed, value))
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _option(one: dataclasses.Field[Any]) -> str:
    option = one.metadata["option"]
    return f"--{one.name.replace('_', '-')}" if option is None else option


def _pairs(texts: Sequence[str], option: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not (equals and key and value):
            raise UserError(f"{option} {text}: write KEY=VALUE")
        if key in pairs:
            raise UserError(f"{option} {key}: given twice; leave one of them out")
        pairs[key] = value
    return pairs
