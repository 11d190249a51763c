"""A look as a picture: attributions above, gates and cells of each LSTM below."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np

from apps.inspection.looking import Look

_LAYERS, _NAMED = 3, 60
_WIDTH, _ROW = 12.0, 1.5
_PARTS = (("input gate", "input"), ("forget gate", "forget"), ("output gate", "output"))


def draw(seen: Look) -> bytes:
    """The PNG.

    Units are sorted by the half-life of their cells, those that remember longest at the top.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = seen.gates[:_LAYERS]
    rows = 4 * len(shown) + (seen.attribution is not None)
    figure = Figure(figsize=(_WIDTH, _ROW * rows + 1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, squeeze=False)[:, 0]
    place = 0
    if seen.attribution is not None:
        _bars(axes[0], seen)
        place = 1
    for gates in shown:
        order = np.argsort(-gates.half_lives, kind="stable")
        for title, name in _PARTS:
            values = getattr(gates, name)[:, order].T
            _heat(figure, axes[place], values, f"{gates.name}: {title}", (0.0, 1.0), "viridis")
            place += 1
        most = max(float(np.abs(gates.cell).max(initial=0.0)), 1e-6)
        cells = gates.cell[:, order].T
        _heat(figure, axes[place], cells, f"{gates.name}: cell state", (-most, most), "RdBu_r")
        place += 1
    _label_steps(axes[-1], seen)
    stream = io.BytesIO()
    # A date in it would make two pictures of one look differ.
    with warnings.catch_warnings():
        # Signs that no font here has are boxes; the page shows them.
        warnings.filterwarnings("ignore", "Glyph")
        figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()


def _bars(axes: Any, seen: Look) -> None:
    values = np.asarray(seen.attribution)
    colors = ["#b2182b" if value < 0 else "#2166ac" for value in values]
    axes.bar(np.arange(len(values)), values, color=colors)
    axes.axhline(0.0, color="0.4", linewidth=0.8)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.set_title("What the answer comes from (integrated gradients)", fontsize=10, loc="left")
    _label_steps(axes, seen)


def _heat(
    figure: Any, axes: Any, values: np.ndarray, title: str, bounds: tuple[float, float], colors: str
) -> None:
    image = axes.imshow(
        values, aspect="auto", interpolation="nearest", vmin=bounds[0], vmax=bounds[1], cmap=colors
    )
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_ylabel("unit", fontsize=8)
    axes.set_yticks([])
    axes.tick_params(labelbottom=False)
    figure.colorbar(image, ax=axes, pad=0.01, fraction=0.02)


def _label_steps(axes: Any, seen: Look) -> None:
    count = len(seen.steps)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _NAMED)).round().astype(int))
    axes.tick_params(labelbottom=True)
    axes.set_xticks(chosen)
    # A dollar sign in a word does not begin a formula.
    names = [seen.steps[step].replace("$", r"\$")[:20] for step in chosen]
    axes.set_xticklabels(names, rotation=90, fontsize=8)
