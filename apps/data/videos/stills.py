"""Clips that are single pictures at an even rate: arrays, and folders of images."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from apps import environment
from apps.data.files import explained
from apps.data.videos.picture import Pictures
from apps.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
# A folder may state its rate in this file, frames a second.
_RATE_FILE = "fps.txt"
USUAL_RATE = 25.0
_RATES = (1e-3, 10_000.0)


class Stills(ABC):
    """Pictures that each stand for the same time."""

    rate: float

    @abstractmethod
    def pictures(self, places: Sequence[int], size: int) -> np.ndarray:
        """`(n, size, size, 3)` uint8, RGB, of some of them by number."""

    @abstractmethod
    def __len__(self) -> int: ...

    def pictures_at(self, times: np.ndarray, size: int) -> np.ndarray:
        """What is shown at `(n,)` times in seconds: `(n, size, size, 3)` uint8, RGB."""
        # A time that is exactly the beginning of a picture must not round down to the one before.
        places = np.clip((times * self.rate + 1e-6).astype(int), 0, len(self) - 1)
        distinct, rows = np.unique(places, return_inverse=True)
        return self.pictures(distinct.tolist(), size)[rows]


@dataclass(frozen=True, eq=False)
class Frames(Stills):
    """An array.

    Attributes:
        array: `(frames, height, width, 3)` uint8, RGB.
        rate: frames a second.
    """

    array: np.ndarray
    rate: float

    def __len__(self) -> int:
        return len(self.array)

    def pictures(self, places: Sequence[int], size: int) -> np.ndarray:
        made = Pictures(size)
        return np.stack([made.of_array(self.array[place]) for place in places])


@dataclass(frozen=True, eq=False)
class Images(Stills):
    """A folder of images, listed anew whenever it is read.

    Attributes:
        folder: holds images, and no folders.
        count: how many images.
        rate: frames a second.
    """

    folder: Path
    count: int
    rate: float

    def __len__(self) -> int:
        return self.count

    def pictures(self, places: Sequence[int], size: int) -> np.ndarray:
        files = images_of(self.folder)
        if len(files) < self.count:
            raise UserError(f"{self.folder} has lost images since it was looked at; put them back")
        made, found = Pictures(size), {}
        for i, place in enumerate(places):
            try:
                found[i] = made.of_array(read_image(files[place]))
            except UserError as error:
                damaged = str(error)
        if 2 * len(found) < len(places):
            raise UserError(f"{damaged}; so are {len(places) - len(found) - 1} more of that clip")
        if len(found) < len(places):
            environment.say(f"{damaged}; its neighbour stands for it")
        kept = np.array(sorted(found))
        nearest = kept[np.abs(kept[:, None] - np.arange(len(places))).argmin(0)]
        return np.stack([found[i] for i in nearest.tolist()])


def images_of(folder: Path) -> list[Path]:
    """The images of a folder in numeric order: frame2 before frame10; none if it has folders."""
    with explained(folder):
        inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__"))]
    images = [path for path in inside if path.suffix.lower() in SUFFIXES]
    if not images or any(path.is_dir() for path in inside):
        return []
    return sorted(images, key=lambda path: [_number(part) for part in _parts(path.stem)])


def _parts(stem: str) -> list[str]:
    return re.split(r"(\d+)", stem)


def _number(part: str) -> tuple[int, str]:
    return (int(part), part) if part.isdigit() and part.isascii() else (0, part)


def rate_of(folder: Path) -> float:
    """Frames a second of a folder of images: 25 unless its file `fps.txt` says otherwise.

    Raises:
        UserError: the file holds no possible rate.
    """
    file = folder / _RATE_FILE
    if not file.exists():
        return USUAL_RATE
    with explained(file):
        text = file.read_text(errors="replace").strip()
    try:
        return checked_rate(float(text))
    except ValueError:
        raise UserError(f"{file} says '{text[:40]}'; write one number, frames a second") from None


def checked_rate(rate: float) -> float:
    """Frames a second as a float.

    Raises:
        UserError: it is no number, or outside the range of videos.
    """
    low, high = _RATES
    number = np.asarray(rate)
    if number.ndim or number.dtype.kind not in "iuf" or not low <= number <= high:
        shown = rate if number.ndim == 0 else f"an array of shape {number.shape}"
        raise UserError(f"{shown} frames a second are not possible; give {low:g} to {high:,.0f}")
    return float(number)


def cut(begin: float, end: float, seconds: float, digest: str) -> tuple[float, float, str] | None:
    """A part of a clip: its span within the clip, in seconds, and its digest; None for all of it.

    Raises:
        ValueError: the part is empty.
    """
    first, last = max(begin, 0.0), min(end, seconds)
    if not first < last:
        raise ValueError(f"from {begin:g} to {end:g} s of {seconds:g} s is no part")
    if (first, last) == (0.0, seconds):
        return None
    named = hashlib.sha256(f"{digest} {first:.6f} {last:.6f}".encode())
    return first, last, named.hexdigest()


def read_image(path: Path) -> np.ndarray:
    """An image, upright, as `(height, width, 3)` uint8, RGB; what is transparent is black.

    Raises:
        UserError: it cannot be read.
    """
    from PIL import Image, ImageOps

    try:
        with explained(path), Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I;16") or image.mode in ("I", "F"):
                # These have no range of their own but that of 16 bits.
                levels = np.asarray(image).astype(np.float64)
                scaled = np.clip(levels / (257 if levels.max(initial=0) > 255 else 1), 0, 255)
                return np.repeat(np.rint(scaled).astype(np.uint8)[..., None], 3, -1)
            if image.has_transparency_data:
                seen = image.convert("RGBA")
                black = Image.new("RGBA", seen.size, (0, 0, 0, 255))
                return np.asarray(Image.alpha_composite(black, seen).convert("RGB"))
            return np.asarray(image.convert("RGB"))
    except UserError as error:
        raise UserError(f"{path} is no image that can be read ({error})") from None
    except (SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is no image that can be read ({error})") from None


def digest_of(folder: Path, files: Sequence[Path], rate: float) -> str:
    """SHA-256 of the images and of the rate."""
    digest = hashlib.sha256(f"images {len(files)} {rate:g}".encode())
    for file in files:
        with explained(file), open(file, "rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()
