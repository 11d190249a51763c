"""What an error is told as, in one line."""

from __future__ import annotations

import argparse
import ast
import dataclasses
import re
from pathlib import Path

import pytest

from apps import __main__ as command_line
from apps import catalogue
from apps.commands import streaming
from apps.errors import UserError, cause_of
from tuning import __main__ as tuning_line

ROOT = Path(__file__).parents[1]


def chained(*errors: Exception) -> Exception:
    """The last of the errors, each raised while the one before was handled."""
    found: Exception | None = None
    for error in errors:
        try:
            try:
                if found is not None:
                    raise found
            finally:
                raise error
        except Exception as caught:
            found = caught
    assert found is not None
    return found


CAUSES = {
    "innermost": (
        [OSError("no space left"), ValueError("layer 'a' cannot be made\nconfig={…}")],
        "OSError: no space left",
    ),
    "a key alone says nothing": (
        [KeyError("kernel"), ValueError("the layer has no kernel")],
        "ValueError: the layer has no kernel",
    ),
    "Keras, at the end": (
        [
            TypeError(
                "<class 'Dense'> failed.\n\nconfig={'a': 1}.\n\nException encountered: no unit"
            )
        ],
        "TypeError: no unit",
    ),
    "Keras, in a call": (
        [
            ValueError(
                "Exception encountered when calling LSTM.call().\n\n\x1b[1mbad\x1b[0m\n\nA: b"
            )
        ],
        "ValueError: bad",
    ),
    "nothing said": ([ValueError()], "ValueError"),
}


@pytest.mark.parametrize(("errors", "told"), CAUSES.values(), ids=CAUSES)
def test_the_innermost_cause_is_told(errors, told) -> None:
    assert cause_of(chained(*errors)) == told


def test_a_cause_has_a_limit_and_one_line() -> None:
    told = cause_of(ValueError("word \n" * 1000), 20)
    assert told == "ValueError: word word word word…"
    assert UserError("a\nb").args == ("a b",)


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                found |= options(inner)
    return found


def test_options_that_messages_name_exist() -> None:
    parsers = [command_line._parser(), streaming._parser()]
    parsers += [tuning_line.search_parser(), tuning_line.show_parser(), tuning_line.worker_parser()]
    known = set().union(*map(options, parsers))
    # Options of a stream come from its input and task.
    for name in catalogue.APPLICATIONS:
        kind = catalogue.load(name)
        for part in (kind.input, kind.task):
            known |= {
                "--" + one.name.replace("_", "-") for one in dataclasses.fields(part.stream_options)
            }
    wrong = []
    for file in [*ROOT.glob("apps/**/*.py"), *ROOT.glob("tuning/**/*.py")]:
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "id", "").endswith("Error"):
                words = " ".join(
                    node.value
                    for argument in call.args
                    for node in ast.walk(argument)
                    if isinstance(node, ast.Constant) and isinstance(node.value, str)
                )
                named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", words))
                wrong += [f"{file}:{call.lineno} {option}" for option in named - known]
    assert wrong == []
