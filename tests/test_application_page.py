"""docs/application.md does what it says: its code runs through the whole contract."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, MutableSequence
from pathlib import Path

import pytest
from contract import ApplicationContract, one_for_each

import apps
from apps import catalogue
from apps.application import Application
from apps.data import read

CHECKOUT = Path(__file__).parents[1]
PAGE = CHECKOUT / "docs" / "application.md"
FILES = re.compile(r"\*\*`(apps/[\w/]+\.py)`\*\*\n\n```python\n(.*?)```", re.DOTALL)
PLACES = {
    "activity": "apps.timeseries.activity:Activity",
    "likeness": "apps.text.likeness:Likeness",
}


def extended(root: Path) -> list[tuple[MutableSequence[str], str]]:
    """Lets packages find modules in folders of the same names below another root."""
    paths = []
    for folder in sorted(folder for folder in root.rglob("*") if folder.is_dir()):
        if not (folder / "__init__.py").exists():
            path = importlib.import_module(".".join(folder.relative_to(root).parts)).__path__
            path.append(str(folder))
            paths.append((path, str(folder)))
    return paths


@pytest.fixture(scope="module", autouse=True)
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The page followed: its files beside those of the package, its lines in the catalogue."""
    root = tmp_path_factory.mktemp("followed")
    for name, code in FILES.findall(PAGE.read_text(encoding="utf-8")):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code, encoding="utf-8")
        if not (CHECKOUT / name).parent.is_dir():
            (file.parent / "__init__.py").touch()
    paths = extended(root)
    catalogue.APPLICATIONS.update(
        {name: catalogue.Entry(place, "what the page says") for name, place in PLACES.items()}
    )
    yield root
    for path, folder in paths:
        path.remove(folder)
    for name in PLACES:
        del catalogue.APPLICATIONS[name]
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(root)):
            del sys.modules[name]


class PageContract(ApplicationContract):
    """Every promise of an application, kept by those of the page."""

    root: Path

    @pytest.fixture(scope="class", autouse=True)
    def remembered(self, followed: Path) -> None:
        type(self).root = followed

    @classmethod
    def imports(cls, kind: type[Application]) -> str:
        tests = str(Path(__file__).parent)
        return (
            f"import sys; sys.path.append({tests!r}); from pathlib import Path; "
            f"import test_application_page as page; page.extended(Path({str(cls.root)!r})); "
            f"import {kind.__module__}"
        )


globals().update(one_for_each(PLACES, PageContract))


def test_the_worked_example_is_short_and_beats_its_baseline(tmp_path: Path) -> None:
    code = dict(FILES.findall(PAGE.read_text(encoding="utf-8")))
    assert len(code["apps/timeseries/activity.py"].splitlines()) < 120
    assert all(len(text.splitlines()) <= 250 for text in code.values())
    run = apps.train("activity", run=tmp_path / "run", epochs=6, log=lambda line: None)
    measured = run.metrics
    assert measured["metrics"]["accuracy"] > measured["baselines"]["majority"]["accuracy"] + 0.2


def test_the_kind_of_column_reads_and_refuses() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    names: dict[str, object] = {}
    exec(next(block for block in blocks if "class Colour" in block), names)
    columns = {"paint": names["colour"]()}  # type: ignore[operator]
    examples = read([{"color": "#ff0000"}, {"color": "#000000"}], columns)
    assert list(examples["paint"]) == [(1.0, 0.0, 0.0), (0.0, 0.0, 0.0)]
    with pytest.raises(apps.UserError, match=r"row 1.*not a colour"):
        read([{"paint": "red"}], columns)
