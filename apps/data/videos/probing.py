"""What a video is: looked at once, without decoding more than its first frame."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import itertools
import shlex
import statistics
import tempfile
from pathlib import Path
from typing import Any

import av

from apps.data.files import explained
from apps.data.videos.picture import sideways
from apps.data.videos.reading import Moment, beginnings, moments, moving, opened, reason, step_of
from apps.data.videos.stills import (
    SUFFIXES,
    Images,
    digest_of,
    images_of,
    rate_of,
    read_image,
)
from apps.data.videos.video import Video
from apps.errors import UserError

_LFS_POINTER = b"version https://git-lfs"
# What writers of containers round, and the duration of a last frame, which few of them state: as a
# share of the whole, and in seconds.
_WHOLE, _TOLERATED = 0.95, 0.5
_TRIES = 200


def probe(path: Path) -> tuple[Video, float]:
    """Look at a video; one that cannot be used has a fault.

    Args:
        path: a file, whose content, not its name, says what it is; or a folder of images.

    Returns:
        The video, and which share of what its container states is there: 1 unless it was cut off.

    Raises:
        UserError: the operating system refuses to read it, or a folder holds no images.
    """
    if path.is_dir():
        return _folder(path), 1.0
    with explained(path), open(path, "rb") as file:
        head = file.read(len(_LFS_POINTER))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    faulty = Video(str(path), 0.0, 0, 0, 0, digest)
    try:
        if not head:
            raise UserError(f"{path} is empty (0 bytes); record or copy it again, or remove it")
        if head == _LFS_POINTER:
            raise UserError(f"{path} is a pointer of Git LFS, not the video; run: git lfs pull")
        return _file(path, digest)
    except av.FFmpegError as error:
        quoted = shlex.quote(str(path))
        fault = (
            f"{path} is no video that can be read ({reason(error)}); copy it again, or convert it: "
            f"ffmpeg -i {quoted} {shlex.quote(str(path.with_suffix('')) + '-new.mp4')}"
        )
    except UserError as error:
        fault = str(error)
    return dataclasses.replace(faulty, fault=fault), 1.0


def from_bytes(content: bytes, name: str = "") -> tuple[Video, float]:
    """The same of the bytes of a file; they are kept in a temporary one while the video is used."""
    folder = tempfile.TemporaryDirectory(prefix="video-")
    file = Path(folder.name) / (Path(name).name or "video")
    with explained(file):
        file.write_bytes(content)
    video, share = probe(file)
    fault = video.fault.replace(str(file), name or "the video")
    return dataclasses.replace(video, fault=fault, content=folder), share


def _folder(folder: Path) -> Video:
    files = images_of(folder)
    if not files:
        raise UserError(
            f"{folder} is a folder, and no clip: a clip is a file, or a folder that holds images "
            f"({', '.join(SUFFIXES[:4])}, …) and no folders"
        )
    rate = rate_of(folder)
    digest = digest_of(folder, files, rate)
    try:
        height, width, _ = read_image(files[0]).shape
    except UserError as error:
        return Video(str(folder), 0.0, 0, 0, 0, digest, fault=f"{error}; copy it again")
    content = Images(folder, len(files), rate)
    return Video(str(folder), len(files) / rate, len(files), width, height, digest, content=content)


def _file(path: Path, digest: str) -> tuple[Video, float]:
    with opened(path) as container:
        stream = moving(container)
        if stream is None:
            what = "only sound" if container.streams.audio else "no moving pictures"
            raise UserError(f"{path} has {what}; name a video, or remove it")
        first, found = _first_frame(container, stream)
        if first is None:
            raise UserError(
                f"{path} is damaged: its first frame cannot be decoded; copy it again, or remove it"
            )
        seconds, frames = _extent(found, stream)
        stated = _stated(container, stream)
        share = min(1.0, seconds / stated) if stated else 1.0
        if 2 * share < 1:
            raise UserError(
                f"{path} is cut off: it holds {seconds:.2f} of the {stated:.2f} s that its header "
                "promises; copy it again, or remove it"
            )
        width, height = _displayed(first, stream)
    whole = share >= _WHOLE or stated - seconds < _TOLERATED
    return Video(str(path), seconds, frames, width, height, digest), 1.0 if whole else share


def _first_frame(container: Any, stream: Any) -> tuple[Any, list[Moment]]:
    """The first frame that can be decoded, None if there is none, and all packets without their
    content."""
    first, found = None, []
    for one in moments(container, stream):
        found.append(dataclasses.replace(one, packet=None))
        if first is None and len(found) <= _TRIES:
            with contextlib.suppress(av.FFmpegError):
                first = next(iter(stream.codec_context.decode(one.packet)), None)
    if first is None:
        with contextlib.suppress(av.FFmpegError):
            first = next(iter(stream.codec_context.decode(None)), None)
    return first, found


def _extent(packets: list[Moment], stream: Any) -> tuple[float, int]:
    """Seconds from the first frame to the end of the last one, and the number of frames."""
    starts = beginnings(packets, stream)
    last = next((one.duration for one in packets if one.pts == starts[-1]), 0)
    steps = [b - a for a, b in itertools.pairwise(starts) if b > a]
    lasts = last or (statistics.median(steps) if steps else step_of(stream))
    seconds = (starts[-1] + lasts - starts[0]) * float(stream.time_base)
    return seconds, len(set(starts))


def _stated(container: Any, stream: Any) -> float:
    """The duration that the container states, in seconds; 0 where it states none."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _displayed(frame: Any, stream: Any) -> tuple[int, int]:
    """Width and height in square pixels, upright."""
    width, height = frame.width, frame.height
    aspect = float(stream.sample_aspect_ratio or 1)
    if aspect > 1:
        width = round(width * aspect)
    elif aspect > 0:
        height = round(height / aspect)
    return (height, width) if sideways(frame) else (width, height)
