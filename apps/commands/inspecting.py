"""The command that looks into a run's LSTMs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import apps
from apps import strict_json
from apps.atomic import write_atomically
from apps.errors import UserError


def add_to(commands: Any) -> None:
    """Add the command to the parser's subparsers."""
    inspect = commands.add_parser(
        "inspect", help="gates and cells of the LSTMs over an input, and what its answer comes from"
    )
    inspect.add_argument("run", metavar="RUN")
    inspect.add_argument("input", metavar="INPUT", help="an input, or a file with one")
    inspect.add_argument(
        "--out", default="inspect.png", metavar="F.png", help="the page lies beside; inspect.png"
    )
    inspect.add_argument("--json", action="store_true", help="print the numbers as one JSON object")
    inspect.set_defaults(run_command=_inspect)


def _inspect(options: argparse.Namespace) -> None:
    from apps.inspection.looking import look
    from apps.inspection.page import page_of
    from apps.inspection.picture import draw

    out = Path(options.out)
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: give a name that ends in .png")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}; make it first")
    run = apps.load(options.run)
    column = next(iter(run.application.input.columns.values()))
    # A table of series is a source, any other input stands for itself.
    source = column.kind.read(options.input, {}) is not None
    seen = look(run, options.input if source else [options.input])
    picture = draw(seen)
    page = page_of(seen, picture, run.folder.name).encode("utf-8", errors="replace")
    write_atomically(out, lambda stream: stream.write(picture))
    write_atomically(out.with_suffix(".html"), lambda stream: stream.write(page))
    if not options.json:
        print(out)
        print(out.with_suffix(".html"))
        return
    layers = [
        {
            "name": gates.name,
            "half_lives": gates.half_lives.tolist(),
            **{name: getattr(gates, name).tolist() for name in ("input", "forget", "output")},
            "cell": gates.cell.tolist(),
        }
        for gates in seen.gates
    ]
    shares = None if seen.attribution is None else seen.attribution.tolist()
    print(
        strict_json.dumps(
            {
                "answer": seen.answer,
                "steps": list(seen.steps),
                "attribution": shares,
                "layers": layers,
            }
        )
    )
