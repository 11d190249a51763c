"""README.md and docs/ hold together: the site builds, and commands and settings exist.

The site is built with --strict, so that every link and anchor has to hold. Commands, in blocks and
within sentences, are only read: by the parsers of the programs, and what they set by the Config of
the application. test_docs_programs.py runs programs and the first commands of some pages.
docs/application.md, which tells of an application that is not there, has test_application_page.py.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from documents import CHECKOUT, DOCS, FILES, TEXTS, all_commands, blocks, commands

from apps import catalogue
from apps.__main__ import _parsed, _parser
from apps.commands.streaming import _add_options
from apps.commands.streaming import _parser as stream_parser
from apps.data import parse_rename
from tuning.__main__ import search_parser, show_parser, worker_parser
from tuning.arguments import SearchArguments, from_options
from tuning.space import Space

LAYOUT = [
    "Bring your data",
    "Train",
    "What decides",
    "Tune",
    "Deploy",
    "What was measured",
    "Where something else serves better",
]
COMMANDS = [
    pytest.param(command, id=f"{name}: {shlex.join(command)}")
    for name in TEXTS
    if name != "application.md"
    for command in all_commands(name)
]


def test_the_site_builds_and_all_links_hold(tmp_path: Path) -> None:
    build = ["mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml"]
    built = subprocess.run(
        [sys.executable, "-m", *build, "-d", str(tmp_path / "site")],
        cwd=CHECKOUT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "sentiment.html").is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_links_hold_in_the_tree(file: Path) -> None:
    text = re.sub(r"^```.*?^```", "", TEXTS[file.name], flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s#]+)[^)\s]*\)", text):
        assert ":" in target or (file.parent / target).exists(), target


def test_pictures_are_small() -> None:
    for picture in DOCS.glob("report-*.png"):
        assert picture.stat().st_size < 300_000, picture


@pytest.mark.parametrize("name", catalogue.APPLICATIONS)
def test_pages_of_applications_are_laid_out_alike(name: str) -> None:
    page = f"{name}.md"
    assert re.findall(r"^## (.*)", TEXTS[page], re.MULTILINE) == LAYOUT
    first = commands(blocks(page, "sh")[0])
    assert [command[:2] for command in first] == [
        ["apps", verb] for verb in ("train", "evaluate", "predict")
    ]


@pytest.mark.parametrize("name", catalogue.APPLICATIONS)
def test_tables_of_settings_name_settings_and_their_defaults(name: str) -> None:
    defaults = {key: _written(value) for key, value in _config(name).defaults().items()}
    text = TEXTS[f"{name}.md"]
    for table in re.findall(r"^\| setting.*\n\|---.*\n((?:\|.*\n)+)", text, re.MULTILINE):
        for row in table.splitlines():
            cell = row.split("|")[1]
            for key, stated in re.findall(r"`(\w+)[^`]*`(?: \(([^)]*)\))?", cell):
                plain = stated.strip("`").replace(",", "").removesuffix(" s")
                assert key in defaults, f"{key} is no setting of {name}"
                if re.fullmatch(r"[\d.]+|true|false", plain) or stated.startswith("`"):
                    assert plain == defaults[key], f"{key}={defaults[key]}, not {stated}"


def _written(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _config(name: str) -> Any:
    return catalogue.load(name).Config


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_those_of_the_programs(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    module, *arguments = command
    read: dict[str, Callable[[list[str]], None]] = {"apps": _read_apps, "tuning": _read_tuning}
    try:
        if module.startswith("benchmarks."):
            _read_benchmark(module, arguments, monkeypatch)
        elif module in read:
            read[module](arguments)
    except SystemExit as end:
        if end.code:
            pytest.fail(capsys.readouterr().err)


def _read_apps(arguments: list[str]) -> None:
    if arguments[0] == "stream":
        parser = stream_parser()
        kinds = [catalogue.load(name) for name in catalogue.APPLICATIONS]
        options = {part.stream_options for k in kinds for part in (k.input, k.task)}
        for kind in options:
            with contextlib.suppress(argparse.ArgumentError):  # another one has it too
                _add_options(parser, kind)
        parser.parse_args(arguments[1:])
        return
    given = _parsed(_parser(), arguments)
    application = getattr(given, "application", None)
    if application not in catalogue.APPLICATIONS:
        return
    settings = dict(text.split("=", 1) for text in getattr(given, "settings", []))
    if getattr(given, "epochs", None):
        settings["epochs"] = given.epochs
    _config(application).from_values(settings)
    if given.columns:
        parse_rename(given.columns, catalogue.load(application).columns())


def _read_tuning(arguments: list[str]) -> None:
    others = {"show": show_parser, "worker": worker_parser}
    if arguments[0] in others:
        others[arguments[0]]().parse_args(arguments[1:])
        return
    options = search_parser().parse_args(arguments)
    asked = SearchArguments.of(from_options(options))
    Space(_config(options.application), asked.fix, asked.space)


class _ReadError(Exception):
    """A program has read its arguments, which is all that is wanted of it."""


def _read_benchmark(module: str, arguments: list[str], patch: pytest.MonkeyPatch) -> None:
    assert (CHECKOUT / f"{module.replace('.', '/')}.py").is_file()
    parse = argparse.ArgumentParser.parse_args

    def only_read(parser: Any, *given: Any) -> None:
        parse(parser, *given)
        raise _ReadError

    patch.setattr(argparse.ArgumentParser, "parse_args", only_read)
    patch.setattr(sys, "argv", [module, *arguments])
    try:
        program = importlib.import_module(module)
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is in benchmarks/requirements.txt")
    with pytest.raises(_ReadError):
        program.main()
