"""Clips a second that are read and scaled, beside OpenCV's reader on the same files.

    python -m benchmarks.video_reading [--data FOLDER] [--clips N] [--rounds N] [--out FOLDER]

Sixteen frames of each clip, evenly spread, at 64 × 64. OpenCV's reader decodes every frame and
resizes the same sixteen with INTER_AREA; the stronger way that converts none but these sixteen
(`grab` and `retrieve`) is measured too. With one thread, one clip after the other is read by a
codec of one thread; with two, two clips at once, or OpenCV's codec takes both. The contenders take
turns, round by round, on one set of files in the page cache; medians over the rounds are compared.
Without `--data` clips are made: moving textures, H.264, 2 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

from apps.data.kinds.video import SUFFIXES
from apps.data.videos.pose import SUFFIX as POSE_SUFFIX
from apps.data.videos.probing import probe
from apps.data.videos.video import Video
from benchmarks.machine import about_machine, sentence

FRAMES, SIDE = 16, 64
OURS, READ, GRAB = "ours", "OpenCV, read", "OpenCV, grab and retrieve"
# Sizes of the clips that are made.
_SIZES = ((640, 360), (480, 360), (1280, 720))

_Work = Callable[[Video], np.ndarray]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print and, if asked, write `video-reading.json` and `.md`."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a folder of videos, searched at any depth")
    parser.add_argument("--clips", type=int, default=60, help="how many of them")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="a folder for the results")
    options = parser.parse_args(arguments)
    about = about_machine("av", "opencv-python-headless", "numpy")
    with tempfile.TemporaryDirectory() as made:
        folder = options.data or _make(Path(made), options.clips)
        videos = _videos(folder, options.clips)
        apart = _agree(videos[: 2 * len(_SIZES)])
        found = measure(videos, options.rounds)
    seconds = statistics.median(video.seconds for video in videos)
    record = {
        "machine": about,
        "files": f"{len(videos)} clips, median {seconds:.1f} s",
        "mean_difference": apart,
        "clips_per_second": found,
    }
    page = _page(record)
    print(page)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "video-reading.json").write_text(json.dumps(record, indent=2) + "\n")
        (options.out / "video-reading.md").write_text(page + "\n")


def measure(videos: Sequence[Video], rounds: int) -> dict[str, dict[str, float]]:
    """Clips a second by number of threads and contender, medians over the rounds."""
    ways: dict[str, dict[str, Callable[[], object]]] = {
        "1": {
            OURS: lambda: _all(_ours, videos, 1),
            READ: lambda: _all(_opencv(1, grab=False), videos, 1),
            GRAB: lambda: _all(_opencv(1, grab=True), videos, 1),
        },
        "2": {
            OURS: lambda: _all(_ours, videos, 2),
            READ: lambda: _all(_opencv(1, grab=False), videos, 2),
            GRAB: lambda: _all(_opencv(1, grab=True), videos, 2),
            f"{GRAB}, codec of two threads": lambda: _all(_opencv(2, grab=True), videos, 1),
        },
    }
    seconds: dict[tuple[str, str], list[float]] = {}
    for _ in range(rounds):
        for threads, contenders in ways.items():
            for name, run in contenders.items():
                start = time.perf_counter()
                run()
                seconds.setdefault((threads, name), []).append(time.perf_counter() - start)
    return {
        threads: {
            name: len(videos) / statistics.median(seconds[threads, name]) for name in contenders
        }
        for threads, contenders in ways.items()
    }


def _all(work: _Work, videos: Sequence[Video], threads: int) -> None:
    if threads == 1:
        for video in videos:
            work(video)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, videos):
            pass


def _ours(video: Video) -> np.ndarray:
    return video.sampled(FRAMES, SIDE)


def _opencv(threads: int, *, grab: bool) -> _Work:
    import cv2

    cv2.setNumThreads(1)

    def small(frame: Any) -> Any:
        return cv2.resize(frame, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def work(video: Video) -> np.ndarray:
        choice = [cv2.CAP_PROP_N_THREADS, threads]
        reader = cv2.VideoCapture(video.path, cv2.CAP_FFMPEG, choice)
        count = video.frames
        wanted = [int((i + 0.5) * count / FRAMES) for i in range(FRAMES)]
        if grab:
            found = {}
            for number in range(count):
                if reader.grab() and number in wanted:
                    found[number] = small(reader.retrieve()[1])
            chosen = [found[number] for number in wanted]
        else:
            frames = list(_read(reader))
            chosen = [small(frames[number]) for number in wanted]
        return np.stack(chosen)[..., ::-1]

    return work


def _read(reader: Any) -> Iterator[Any]:
    while (read := reader.read())[0]:
        yield read[1]


def _agree(videos: Sequence[Video]) -> float:
    """The mean difference of the two readers' pictures, in levels of 255."""
    opencv = _opencv(1, grab=False)
    apart = [np.abs(_ours(one).astype(int) - opencv(one)).mean() for one in videos]
    return float(np.mean(apart))


def _videos(folder: Path, most: int) -> list[Video]:
    suffixes = set(SUFFIXES) - {POSE_SUFFIX}
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    # Evenly from all of them, since a folder is often one class.
    chosen = files[:: max(1, len(files) // most)][:most]
    videos = [probe(path)[0] for path in chosen]
    usable = [video for video in videos if not video.fault]
    if not usable:
        raise SystemExit(f"{folder} has no video that can be read")
    return usable


def _make(folder: Path, count: int) -> Path:
    """Write clips of a texture that moves, with some noise."""
    draw = np.random.default_rng(0)
    for number in range(count):
        width, height = _SIZES[number % len(_SIZES)]
        coarse = draw.integers(0, 256, (height // 20 + 4, width // 20 + 4, 3), np.uint8)
        texture = coarse.repeat(20, 0).repeat(20, 1)
        with av.open(str(folder / f"{number}.mp4"), "w") as container:
            stream: Any = container.add_stream("libx264", 30)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for time_ in range(60):
                shown = texture[time_ : time_ + height, time_ : time_ + width] // 2
                noise = draw.integers(0, 24, shown.shape, np.uint8)
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown + noise), "rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return folder


def _page(record: dict[str, Any]) -> str:
    lines = [
        "# Reading of videos",
        "",
        f"{FRAMES} frames of {SIDE} × {SIDE} from each of {record['files']}, clips a second; the "
        f"pictures of the two readers differ by {record['mean_difference']:.1f} of 255 levels.",
        "",
        "| threads | reader | clips a second | beside OpenCV's best |",
        "|---|---|---|---|",
    ]
    for threads, found in record["clips_per_second"].items():
        best = max(speed for name, speed in found.items() if name != OURS)
        lines += [
            f"| {threads} | {name} | {speed:.1f} | {speed / best:.2f} × |"
            for name, speed in found.items()
        ]
    return "\n".join([*lines, "", sentence(record["machine"])])


if __name__ == "__main__":
    main()
