"""What several test folders share: small data, small settings, one trained run, a browser."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

import apps
from apps.__main__ import main
from apps.export import saved_model
from apps.export.gate import Verdict
from apps.text.sample_reviews import sample_reviews

pytest.register_assert_rewrite("asked", "contract", "browser")

Rows = list[dict[str, str]]
# Files that take minutes; whichever of two workers is free gets the next file.
_LONG = (
    "test_contract.py",
    "test_application_page.py",
    "tuning/test_search.py",
    "text/test_entities.py",
    "export/test_saved_model.py",
    "views/test_view_applications.py",
    "timeseries/test_anomalies.py",
    "training/test_each.py",
    "layers/test_lstm.py",
    "tuning/trials/test_trial_resume.py",
    "test_package.py",
    "training/test_distribution.py",
    "training/test_resume.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that no worker is left with one at the end."""

    def rank(item: pytest.Item) -> int:
        name = item.path.as_posix()
        return next((i for i, long in enumerate(_LONG) if name.endswith(long)), len(_LONG))

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Frames of clips are kept apart from those of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("APPS_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def small() -> dict[str, Any]:
    """Settings under which a training takes seconds."""
    return {"units": 8, "embedding": 8, "epochs": 3, "batch_size": 16, "learning_rate": 0.01}


@pytest.fixture(scope="session")
def reviews() -> Rows:
    """Generated reviews, enough for a few steps."""
    examples = sample_reviews(seed=3, reviews=120)
    return [
        {"text": text, "label": label}
        for text, label in zip(examples["text"], examples["label"], strict=True)
    ]


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., Path]:
    """A function that writes rows as CSV into the test's own folder and gives the path."""

    def write(rows: Sequence[Mapping[str, object]], name: str = "reviews.csv") -> Path:
        file = tmp_path / name
        with file.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.DictWriter(lines, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return file

    return write


@pytest.fixture(scope="session")
def run_of_reviews(
    tmp_path_factory: pytest.TempPathFactory, reviews: Rows, small: dict[str, Any]
) -> Path:
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("runs") / "sentiment"
    apps.train("sentiment", reviews, run=folder, seed=5, log=lambda line: None, **small)
    return folder


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports go without the gate, which takes half a minute and has seen their like elsewhere."""
    monkeypatch.setattr(saved_model, "verify", lambda folder, log: Verdict(folder, ()))


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must fail by the user's fault; gives its one line of complaint."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = int(end.code or 0)
        shown = capsys.readouterr()
        assert code == 2, shown
        assert shown.out == ""
        lines = shown.err.splitlines()
        assert len(lines) == 1, shown.err
        return lines[0]

    return run


@pytest.fixture
def answered(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that must succeed; gives what it printed."""

    def run(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Headless Chromium; tests that need it are skipped where there is none."""
    from browser import Browser

    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    page = Browser(executable, tmp_path_factory.mktemp("profile"))
    yield page
    page.close()
