"""A look as a page: the picture, and what each step did to the cells in numbers."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from markupsafe import Markup

from apps.inspection.gates import Gates
from apps.inspection.looking import Look
from apps.report.templates import render

_UNITS = 12


def page_of(seen: Look, picture: bytes, run: str) -> str:
    """The page, which fetches nothing.

    Args:
        seen: the look.
        picture: its PNG.
        run: name of the run.
    """
    return render(
        "inspection/page.html.j2",
        run=run,
        seen=seen,
        picture=Markup(base64.b64encode(picture).decode()),
        answer={name: _said(value) for name, value in seen.answer.items() if _short(value)},
        missing=seen.missing,
        idle=seen.attribution is not None and not np.any(seen.attribution),
        steps=_steps(seen),
        layers=[_layer(gates, seen) for gates in seen.gates],
    )


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_said(one)}" for name, one in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _short(value: Any) -> bool:
    return len(str(value)) < 200


def _steps(seen: Look) -> list[dict[str, Any]]:
    """Each step with the means of the first LSTM's gates, and what it changed in the cells."""
    gates = seen.gates[0]
    before = np.concatenate([np.zeros_like(gates.cell[:1]), gates.cell[:-1]])
    if gates.backwards:
        before = np.concatenate([gates.cell[1:], np.zeros_like(gates.cell[:1])])
    changed = np.abs(gates.cell - before).mean(1)
    shares = seen.attribution
    most = 1.0 if shares is None else max(float(np.abs(shares).max(initial=0.0)), 1e-12)
    return [
        {
            "name": name,
            "attribution": None if shares is None else float(shares[step]),
            "weight": 0.0 if shares is None else float(abs(shares[step]) / most),
            "input": float(gates.input[step].mean()),
            "forget": float(gates.forget[step].mean()),
            "output": float(gates.output[step].mean()),
            "changed": float(changed[step]),
        }
        for step, name in enumerate(seen.steps)
    ]


def _layer(gates: Gates, seen: Look) -> dict[str, Any]:
    """The half-lives of a layer's cells, and the units that remember longest."""
    lives = gates.half_lives
    longest = np.argsort(-lives, kind="stable")[:_UNITS]
    return {
        "name": gates.name,
        "median": float(np.median(lives)),
        "quantiles": [float(np.quantile(lives, share)) for share in (0.1, 0.9)],
        "longest": float(lives.max(initial=0.0)),
        "units": [
            {
                "unit": int(unit),
                "half_life": float(lives[unit]),
                "opened": seen.steps[int(gates.input[:, unit].argmax())],
                "closed": seen.steps[int(gates.forget[:, unit].argmin())],
                "forget": float(gates.forget[:, unit].min()),
            }
            for unit in longest
        ],
    }
