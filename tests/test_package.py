"""The package as somebody installs it: a wheel in an environment that has no checkout."""

from __future__ import annotations

import ast
import json
import os
import shutil
import site
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from email.message import Message
from email.parser import Parser
from importlib import metadata
from pathlib import Path

import pytest

import apps

ROOT = Path(apps.__file__).parents[1]
PACKAGES = ("apps", "tuning")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout: building leaves folders behind where it builds."""
    folder = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns(".*"))
    for name in ("pyproject.toml", "README.md", "requirements.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def description(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment: the wheel, and what is installed here.

    It lies within the repository of some other project.
    """
    project = tmp_path_factory.mktemp("project")
    if shutil.which("git"):
        other = ["-c", "user.name=Someone", "-c", "user.email=someone@example.org"]
        subprocess.run(["git", "init", "-q"], cwd=project, check=True)
        (project / "README").write_text("Something else.\n")
        subprocess.run(["git", "add", "README"], cwd=project, check=True)
        subprocess.run(["git", *other, "commit", "-q", "-m", "First"], cwd=project, check=True)
    environment = project / "environment"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    _pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    (packages,) = environment.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text("\n".join(site.getsitepackages()))
    return environment / "bin"


@pytest.fixture
def run(scripts: Path, tmp_path: Path) -> Run:
    """Runs a program in a folder whose own `apps` and `tuning` are something else."""
    for name in PACKAGES:
        (tmp_path / f"{name}.py").write_text("raise ImportError('of the working folder')\n")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    # Nothing is compiled, which takes long and fills the user's cache.
    environment |= {"CC": "none", "CXX": "none"}

    def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [scripts / program, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )

    return run


def _pip(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def _succeeded(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def _files(folder: Path) -> Iterator[Path]:
    """Files of the two packages, without what Python has compiled."""
    for package in PACKAGES:
        for file in (folder / package).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                yield file


def _requirements(file: str) -> set[str]:
    lines = (line.partition("#")[0].strip() for line in (ROOT / file).read_text().splitlines())
    return {line for line in lines if line}


def _normal(requirement: str) -> str:
    return requirement.lower().replace("_", "-")


def test_the_wheel_holds_every_file_of_the_packages_and_nothing_else(
    source: Path, wheel: Path
) -> None:
    files = {file.relative_to(source).as_posix() for file in _files(source)}
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == files


def test_dependencies_are_those_of_the_requirement_files(description: Message) -> None:
    required: dict[str, set[str]] = {"": set(), 'extra == "test"': set()}
    for line in description.get_all("Requires-Dist", []):
        requirement, _, marker = map(str.strip, line.partition(";"))
        required[marker.replace("'", '"')].add(_normal(requirement))
    assert required[""] == set(map(_normal, _requirements("requirements.txt")))
    of_tests = set(map(_normal, _requirements("tests/requirements.txt")))
    assert required['extra == "test"'] == of_tests


def test_what_runs_imports_nothing_that_only_tests_install() -> None:
    imported = set()
    for file in _files(ROOT):
        for node in ast.walk(ast.parse(file.read_text())) if file.suffix == ".py" else ():
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    owners = metadata.packages_distributions()
    used = {_normal(owner) for module in imported for owner in owners.get(module, [])}
    tests = {_normal(line.partition("==")[0]) for line in _requirements("tests/requirements.txt")}
    assert "tensorflow" in used
    assert not used & tests


def test_the_scripts_run_in_any_folder(run: Run) -> None:
    listed = json.loads(_succeeded(run("lstm-apps", "list", "--json")))["applications"]
    assert {entry["name"] for entry in listed} == set(apps.APPLICATIONS)
    assert "APP" in _succeeded(run("lstm-tune", "--help"))
    refused = run("lstm-tune", "show", "none")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1), refused.stderr


def test_the_modules_run_in_any_folder(run: Run, tmp_path: Path) -> None:
    for name in PACKAGES:
        (tmp_path / f"{name}.py").unlink()
    assert _succeeded(run("python", "-m", "apps", "list", "--json"))
    assert _succeeded(run("python", "-m", "tuning", "--help"))
    found = _succeeded(run("python", "-c", "import apps, tuning; print(apps.__file__)"))
    assert "site-packages" in found


def test_workers_trials_and_the_gate_run_without_a_checkout(
    run: Run, table: Callable[..., Path], reviews: list[dict[str, str]], tmp_path: Path
) -> None:
    """The processes that a search and an export start find the installed package too."""
    settings = {"units": 4, "embedding": 4, "epochs": 1, "bidirectional": "no"}
    fixed = [word for key, value in settings.items() for word in ("--fix", f"{key}={value}")]
    small = ["--algorithm", "random", "--trials", "1", "--finalists", "1", "--seeds", "1"]
    where = ["--data", table(reviews), "--run", "search", "--export", "models", "--workers", "2"]
    _succeeded(run("lstm-tune", "sentiment", *where, *small, *fixed))
    found = json.loads(_succeeded(run("lstm-tune", "show", "search", "--json")))
    assert [trial["status"] for trial in found["trials"]] == ["COMPLETED"]
    assert (tmp_path / "models" / "sentiment" / "1" / "saved_model.pb").exists()
    environment = json.loads((tmp_path / "search" / "final" / "environment.json").read_text())
    assert environment["git_revision"].startswith("lstm-applications ")
