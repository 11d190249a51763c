"""Sequences of joints, as pose estimators write them."""

from __future__ import annotations

import dataclasses
import hashlib
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from apps.data.files import explained
from apps.data.videos.stills import USUAL_RATE, checked_rate, cut
from apps.errors import UserError

SUFFIX = ".npz"
_NAMES = ("joints", "keypoints", "pose")
_RATE_NAMES = ("fps", "rate", "frame_rate")
_HEADER = re.compile(
    r"\{'descr': '([<>|][iuf]\d+)', 'fortran_order': (True|False), 'shape': \(([\d, ]*)\)"
)


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
        with explained(path), zipfile.ZipFile(path) as content:
            members = {member.removesuffix(".npy"): member for member in content.namelist()}
            found = [name for name in _NAMES if name in members] or [
                name for name in members if name not in _RATE_NAMES
            ]
            if not found:
                raise UserError(f"{path} holds no array; write joints into it")
            name = found[0]
            array = _array(content.read(members[name]))
            rates = [_array(content.read(members[rate])) for rate in _RATE_NAMES if rate in members]
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise UserError(
            f"{path} is no .npz of joints ({error}); write it with numpy.savez(FILE, joints=ARRAY)"
        ) from None
    if array.ndim != 3 or array.shape[-1] not in (2, 3):
        raise UserError(
            f"{path}: '{name}' is of shape {array.shape}, not (frames, joints, 2 or 3); choose the "
            "coordinates of one body"
        )
    if not array.size:
        raise UserError(f"{path}: '{name}' of shape {array.shape} holds no joints; remove the file")
    try:
        rate = checked_rate(rates[0].item()) if rates else USUAL_RATE
    except (UserError, ValueError) as error:
        raise UserError(f"{path}: {error}") from None
    return array.astype(np.float64), rate


def _array(stored: bytes) -> np.ndarray:
    """The array of a stored `.npy`, read without Python's own parser.

    `numpy.load` parses the header with `ast`, which fails now and then where threads parse at the
    same time (CPython issue 106905, Python 3.11), and clips are read in threads.
    """
    begin, size = (12, "<I") if stored[6:7] > b"\x01" else (10, "<H")
    if stored[:6] != b"\x93NUMPY" or len(stored) < begin:
        raise ValueError("a member of it is no array")
    end = begin + struct.unpack(size, stored[8:begin])[0]
    header = _HEADER.search(stored[begin:end].decode("latin-1"))
    if header is None:
        raise ValueError("an array in it is not of numbers")
    kind, columns_first, shape = header.groups()
    numbers = np.frombuffer(stored, kind, offset=end)
    lengths = [int(length) for length in re.findall(r"\d+", shape)]
    return numbers.reshape(lengths, order="F" if columns_first == "True" else "C")


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
