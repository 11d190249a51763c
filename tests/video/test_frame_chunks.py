"""A video in chunks: the model's rate, pipes, short videos, and a copy with decisions on it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import av
import footage
import numpy as np
import pytest

from apps.errors import UserError
from apps.following import Chunk, Decision
from apps.inputs.frame_chunks import ClipAnnotator, FrameOptions, frame_chunks

ABOUT = {"frames": 6, "size": 16, "step_seconds": 0.2}


def film(path: Path, frames: int = 24) -> Path:
    return footage.write(path, footage.frames(frames, 64, 64), fps=20)


def numbers(chunks: Sequence[Chunk]) -> list[int]:
    """The number of each frame that the chunks hold."""
    parts = [one.arrays["frames"][0, : one.arrays["lengths"][0]] for one in chunks]
    return footage.numbers(np.concatenate(parts))


def test_the_middle_of_each_step_is_taken(tmp_path: Path) -> None:
    chunks = list(frame_chunks(film(tmp_path / "a.mp4"), ABOUT, FrameOptions()))
    # Steps of 0.2 s hold four frames; the third begins in their middle.
    assert numbers(chunks) == [4 * step + 2 for step in range(6)]
    assert [round(one.end, 6) for one in chunks] == [round(0.2 * step, 6) for step in range(1, 7)]
    assert chunks[0].arrays["frames"].shape == (1, 1, 16, 16, 3)


def test_chunks_of_several_frames_hold_the_same(tmp_path: Path) -> None:
    file = film(tmp_path / "a.mp4")
    chunks = list(frame_chunks(file, ABOUT, FrameOptions(chunk_frames=4)))
    assert [one.arrays["lengths"].tolist() for one in chunks] == [[4], [2]]
    assert {one.arrays["frames"].shape for one in chunks} == {(1, 4, 16, 16, 3)}
    assert numbers(chunks) == [4 * step + 2 for step in range(6)]


class Pipe(io.RawIOBase):
    """Cannot seek, and gives a little at a time."""

    def __init__(self, content: bytes) -> None:
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, 1000) if size > 0 else 1000)


def test_a_pipe_gives_what_the_file_gives(tmp_path: Path) -> None:
    file = film(tmp_path / "a.mkv")
    piped = list(frame_chunks(Pipe(file.read_bytes()), ABOUT, FrameOptions()))
    assert numbers(piped) == numbers(list(frame_chunks(file, ABOUT, FrameOptions())))


def test_a_short_video_ends_with_its_last_frame_standing(tmp_path: Path) -> None:
    chunks = list(frame_chunks(film(tmp_path / "a.mp4", frames=8), ABOUT, FrameOptions()))
    assert numbers(chunks) == [2, 6, 6, 6, 6, 6]


@pytest.mark.parametrize("content", [b"", b"no video at all"])
def test_what_is_no_video_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.mp4 is no video that can be read"):
        list(frame_chunks(file, ABOUT, FrameOptions()))
    with pytest.raises(UserError, match="standard input is no video"):
        list(frame_chunks(Pipe(content), ABOUT, FrameOptions()))


def test_decisions_are_drawn_onto_a_copy(tmp_path: Path) -> None:
    file, out = film(tmp_path / "a.mp4", frames=60), tmp_path / "b.mp4"
    annotator = ClipAnnotator(file, out)
    annotator.add(Decision({"end": 0.5, "label": "wave", "probability": 0.9}, ""))
    assert not out.exists()
    annotator.finish()
    with av.open(str(out)) as copy:
        frames = [(float(f.time), f.to_ndarray(format="rgb24")) for f in copy.decode(video=0)]
    assert len(frames) == 60
    drawn = [time for time, picture in frames if picture[:20].std() > 10]
    assert min(drawn) == pytest.approx(0.5, abs=0.03)
    assert max(drawn) == pytest.approx(2.45, abs=0.03)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize(
    ("out", "complaint"), [("b.txt", r"give a file named \*\.mp4"), ("x/b.mp4", "no folder")]
)
def test_a_copy_that_cannot_be_written_is_refused_at_once(
    tmp_path: Path, out: str, complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        ClipAnnotator(film(tmp_path / "a.mp4", frames=3), tmp_path / out)
    with pytest.raises(UserError, match="standard input"):
        ClipAnnotator(Pipe(b""), tmp_path / "b.mp4")
