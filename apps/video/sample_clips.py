"""Rendered clips whose classes come in pairs: one is the other played backwards.

No frame tells the two of a pair apart, and nor do all frames of a clip without their order: such a
model is right in one of two cases at best.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from apps.data import Examples
from apps.data.videos.video import Video

ROWS, FRAMES, SIZE, RATE = 640, 24, 48, 12.0

# The share of a movement that is done in each frame, 0 to 1, to the strength of its shape at each
# pixel, 0 to 1.
Draw = Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray]


def sample_clips(seed: int, rows: int = ROWS) -> Examples:
    """Clips of eight classes, with the columns `video` and `label`.

    Size, place, colour, texture, tempo, the shaking of the camera, light and noise vary.

    Args:
        seed: seeds everything.
        rows: how many.
    """
    draw = np.random.default_rng([seed, 3])
    names = [name for pair in _PAIRS for name in pair]
    labels = [names[row % len(names)] for row in range(rows)]
    clips = [Video.of(_clip(label, draw), RATE) for label in labels]
    return Examples(
        {"video": clips, "label": labels},
        [f"rendered clip {row + 1}" for row in range(rows)],
        "rendered clips",
    )


def _clip(label: str, draw: np.random.Generator) -> np.ndarray:
    """Frames `(FRAMES, SIZE, SIZE, 3)` uint8."""
    pair = next(pair for pair in _PAIRS if label in pair)
    # Both of a pair come from one distribution of films; one of them is played backwards.
    film = _film(_PAIRS[pair], draw)
    return film if label == pair[0] else film[::-1]


def _film(shape: Draw, draw: np.random.Generator) -> np.ndarray:
    scale, tilt = draw.uniform(0.6, 1.1), draw.uniform(-0.25, 0.25)
    centre = draw.uniform(-0.25, 0.25, 2)
    mirror = draw.choice([-1, 1])
    ground, figure = _texture(draw), _texture(draw, fine=True)
    colour = draw.uniform(0.15, 0.85, 3)
    # The figure stands out from the ground, lighter or darker.
    other = np.clip(colour + draw.choice([-1, 1]) * draw.uniform(0.25, 0.6, 3), 0, 1)
    begin = draw.uniform(0.0, 0.35)
    end = draw.uniform(max(begin + 0.3, 0.65), 1.0)
    shake = np.cumsum(draw.normal(0, 0.006, (FRAMES, 2)), 0)
    light = 1 + draw.uniform(-0.2, 0.2) * np.sin(np.linspace(0, draw.uniform(1, 6), FRAMES))
    noise = draw.uniform(0.0, 0.06)
    share = np.clip((np.arange(FRAMES) / (FRAMES - 1) - begin) / (end - begin), 0, 1)
    share = share * share * (3 - 2 * share)
    y, x = _places(scale, tilt, centre + shake, mirror)
    alpha = _float32(shape(share[:, None, None], x, y, scale))[..., None]
    moved = np.stack([_shifted(ground, shift) for shift in shake])
    back = _float32(colour) * _float32(0.6 + 0.8 * moved)[..., None]
    front = _float32(other) * _float32(0.8 + 0.4 * figure)[..., None]
    frames = (back + (front - back) * alpha) * _float32(light)[:, None, None, None]
    frames += np.float32(noise) * draw.standard_normal(frames.shape, np.float32)
    return np.clip(np.rint(frames * 255), 0, 255).astype(np.uint8)


def _float32(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float32)


def _places(
    scale: float, tilt: float, centres: np.ndarray, mirror: int
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels in the figure's own frame, about -1 to 1; y points down."""
    axis = (np.arange(SIZE) + 0.5) / SIZE * 2 - 1
    down, right = centres.T[:, :, None, None]
    y, x = (axis[:, None] - down) / scale, (axis - right) / scale * mirror
    return y * np.cos(tilt) - x * np.sin(tilt), x * np.cos(tilt) + y * np.sin(tilt)


def _texture(draw: np.random.Generator, *, fine: bool = False) -> np.ndarray:
    """Smooth random shades, `(SIZE, SIZE)`, 0 to 1."""
    cells = 13 if fine else 6
    grid = draw.random((cells, cells))
    at = np.linspace(0, cells - 1.001, SIZE)
    low, part = at.astype(int), at % 1
    rows = grid[low] * (1 - part)[:, None] + grid[low + 1] * part[:, None]
    return rows[:, low] * (1 - part) + rows[:, low + 1] * part


def _shifted(texture: np.ndarray, shift: np.ndarray) -> np.ndarray:
    down, right = np.rint(shift * SIZE / 2).astype(int)
    return np.roll(texture, (down, right), (0, 1))


def _edge(distance: np.ndarray, scale: float) -> np.ndarray:
    """1 inside, 0 outside, soft over a pixel; distances are negative inside."""
    return np.clip(0.5 - distance * scale * SIZE / 2, 0, 1)


def _disc(x: np.ndarray, y: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    return np.hypot(x, y) - radius


def _box(
    x: np.ndarray, y: np.ndarray, wide: np.ndarray | float, high: np.ndarray | float
) -> np.ndarray:
    return np.maximum(np.abs(x) - wide, np.abs(y) - high)


def _sitting(share: np.ndarray, x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """A figure of head, trunk and legs, whose legs shorten as it sits down."""
    legs = 0.45 * (1 - 0.75 * share)
    hip = 0.7 - legs
    knee = 0.3 * share
    figure = _disc(x, y - (hip - 0.75), 0.17)
    figure = np.minimum(figure, _box(x, y - (hip - 0.28), 0.16, 0.3))
    figure = np.minimum(figure, _box(x - knee / 2, y - hip, 0.1 + knee / 2, 0.08))
    figure = np.minimum(figure, _box(x - knee, y - (hip + legs / 2), 0.08, legs / 2))
    return _edge(figure, scale)


def _opening(share: np.ndarray, x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """Two wings of a door that slide apart."""
    gap = 0.05 + 0.5 * share
    wing = 0.6 - 0.45 * share
    return _edge(_box(np.abs(x) - (gap + wing) / 2, y, (wing - gap / 4) / 2, 0.7), scale)


def _approaching(share: np.ndarray, x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """A disc with a hole that grows."""
    radius = 0.15 + 0.6 * share
    ring = np.maximum(_disc(x, y, radius), -_disc(x, y, 0.4 * radius))
    return _edge(ring, scale)


def _lifting(share: np.ndarray, x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    """An arm that turns up from a post, with a load at its end."""
    post = _box(x + 0.6, y - 0.2, 0.09, 0.65)
    angle = 0.8 - 1.5 * share
    along = (x + 0.6) * np.cos(angle) + (y + 0.1) * np.sin(angle)
    across = (y + 0.1) * np.cos(angle) - (x + 0.6) * np.sin(angle)
    arm = _box(along - 0.5, across, 0.5, 0.07)
    load = _box(along - 1.0, across, 0.17, 0.17)
    return _edge(np.minimum(np.minimum(post, arm), load), scale)


_PAIRS: dict[tuple[str, str], Draw] = {
    ("sit down", "stand up"): _sitting,
    ("open", "close"): _opening,
    ("approach", "leave"): _approaching,
    ("lift", "lower"): _lifting,
}
