"""Frames of video files at given times; what lies between is skipped where that is possible."""

from __future__ import annotations

import bisect
import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np

from apps import environment
from apps.data.files import explained
from apps.data.videos.picture import Pictures
from apps.errors import UserError

# Formats that hold moving pictures themselves. Playlists, which name further files, are not among
# them: a clip that somebody uploads must not make the server read others.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,apng,mjpeg,mjpeg_2000,mpeg,mpegvideo,mpegts,flv,"
    "live_flv,asf,asf_o,ogg,h264,hevc,m4v,h263,h261,vc1,av1,obu,ivf,nut,rm,dv,mxf,wtv,dirac,swf,"
    "yuv4mpegpipe,jpeg_pipe,png_pipe,webp_pipe,bmp_pipe,wav,mp3,aac,flac,aiff,caf,amr,ac3"
)
# Where wanted frames lie further apart than this, looking up the next keyframe is less work than
# reading on; and no more than this much of a file is held in memory, in seconds.
_JUMP, _HELD = 5.0, 60.0
# How far before the wanted time a keyframe is looked for, one try after the other; then the start.
_BACK = (0.0, 2.0, 10.0, 60.0)
# Each frame of these is drawn over the one before, whatever the container calls a keyframe.
_DRAWN_OVER = frozenset({"gif", "apng"})
USUAL_RATE = 25.0
# Of a tick, in sums of floats.
_ROUNDING = 1e-3


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A container, open for reading.

    Raises:
        av.FFmpegError: it is none that can be read.
        UserError: the operating system refuses to open it.
    """
    # FFmpeg itself does not tell the reasons of the operating system apart.
    with explained(path), open(path, "rb"):
        pass
    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    with av.open(f"file:{path}", options=options, metadata_errors="ignore") as container:
        yield container


def moving(container: Any) -> Any:
    """The first stream of moving pictures, ready to be decoded by one thread; None if there is
    none. Attached pictures, such as the cover of an album, are none."""
    attached = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & attached]
    chosen = next((stream for stream in streams if stream.codec_context is not None), None)
    if chosen is not None:
        for stream in container.streams:
            if stream is not chosen:
                stream.discard = av.stream.Discard.all
        chosen.codec_context.thread_type = "NONE"
        chosen.codec_context.thread_count = 1
    return chosen


@dataclass(frozen=True)
class Moment:
    """A packet and when what it holds is shown, in the stream's ticks.

    Attributes:
        packet: as it was read; None once its content is not needed.
        pts: beginning of presentation; None where the container does not say.
        dts: time of decoding.
        duration: how long it is shown; 0 if the container does not say.
        key: whether decoding can begin here.
        shown: whether it is shown at all, which leads into a cut need not be.
    """

    packet: Any
    pts: int | None
    dts: int | None
    duration: int
    key: bool
    shown: bool

    @property
    def order(self) -> int | None:
        """Where it stands in the file: no later packet is shown before this."""
        return self.pts if self.dts is None else self.dts


def moments(container: Any, stream: Any) -> Iterator[Moment]:
    """The packets of a stream from where the container stands; a file that is cut off just ends."""
    with contextlib.suppress(av.FFmpegError):
        for packet in container.demux(stream):
            if packet.size:
                key, shown = packet.is_keyframe, not packet.is_discard
                yield Moment(packet, packet.pts, packet.dts, packet.duration or 0, key, shown)


def pictures_at(path: Path, times: np.ndarray, size: int) -> np.ndarray:
    """What a video shows at some times.

    Args:
        path: the file.
        times: `(n,)`, ascending, in seconds from its first frame.
        size: side of the pictures, pixels.

    Returns:
        `(n, size, size, 3)` uint8, RGB. A frame is shown until the next one begins; one that cannot
        be decoded leaves the one before it standing.

    Raises:
        UserError: the file cannot be opened, or more than half of the wanted frames are damaged.
    """
    try:
        found, wanted, delivered, errors = _read(path, times, size, skip=True)
        if 2 * delivered < wanted:
            found, wanted, delivered, errors = _read(path, times, size, skip=False)
    except av.FFmpegError as error:
        raise UserError(
            f"{path} is no video that can be read ({reason(error)}); copy it again, or remove it"
        ) from None
    if not len(found) or (errors and 2 * delivered < wanted):
        raise UserError(
            f"{path} is damaged: {delivered} of {wanted} frames that are wanted can be decoded; "
            "copy it again, or remove it"
        )
    if errors and delivered < wanted:
        environment.say(
            f"{path} is damaged: {delivered} of {wanted} frames that are wanted can be decoded, "
            "and stand for the others"
        )
    return found


def reason(error: Exception) -> str:
    """What FFmpeg says of a failure, in its own words."""
    return str(getattr(error, "strerror", None) or error).rstrip(".")


def _read(
    path: Path, times: np.ndarray, size: int, *, skip: bool
) -> tuple[np.ndarray, int, int, int]:
    """Pictures, or none at all; how many frames were wanted and delivered; errors of decoding."""
    with opened(path) as container:
        stream = moving(container)
        if stream is None:
            raise UserError(f"{path} has no moving pictures; name a video")
        film = _Film(container, stream, size, skip)
        shown: list[np.ndarray | None] = []
        for group in _groups(times, film.seeks):
            shown += film.shown(group)
    first = next((picture for picture in shown if picture is not None), None)
    if first is None:
        return np.zeros((0, size, size, 3), np.uint8), film.wanted, 0, film.errors
    for i, picture in enumerate(shown):
        shown[i] = first = first if picture is None else picture
    return np.stack(shown), film.wanted, film.delivered, film.errors  # type: ignore[arg-type]


def _groups(times: np.ndarray, seeks: bool) -> Iterator[np.ndarray]:
    """Times that are read through in one go."""
    first = 0
    for i in range(1, len(times)):
        if seeks and (times[i] - times[i - 1] > _JUMP or times[i] - times[first] > _HELD):
            yield times[first:i]
            first = i
    yield times[first:]


class _Film:
    """A stream that is being read.

    Attributes:
        seeks: whether one can jump in it.
        wanted: frames that were looked for.
        delivered: how many of them were decoded.
        errors: packets that could not be decoded.
    """

    def __init__(self, container: Any, stream: Any, size: int, skip: bool) -> None:
        self._container, self._stream = container, stream
        self._codec = stream.codec_context
        self._pictures = Pictures(size)
        self._skip = skip and self._codec.name not in _DRAWN_OVER
        self._tick = float(stream.time_base)
        self._start = stream.start_time
        self._is_new, self._begins = True, False
        self.seeks = self._start is not None and bool(stream.duration or container.duration)
        self.wanted = self.delivered = self.errors = 0

    def shown(self, times: np.ndarray) -> list[np.ndarray | None]:
        """The picture at each of some times that lie close together, None where there is none."""
        packets = self._packets(times)
        timed = all(one.pts is not None for one in packets)
        starts = beginnings(packets, self._stream)
        if not starts:
            return [None] * len(times)
        if self._begins or self._start is None:
            # Some containers name another beginning than that of their first frame.
            self._start = starts[0]
        ticks = [self._start + time / self._tick for time in times]
        places = [max(bisect.bisect_right(starts, tick + _ROUNDING) - 1, 0) for tick in ticks]
        wanted = {starts[place] for place in places}
        self.wanted += len(wanted)
        plan = _plan(packets, wanted) if timed and self._skip else None
        frames = self._decoded(packets, wanted, plan, None if timed else starts)
        return self._standing(frames, [starts[place] for place in places], wanted)

    def _packets(self, times: np.ndarray) -> list[Moment]:
        """The packets from the keyframe before the first time to what is shown at the last."""
        self._begins, self._is_new = self._is_new and (times[0] <= _JUMP or not self.seeks), False
        if self._begins:
            return list(self._until(times[-1]))
        for back in _BACK:
            start = times[0] - back
            if start <= 0:
                break
            with contextlib.suppress(av.FFmpegError):
                self._container.seek(
                    int(self._start + start / self._tick), stream=self._stream, backward=True
                )
                packets = list(self._until(times[-1]))
                first = next((i for i, one in enumerate(packets) if one.key), None)
                if first is not None:
                    packets = packets[first:]
                    when = packets[0].pts if packets[0].pts is not None else packets[0].dts
                    if when is not None and when <= self._start + times[0] / self._tick:
                        return packets
        self._container.seek(self._start, stream=self._stream, backward=True)
        return list(self._until(times[-1]))

    def _until(self, time: float) -> Iterator[Moment]:
        margin = 2 * step_of(self._stream)
        end = None if self._start is None else self._start + time / self._tick + margin
        for one in moments(self._container, self._stream):
            yield one
            # Whatever follows is shown later still, and some packet before has the wanted frame.
            if end is not None and one.order is not None and one.order > end:
                return

    def _decoded(
        self,
        packets: Sequence[Moment],
        wanted: set[int],
        plan: Sequence[range] | None,
        ranks: Sequence[int] | None,
    ) -> Iterator[tuple[int, Any]]:
        """Frames in the order of presentation, each with its beginning in ticks."""
        count = 0
        for part in plan if plan is not None else [range(len(packets))]:
            self._codec.flush_buffers()
            for one in [*(packets[i] for i in part), None]:
                if one is not None:
                    # A frame that no other refers to costs nothing if it is not looked at.
                    spare = plan is not None and one.pts not in wanted
                    self._codec.skip_frame = "NONREF" if spare else "DEFAULT"
                try:
                    frames = self._codec.decode(None if one is None else one.packet)
                except av.FFmpegError:
                    self.errors += 1
                    continue
                for frame in frames:
                    if ranks:
                        yield ranks[min(count, len(ranks) - 1)], frame
                    elif frame.pts is not None:
                        yield frame.pts, frame
                    count += 1

    def _standing(
        self, frames: Iterator[tuple[int, Any]], ticks: Sequence[int], wanted: set[int]
    ) -> list[np.ndarray | None]:
        """The picture of the last frame that begins at each tick or before it."""
        found: list[np.ndarray | None] = []
        seen: set[int] = set()
        before: Any = None
        picture: np.ndarray | None = None
        for begin, frame in frames:
            seen.add(begin)
            while before is not None and len(found) < len(ticks) and ticks[len(found)] < begin:
                picture = self._pictures.of(before) if picture is None else picture
                found.append(picture)
            if len(found) == len(ticks):
                break
            before, picture = frame, None
        self.delivered += len(wanted & seen)
        while len(found) < len(ticks):
            if before is not None and picture is None:
                picture = self._pictures.of(before)
            found.append(picture)
        return found


def beginnings(packets: Sequence[Moment], stream: Any) -> list[int]:
    """When the frames in some packets begin, ascending, in ticks of their stream.

    Frames leave the decoder in the order of presentation, so that the times of decoding, in order,
    are theirs where the container gives no others.
    """
    shown = [one for one in packets if one.shown]
    for times in ([one.pts for one in shown], [one.dts for one in shown]):
        known = [time for time in times if time is not None]
        if len(known) == len(shown):
            return sorted(known)
    step = step_of(stream)
    return [round(i * step) for i in range(len(shown))]


def step_of(stream: Any) -> float:
    """Ticks from one frame to the next, as far as the container says."""
    rate = float(stream.average_rate or stream.guessed_rate or USUAL_RATE)
    return 1 / (rate * float(stream.time_base))


def _plan(packets: Sequence[Moment], wanted: set[int]) -> list[range]:
    """The packets to decode: from a keyframe to a wanted frame, in parts that do not touch."""
    parts: list[range] = []
    key = 0
    keys = [i for i, one in enumerate(packets) if one.key]
    for i, one in enumerate(packets):
        if one.pts not in wanted or not one.shown:
            continue
        # Frames that follow a keyframe and are shown before it may refer to what precedes it.
        before = keys[: bisect.bisect_right(keys, i)]
        key = next((k for k in reversed(before) if (packets[k].pts or 0) <= (one.pts or 0)), 0)
        if parts and key <= parts[-1].stop:
            parts[-1] = range(parts[-1].start, i + 1)
        else:
            parts.append(range(key, i + 1))
    return parts
