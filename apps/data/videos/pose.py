"""Sequences of joints, as pose estimators write them."""

from __future__ import annotations

import dataclasses
import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.data.files import explained
from apps.data.videos.stills import USUAL_RATE, checked_rate, cut
from apps.errors import UserError

SUFFIX = ".npz"
_NAMES = ("joints", "keypoints", "pose")
_RATE_NAMES = ("fps", "rate", "frame_rate")


@dataclass(frozen=True, eq=False)
class Pose:
    """The joints of one body over time, read from their file whenever they are asked for.

    Attributes:
        path: a file `.npz`.
        seconds: duration.
        frames: how many there are.
        joints: points of a frame.
        dims: coordinates of a point, 2 or 3.
        digest: SHA-256 of the content and of the part, 64 hexadecimal digits.
        begin: where a part begins, in seconds from the first frame.
        fault: why it cannot be used, in one line; empty if it can.
        rate: frames a second.
    """

    path: str
    seconds: float
    frames: int
    joints: int
    dims: int
    digest: str
    begin: float = 0.0
    fault: str = ""
    rate: float = field(default=USUAL_RATE, repr=False)

    def __str__(self) -> str:
        return f"pose {self.digest}"

    def part(self, begin: float, end: float) -> Pose:
        """A part of it as a sequence of its own; see `Video.part`."""
        span = cut(begin, end, self.seconds, self.digest)
        if span is None:
            return self
        first, last, digest = span
        return dataclasses.replace(
            self,
            seconds=last - first,
            frames=max(1, round(self.rate * (last - first))),
            digest=digest,
            begin=self.begin + first,
        )

    def sampled(self, count: int) -> np.ndarray:
        """Joints at the middles of equal parts of its duration, linear between frames.

        A joint that was not detected (NaN) stands where it stood in the nearest frame that has it;
        one that no frame has stands in the middle of the others.

        Args:
            count: number of moments.

        Returns:
            `(count, joints, dims)` float32.

        Raises:
            UserError: the file is missing, or is no sequence of joints.
        """
        if self.fault:
            raise UserError(self.fault)
        array, _ = _read(Path(self.path))
        whole, _ = _filled(array)
        times = self.begin + (np.arange(count) + 0.5) * (self.seconds / count)
        # A frame stands for the middle of its time.
        places = np.clip(times * self.rate - 0.5, 0, len(whole) - 1)
        low = np.floor(places).astype(int)
        high = np.minimum(low + 1, len(whole) - 1)
        share = (places - low)[:, None, None]
        return ((1 - share) * whole[low] + share * whole[high]).astype(np.float32)


def probe_pose(path: Path) -> tuple[Pose, float]:
    """Look at a file of joints; one that cannot be used has a fault.

    Returns:
        The sequence, and the share of coordinates that were detected.

    Raises:
        UserError: the operating system refuses to read it.
    """
    with explained(path), open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        array, rate = _read(path)
        _, share = _filled(array)
        if not share:
            raise UserError(f"{path} holds no joint at all: all are NaN; remove it")
    except UserError as error:
        return Pose(str(path), 0.0, 0, 0, 0, digest, fault=str(error)), 1.0
    frames, joints, dims = array.shape
    pose = Pose(str(path), frames / rate, frames, joints, dims, digest, rate=rate)
    return pose, share


def _read(path: Path) -> tuple[np.ndarray, float]:
    """Joints `(frames, joints, dims)` float64, and frames a second."""
    try:
        with explained(path), np.load(path, allow_pickle=False) as content:
            arrays: Mapping[str, Any] = dict(content)
    except (ValueError, zipfile.BadZipFile, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"{path} is no .npz of joints ({error}); write it with numpy.savez(FILE, joints=ARRAY)"
        ) from None
    name = next((name for name in _NAMES if name in arrays), None)
    if name is None:
        name = next((name for name in arrays if name not in _RATE_NAMES), None)
    if name is None:
        raise UserError(f"{path} holds no array; write joints into it")
    array = arrays[name]
    if array.ndim != 3 or array.shape[-1] not in (2, 3) or array.dtype.kind not in "iuf":
        raise UserError(
            f"{path}: '{name}' is of shape {array.shape} and {array.dtype}, not (frames, joints, "
            "2 or 3) of numbers; choose the coordinates of one body"
        )
    if not array.size:
        raise UserError(f"{path}: '{name}' of shape {array.shape} holds no joints; remove the file")
    rates = [arrays[rate] for rate in _RATE_NAMES if rate in arrays]
    try:
        rate = checked_rate(rates[0].item()) if rates else USUAL_RATE
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    return array.astype(np.float64), rate


def _filled(array: np.ndarray) -> tuple[np.ndarray, float]:
    """Joints without gaps, and which share of the coordinates there was before."""
    finite = np.isfinite(array)
    share = float(finite.mean())
    if share in (0.0, 1.0):
        return array, share
    whole = array.copy()
    moments = np.arange(len(array))
    for joint in range(array.shape[1]):
        for axis in range(array.shape[2]):
            there = np.flatnonzero(finite[:, joint, axis])
            if len(there):
                nearest = there[np.abs(there[:, None] - moments).argmin(0)]
                whole[:, joint, axis] = array[nearest, joint, axis]
    # Of a joint that was never seen nothing is known but where the body is.
    middle = np.nanmean(np.where(np.isfinite(whole), whole, np.nan), axis=1, keepdims=True)
    return np.where(np.isfinite(whole), whole, middle), share
