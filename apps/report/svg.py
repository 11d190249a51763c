"""Figures as inline SVG that takes its colours from the page, for light, dark and print."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from markupsafe import Markup

from apps.report.quantities import excerpt

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib needs fixed colours, but the page sets its own: each role is drawn in a colour that
# nothing else has, which a variable of the style sheet replaces afterwards.
INK, MUTED, GRID, MODEL, OTHER, SURFACE = (f"#0000{i:02x}" for i in range(1, 7))
_ROLES = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    MODEL: "model",
    OTHER: "other",
    SURFACE: "surface",
}
HEAT_BOUNDS = (0.0, 0.02, 0.05, 0.1, 0.25, 0.5)
RIGHT = tuple(f"#0000{0x20 + i:02x}" for i in range(len(HEAT_BOUNDS)))
WRONG = tuple(f"#0000{0x30 + i:02x}" for i in range(len(HEAT_BOUNDS)))
_ROLES |= {color: f"right-{i + 1}" for i, color in enumerate(RIGHT)}
_ROLES |= {color: f"wrong-{i + 1}" for i, color in enumerate(WRONG)}
_COLOR = re.compile(r"#0000[0-9a-f]{2}")

_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 11,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.labelsize": 11,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 10,
    "ytick.labelsize": 10,
    "legend.frameon": False,
    "legend.fontsize": 10,
    "legend.labelcolor": INK,
    "lines.linewidth": 2,
    "lines.solid_capstyle": "round",
}


def add_axes(figure: Figure, margins: tuple[float, float, float, float]) -> Axes:
    """Axes inside margins of left, right, top and bottom, in pixels."""
    width, height = figure.get_size_inches() * 72
    left, right, top, bottom = margins
    return figure.add_axes(
        (
            left / width,
            bottom / height,
            (width - left - right) / width,
            (height - top - bottom) / height,
        )
    )


@contextmanager
def figure(
    width: float, height: float, name: str
) -> Iterator[tuple[Figure, Callable[[str], Markup]]]:
    """A figure of that many pixels, and a function that makes a described `svg` element of it."""
    import matplotlib
    from matplotlib.figure import Figure

    # The salt makes identifiers equal from run to run and different from chart to chart.
    settings = {**_SETTINGS, "svg.hashsalt": name}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        # The browser draws the glyphs with its own fonts; matplotlib only places them.
        warnings.filterwarnings("ignore", message="Glyph")
        drawing = Figure(figsize=(width / 72, height / 72), dpi=72)

        def svg(alt: str) -> Markup:
            return _inline(drawing, width, height, name, alt)

        yield drawing, svg


def _inline(drawing: Figure, width: float, height: float, name: str, alt: str) -> Markup:
    file = io.BytesIO()
    empty = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    drawing.savefig(file, format="svg", metadata=empty)
    root = ElementTree.fromstring(file.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.endswith(("}style", "}metadata")):
                parent.remove(child)
    targets = set(re.findall(r"#([^\s\"')]+)", ElementTree.tostring(root, encoding="unicode")))
    prefix = re.sub(r"\W+", "-", name)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {
            key.rpartition("}")[2]: _recolor(value, prefix) if key != "id" else f"{prefix}-{value}"
            for key, value in element.attrib.items()
            if key != "id" or value in targets
        }
    root.attrib = {
        "class": "chart",
        "role": "img",
        "aria-label": excerpt(alt, 400),
        "viewBox": f"0 0 {width:g} {height:g}",
        "style": f"--width:{width:g}px",
    }
    # The serialiser has escaped every text.
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _recolor(value: str, prefix: str) -> str:
    """An attribute with roles' colours as variables and references prefixed for this chart."""
    value = re.sub(r"^#(?!0000)|(?<=url\()#", f"#{prefix}-", value)
    return _COLOR.sub(lambda match: f"var(--{_ROLES.get(match[0], 'ink')})", value)
