"""The charts of speech: spectrograms with the model's reading below, and error rates."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from apps.report.quantities import excerpt, percent
from apps.report.speech.mistakes import ErrorRate
from apps.report.speech.players import mel
from apps.report.svg import GRID, INK, MODEL, MUTED, OTHER, add_axes, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PICTURE, _TRACK, _WORDS = 120, 84, 18
_LEFT, _RIGHT, _BOTTOM = 62, 14, 40
_NARROWEST, _WIDEST = 320.0, 2600.0
_PIXELS_PER_SECOND = 60
_PIXELS_PER_LETTER = 7.0


def attention_chart(name: str, audio: Mapping[str, Any], track: Mapping[str, Any]) -> Markup:
    """Spectrogram, and on the same time axis the attention weights.

    Args:
        name: tells charts of one page apart.
        audio: what `audio_evidence` made, with a spectrogram.
        track: what `attention_track` made.

    Returns:
        An `svg` element of about 400 by 270 pixels.
    """
    weights, step = np.asarray(track["weights"], np.float64), float(track["step_seconds"])
    shown = float(audio["shown"])
    alt = f"Spectrogram of {shown:.2f} seconds"
    if weights.size:
        alt += f"; attention is highest {weights.argmax() * step:.2f} seconds after the start"
    size = (_NARROWEST + _LEFT + _RIGHT, 12 + _PICTURE + 10 + _TRACK + _BOTTOM)
    with figure(*size, name) as (drawing, svg):
        _spectrogram(add_axes(drawing, (_LEFT, _RIGHT, 12, 10 + _TRACK + _BOTTOM)), audio)
        lower = add_axes(drawing, (_LEFT, _RIGHT, 22 + _PICTURE, _BOTTOM))
        edges = np.arange(len(weights) + 1) * step
        lower.stairs(weights, edges, fill=True, color=MODEL, alpha=0.3)
        lower.stairs(weights, edges, color=MODEL, linewidth=1.4)
        lower.set_ylabel("attention")
        lower.set_ylim(0, 1.1 * weights.max() if weights.any() else 1)
        lower.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        lower.locator_params("y", nbins=3)
        _time_axis(lower, shown)
        return svg(alt)


def ctc_chart(name: str, audio: Mapping[str, Any], track: Mapping[str, Any]) -> Markup:
    """Spectrogram with the recognised words above, and on the same time axis the letters.

    Args:
        name: tells charts of one page apart.
        audio: what `audio_evidence` made, with a spectrogram.
        track: what `ctc_track` made.

    Returns:
        An `svg` element about 320 pixels high, as wide as its letters need.
    """
    tokens = [(float(time), str(text), float(p)) for time, text, p in track["tokens"]]
    blank, step = np.asarray(track["blank"], np.float64), float(track["step_seconds"])
    shown = float(audio["shown"])
    width = _plot_width(shown, sum(len(text) for _, text, _ in tokens))
    words = [(float(time), excerpt(text, 30)) for time, text in track["words"]]
    alt = f"Spectrogram of {shown:.2f} seconds; " + (
        "recognised: " + ", ".join(f"{text} at {time:.2f} s" for time, text in words)
        if words
        else "nothing was recognised"
    )
    top = 8 + 2 * _WORDS
    size = (width + _LEFT + _RIGHT, top + _PICTURE + 10 + _TRACK + _BOTTOM)
    with figure(*size, name) as (drawing, svg):
        upper = add_axes(drawing, (_LEFT, _RIGHT, top, 10 + _TRACK + _BOTTOM))
        _spectrogram(upper, audio)
        _write_words(upper, words, shown, width)
        lower = add_axes(drawing, (_LEFT, _RIGHT, top + _PICTURE + 10, _BOTTOM))
        edges = np.arange(len(blank) + 1) * step
        lower.stairs(blank, edges, fill=True, color=GRID, alpha=0.7)
        lower.stairs(blank, edges, color=MUTED, linewidth=1, linestyle=(0, (3, 2)), label="blank")
        _write_tokens(lower, tokens, shown, width)
        lower.set_ylabel("posterior")
        lower.set_ylim(0, 1.42)
        lower.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
        _time_axis(lower, shown)
        return svg(alt)


def rates_chart(
    name: str, title: str, groups: Sequence[tuple[str, ErrorRate]], overall: float
) -> Markup:
    """Error rates of groups, one below the other, each with its interval and number of rows.

    Args:
        name: tells charts of one page apart.
        title: what the rate measures.
        groups: label and rate; each has a rate.
        overall: the rate of all rows, drawn as a line.

    Returns:
        An `svg` element of about 420 pixels width.
    """
    alt = f"{title}: " + "; ".join(f"{label} {percent(rate.value)}" for label, rate in groups)
    names = [excerpt(label, 20) for label, _ in groups]
    left, count = 22 + 6.6 * max(map(len, names)), len(groups)
    with figure(300 + left, 54 + 24 * count, name) as (drawing, svg):
        axes = add_axes(drawing, (left, 118, 10, 44))
        axes.axvline(overall, color=INK, linewidth=1, linestyle=(0, (4, 3)))
        for row, (_, rate) in enumerate(groups):
            if rate.interval:
                axes.plot(rate.interval, [row, row], color=MODEL, linewidth=5, alpha=0.4)
            axes.plot([rate.value], [row], color=MODEL, marker="o", markersize=7)
            axes.annotate(
                f"{percent(rate.value)} of {rate.units:,}",
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(10, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
        axes.set_yticks(range(count), names)
        axes.tick_params(axis="y", length=0, labelsize=10, labelcolor=INK)
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        axes.spines["left"].set_visible(False)
        axes.locator_params("x", nbins=4)
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.3g} %")
        axes.set_xlabel(f"{title} (line: all together)")
        return svg(alt)


def _plot_width(seconds: float, letters: int) -> float:
    wanted = max(_PIXELS_PER_SECOND * seconds, 1.4 * _PIXELS_PER_LETTER * letters)
    return float(np.clip(wanted, _NARROWEST, _WIDEST))


def _spectrogram(axes: Axes, audio: Mapping[str, Any]) -> None:
    high = float(audio["high_hz"])
    axes.imshow(
        _picture(str(audio["spectrogram"])),
        cmap="magma",
        vmin=0,
        vmax=255,
        aspect="auto",
        interpolation="none",
        extent=(0.0, float(audio["shown"]), 0.0, float(mel(high))),
    )
    kilohertz = [k for k in (0.5, 1, 2, 4, 8) if 1000 * k <= high]
    axes.set_yticks(mel(1000 * np.array(kilohertz)), [f"{k:g}" for k in kilohertz])
    axes.set_ylabel("kHz")
    axes.tick_params(axis="x", labelbottom=False)
    axes.grid(visible=False)


def _picture(address: str) -> NDArray[np.uint8]:
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))) as image:
        return np.asarray(image.convert("L"))


def _time_axis(axes: Axes, seconds: float) -> None:
    axes.set_xlim(0, seconds)
    axes.set_xlabel("seconds")


def _write_words(
    axes: Axes, words: Sequence[tuple[float, str]], seconds: float, width: float
) -> None:
    """Write words above the picture in two lines; one that would cover another is left out."""
    free = [-np.inf, -np.inf]
    for time, text in words:
        at = time / seconds * width
        line = next((line for line in (0, 1) if free[line] <= at), None)
        if line is None:
            continue
        size = _PIXELS_PER_LETTER * len(text)
        free[line] = at + size + _PIXELS_PER_LETTER
        axes.annotate(
            text,
            (time, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 5 + _WORDS * line),
            textcoords="offset points",
            ha="left" if at + size < width else "right",
            color=INK,
            annotation_clip=False,
        )
        axes.axvline(time, color=OTHER, linewidth=1, linestyle=(0, (2, 2)))


def _write_tokens(
    axes: Axes, tokens: Sequence[tuple[float, str, float]], seconds: float, width: float
) -> None:
    """Draw a stem for each token, its text above, raised where it would cover the one before."""
    free, raised = -np.inf, False
    for time, text, p in tokens:
        shown = "␣" if text.isspace() else excerpt(text, 12)
        at, size = time / seconds * width, _PIXELS_PER_LETTER * len(shown)
        raised = at - size / 2 < free and not raised
        free = at + size / 2
        axes.vlines([time], 0, [p], color=MODEL, linewidth=1.8)
        axes.annotate(
            shown,
            (time, 1.05),
            xytext=(0, 11 if raised else 0),
            textcoords="offset points",
            ha="center",
            fontsize=10,
            color=MODEL,
        )
