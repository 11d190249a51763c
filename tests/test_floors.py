"""The house stands: a file imports only from floors below its own, and none in circles."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
# From the ground up; rooms of one floor know nothing of one another. `apps` and `apps.catalogue`
# name applications in texts and import them when they are asked for.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("apps.errors",),
    (
        *("apps.environment", "apps.configuration", "apps.atomic", "apps.compilation"),
        *("apps.answers", "apps.sampling", "apps.strict_json", "apps.threads"),
    ),
    ("apps.process",),
    ("apps.catalogue",),
    ("apps.layers", "apps.data"),
    ("apps.report", "apps.signatures", "apps.following", "apps.page_field"),
    ("apps.components",),
    ("apps.composition",),
    ("apps.application",),
    ("apps.inputs", "apps.tasks"),
    ("apps.speech", "apps.video", "apps.text", "apps.timeseries"),
    ("apps.training",),
    ("apps.export",),
    ("apps.streams", "apps.serving", "apps.inspection", "apps.comparison"),
    ("apps.run", "apps.each_run"),
    ("apps",),
    ("apps.commands", "tuning"),
    ("apps.__main__",),
)
APPLICATIONS = {"apps.speech", "apps.video", "apps.text", "apps.timeseries"}


def modules() -> dict[str, Path]:
    """Every module of the packages by its name."""
    found = {}
    for package in ("apps", "tuning"):
        for file in sorted((ROOT / package).rglob("*.py")):
            parts = file.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(name: str, file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules that a file imports anywhere, in functions and for types too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            assert node.module is not None
            assert not node.level, f"{name}: relative import"
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            deeper = [module for module in inner if module in known]
            yield from deeper
            if len(deeper) < len(inner):
                yield node.module


def room(module: str) -> str:
    """The room that a module belongs to: the longest name of a floor that it begins with."""
    names = [name for floor in FLOORS for name in floor]
    own = [n for n in names if n != "apps" and (module == n or module.startswith(f"{n}."))]
    assert own or module == "apps", f"{module}: on no floor; say on which one it stands"
    return max(own, key=len) if own else "apps"


def level(module: str) -> int:
    return next(number for number, floor in enumerate(FLOORS) if room(module) in floor)


KNOWN = modules()
EDGES = {name: set(imports(name, file, KNOWN)) - {name} for name, file in KNOWN.items()}


def test_imports_lead_down() -> None:
    wrong = [
        f"{name} imports {other}"
        for name, others in EDGES.items()
        for other in sorted(others)
        # `import apps` and `from apps import environment` are how everybody reaches the ground.
        if other != "apps" and room(name) != room(other) and level(other) >= level(name)
    ]
    assert wrong == []


def test_only_the_top_uses_the_python_api() -> None:
    """`apps.train` and `apps.load` stand on everything below."""
    users = {name for name, others in EDGES.items() if "apps" in others}
    assert {name for name in users if level(name) <= level("apps")} - {"apps"} == set()


def test_nothing_names_an_application_but_the_catalogue() -> None:
    """Nothing imports one; they are found by the texts in the catalogue."""
    wrong = [
        f"{name} imports {other}"
        for name, others in EDGES.items()
        for other in others
        if room(other) in APPLICATIONS and room(name) != room(other)
    ]
    assert wrong == []


def test_there_are_no_circles() -> None:
    state: dict[str, int] = {}
    circles: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        state[name] = 1
        for other in sorted(EDGES[name]):
            # A package's face hands names on; importing it is importing them.
            if state.get(other) == 1:
                circles.append(" → ".join([*path[path.index(other) :], other]))
            elif other not in state:
                visit(other, (*path, other))
        state[name] = 2

    for name in EDGES:
        if name not in state:
            visit(name, (name,))
    assert circles == []
