"""The arguments of a search, from the command line and back."""

from __future__ import annotations

from typing import Any

import pytest

from apps.errors import UserError
from tuning.__main__ import search_parser
from tuning.arguments import SearchArguments, from_options, to_options


def read(*words: str) -> SearchArguments:
    return SearchArguments.of(from_options(search_parser().parse_args(["toy", *words])))


def test_what_is_not_given_has_its_default() -> None:
    assert read() == SearchArguments() == SearchArguments.of({"minutes": None, "fix": None})


def test_options_are_read_as_what_they_stand_for() -> None:
    asked = read(
        *"--budget latency_ms=5,parameters=1e6 --budget size_mb=2 --fix units=64,32 --fix depth=2"
        " --space ngrams=0,2 --minutes 1.5 --trial-minutes 2 --trials 7 --memory 500".split(),
        "--resume",
        "--run=here",
        "--export",
    )
    assert asked == SearchArguments(
        budget={"latency_ms": "5", "parameters": "1e6", "size_mb": "2"},
        fix={"units": "64,32", "depth": "2"},
        space={"ngrams": "0,2"},
        minutes=1.5,
        trial_minutes=2.0,
        trials=7,
        memory_mb=500.0,
        resume=True,
        run="here",
        export="saved_models",
    )


def test_the_options_that_are_written_ask_for_the_same() -> None:
    asked = SearchArguments(
        data="my reviews.csv",
        columns={"text": "review", "label": "stars"},
        minutes=30.0,
        budget={"parameters": 1e6},
        fix={"units": [64, 32], "bidirectional": False},
        space={"depth": "1,2"},
        seed=3,
    )
    again = read(*to_options(asked))
    assert (again.data, again.columns) == (asked.data, "text=review,label=stars")
    assert (again.minutes, again.seed, again.space) == (30.0, 3, asked.space)
    assert again.budget == {"parameters": "1000000"}
    assert again.fix == {"units": "64,32", "bidirectional": "false"}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"tirals": 3}, "unknown argument 'tirals'; did you mean 'trials'"),
        ({"trials": 0}, "trials=0: give a whole number from 1"),
        ({"trials": 1.5}, "trials=1.5: give a whole number from 1"),
        ({"seed": -1}, "seed=-1: give a whole number from 0"),
        ({"minutes": 0.0}, "minutes=0.0: give a positive number"),
        ({"minutes": float("nan")}, "minutes=nan: give a positive number"),
        ({"trial_minutes": float("inf")}, "give a positive number"),
        ({"algorithm": "hyperbend"}, "did you mean 'hyperband'"),
        ({"strategy": "mirored"}, "did you mean 'mirrored'"),
        ({"strategy": "multiworker"}, "--workers 0 --listen HOST:PORT"),
        ({"workers": 0}, "give --listen"),
        ({"test_until": "2016"}, "name the source with --test"),
        ({"test_labels": "a.csv"}, "--test-labels: name the source with --test"),
        ({"folds": 1, "algorithm": "random"}, "folds=1: give a whole number from 2"),
        ({"folds": 3}, "take --algorithm bayesian, random or grid"),
        ({"folds": 3, "algorithm": "grid", "validation": "a.csv"}, "leave --validation out"),
        ({"resume": True}, "name the folder of the search with --run"),
    ],
)
def test_what_is_no_argument_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        SearchArguments.of(given)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fix", "units"], "--fix units: write KEY=VALUE"),
        (["--space", "=1:2"], "--space =1:2: write KEY=VALUE"),
        (["--budget", "size_mb=1,size_mb=2"], "--budget size_mb: given twice"),
    ],
)
def test_what_is_no_pair_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(*words)
