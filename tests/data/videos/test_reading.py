"""Video files: which frame is on the screen when, and what is wrong with a file."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from footage import LEVEL, frames, numbers, write

from apps.data.videos.probing import from_bytes, probe
from apps.data.videos.video import Video
from apps.errors import UserError

FORMATS = {
    "a.mp4": ("libx264", {"bf": "3"}),
    "a.mov": ("libx264", {"bf": "0"}),
    "a.mkv": ("libx264", {"g": "7"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none"}),
    "a.ts": ("libx264", {"bf": "3", "g": "10"}),
    "a.avi": ("mpeg4", {}),
    "late.avi": ("libx264", {"bf": "3"}),
    "a.3gp": ("mpeg4", {"bf": "2"}),
    "a.webm": ("libvpx", {"deadline": "realtime"}),
    "a.mpg": ("mpeg2video", {"bf": "2"}),
    "a.mpeg": ("mpeg1video", {}),
    "a.wmv": ("wmv2", {}),
    "a.flv": ("flv", {}),
    "a.gif": ("gif", {}),
    "a.mjpeg": ("mjpeg", {}),
}
PIXELS = {"gif": "gray", "mjpeg": "yuvj420p"}


def clip(path: Path) -> Video:
    video, _ = probe(path)
    assert not video.fault
    return video


@pytest.mark.parametrize("name", FORMATS)
def test_every_container_gives_the_frames_in_the_middles(tmp_path: Path, name: str) -> None:
    codec, options = FORMATS[name]
    pixels = PIXELS.get(codec, "yuv420p")
    video = clip(write(tmp_path / name, frames(30), codec=codec, pixels=pixels, options=options))
    assert video.seconds == pytest.approx(1.2, abs=0.001)
    assert (video.frames, video.width, video.height) == (30, 32, 24)
    assert numbers(video.sampled(6, 16)) == [2, 7, 12, 17, 22, 27]
    assert video.sampled(6, 16).dtype == np.uint8


def test_the_content_decides_and_the_name_does_not(tmp_path: Path) -> None:
    written = write(tmp_path / "a.gif", frames(4), codec="gif", pixels="gray")
    assert numbers(clip(written.rename(tmp_path / "a.mp4")).sampled(4, 8)) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.mp4", "libx264"), ("a.gif", "gif")]
)
def test_a_frame_stays_until_the_next_begins(tmp_path: Path, name: str, codec: str) -> None:
    path = write(
        tmp_path / name,
        frames(4),
        codec=codec,
        pixels=PIXELS.get(codec, "yuv420p"),
        times=[0.0, 1.0, 1.1, 1.2],
    )
    video = clip(path)
    assert video.seconds == pytest.approx(1.25, abs=0.06)
    # At 0.125, 0.375, 0.625, 0.875 and 1.125 s.
    assert numbers(video.sampled(5, 8)) == [0, 0, 0, 0, 2]
    assert numbers(video.part(0.95, 1.2).sampled(5, 8)) == [0, 1, 1, 2, 2]


def test_fewer_frames_than_asked_for_are_repeated(tmp_path: Path) -> None:
    assert numbers(clip(write(tmp_path / "one.mp4", frames(1))).sampled(3, 8)) == [0, 0, 0]
    assert numbers(clip(write(tmp_path / "two.mp4", frames(2))).sampled(4, 8)) == [0, 0, 1, 1]


def test_a_part_is_a_clip_of_its_own(tmp_path: Path) -> None:
    video = clip(write(tmp_path / "a.mp4", frames(30), options={"g": "8"}))
    part = video.part(0.4, 0.8)
    assert (part.begin, part.end, part.frames) == (0.4, 0.8, 10)
    assert numbers(part.sampled(5, 8)) == [11, 13, 15, 17, 19]
    assert numbers(part.part(0.2, 9.0).sampled(1, 8)) == [17]
    assert part.digest != video.digest
    assert video.part(0.0, 99.0) is video
    with pytest.raises(ValueError, match="no part"):
        video.part(2.0, 3.0)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {"g": "120", "bf": "3"}),
        ("a.ts", "libx264", {"g": "50"}),
        ("a.webm", "libvpx", {"g": "60", "deadline": "realtime"}),
        ("a.mpg", "mpeg2video", {"g": "50"}),
        ("a.avi", "mpeg4", {"g": "60"}),
    ],
)
def test_a_long_video_is_searched_and_not_read_through(
    tmp_path: Path, name: str, codec: str, options: dict[str, str], monkeypatch: Any
) -> None:
    from apps.data.videos import reading

    levels = np.repeat(np.arange(25, dtype=np.uint8) * 10, 60)
    shape = (len(levels), 16, 16, 3)
    array = np.broadcast_to(levels[:, None, None, None], shape)
    video = clip(write(tmp_path / name, array, fps=10, codec=codec, options=options))
    assert video.frames == pytest.approx(1500, abs=1)
    read: list[object] = []
    plain = reading.moments

    def counted(*arguments: Any) -> Any:
        for one in plain(*arguments):
            read.append(one)
            yield one

    monkeypatch.setattr(reading, "moments", counted)
    found = video.sampled(5, 8).mean((1, 2, 3))
    np.testing.assert_allclose(found, [20, 70, 120, 170, 220], atol=3)
    assert len(read) < 1000


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.webm"])
def test_the_same_as_opencv(tmp_path: Path, name: str) -> None:
    cv2: Any = pytest.importorskip("cv2")
    draw = np.random.default_rng(0)
    coarse = draw.integers(0, 256, (12, 9, 12, 1), np.uint8)
    array = coarse.repeat(8, 1).repeat(8, 2).repeat(3, 3)
    codec = {"a.mp4": "libx264", "a.avi": "mpeg4", "a.webm": "libvpx"}[name]
    path = write(tmp_path / name, array, codec=codec)
    reader, found = cv2.VideoCapture(str(path)), []
    while (read := reader.read())[0]:
        found.append(cv2.resize(read[1], (24, 24), interpolation=cv2.INTER_AREA)[..., ::-1])
    ours = clip(path).sampled(12, 24).astype(int)
    assert np.abs(ours - np.stack(found)).mean() < 3


# Damage


def fault(path: Path) -> str:
    video, share = probe(path)
    assert share == 1.0
    assert "\n" not in video.fault
    assert str(path) in video.fault
    with pytest.raises(UserError) as error:
        video.sampled(2, 8)
    assert str(error.value) == video.fault
    return video.fault.removeprefix(str(path)).strip()


def test_files_that_are_no_videos(tmp_path: Path) -> None:
    file = tmp_path / "a.mp4"
    file.write_bytes(b"")
    assert fault(file).startswith("is empty (0 bytes)")
    file.write_text("no video at all\n" * 20)
    assert fault(file).startswith("is no video that can be read (")
    file.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n")
    assert fault(file).startswith("is no video that can be read (")
    file.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert fault(file).startswith("is a pointer of Git LFS")
    write(file, frames(30))
    file.write_bytes(file.read_bytes()[:-200])
    assert fault(file).startswith("is no video that can be read (")


def test_only_sound_or_sound_with_a_cover(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.mkv"):
        with av.open(str(tmp_path / name), "w") as container:
            voice: Any = container.add_stream("aac", 16000)
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.int16), "s16", "mono")
            silence.sample_rate = 16000
            container.mux(voice.encode(silence))
            container.mux(voice.encode(None))
        assert fault(tmp_path / name).startswith("has only sound")
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        voice = container.add_stream("mp3", 44100)
        cover: Any = container.add_stream("mjpeg", 25)
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(frames(1)[0].repeat(2, 0)[:32])))
        container.mux(cover.encode(None))
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.int16), "s16", "mono")
        silence.sample_rate = 44100
        container.mux(voice.encode(silence))
        container.mux(voice.encode(None))
    assert fault(path).startswith("has only sound")


def test_what_is_left_of_a_file_that_is_cut_off(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 48, 64, 3), np.uint8)
    noise = (noise // 8 + frames(100, 64, 48) // 2).astype(np.uint8)
    whole = write(
        tmp_path / "a.mp4",
        noise,
        options={"g": "10", "bf": "0"},
        container_options={"movflags": "faststart"},
    ).read_bytes()
    file = tmp_path / "b.mp4"
    file.write_bytes(whole[: int(0.8 * len(whole))])
    video, share = probe(file)
    assert not video.fault
    assert 0.6 < share < 0.9
    assert video.seconds == pytest.approx(4 * share, abs=0.05)
    assert video.sampled(8, 8).shape == (8, 8, 8, 3)
    file.write_bytes(whole[: int(0.3 * len(whole))])
    video, _ = probe(file)
    assert video.fault.startswith(f"{file} is cut off: it holds ")
    assert "of the 4.00 s that its header promises" in video.fault


def damaged(path: Path, parts: range) -> Path:
    """Overwrite some of the packets of a file with noise."""
    with av.open(str(path)) as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    content = bytearray(path.read_bytes())
    for i in parts:
        at, size = places[i]
        assert at is not None
        content[at : at + size] = np.random.default_rng(i).bytes(size)
    path.write_bytes(content)
    return path


def test_damage_within_a_file(tmp_path: Path, capsys: Any) -> None:
    path = write(tmp_path / "a.avi", frames(20), codec="mjpeg", pixels="yuvj420p")
    video = clip(damaged(path, range(5, 8)))
    assert numbers(video.sampled(20, 8)) == [*range(5), 4, 4, 4, *range(8, 20)]
    assert capsys.readouterr().err == (
        f"{path} is damaged: 17 of 20 frames that are wanted can be decoded, and stand for the "
        "others\n"
    )
    damaged(path, range(5, 17))
    with pytest.raises(UserError, match="is damaged: 8 of 20 frames that are wanted can be"):
        video.sampled(20, 8)
    damaged(path, range(20))
    assert fault(path).startswith("is damaged: its first frame cannot be decoded")


def test_a_file_that_went_away(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", frames(3))
    video = clip(path)
    path.unlink()
    with pytest.raises(UserError, match="no such file"):
        video.sampled(2, 8)


# Memory


def test_the_bytes_of_a_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", frames(4))
    video, _ = from_bytes(path.read_bytes(), "a.mp4")
    kept = Path(video.path)
    assert numbers(video.sampled(4, 8)) == [0, 1, 2, 3]
    assert video.digest == clip(path).digest
    part = video.part(0.0, 0.08)
    del video
    assert kept.exists()
    assert numbers(part.sampled(2, 8)) == [0, 1]
    del part
    assert not kept.exists()
    broken, _ = from_bytes(b"nothing", "b.mp4")
    assert broken.fault.startswith("b.mp4 is no video")


def test_frames_in_memory() -> None:
    video = Video.of(frames(10), 5)
    assert (video.seconds, video.frames, video.width, video.height) == (2.0, 10, 32, 24)
    assert numbers(video.sampled(5, 8)) == [1, 3, 5, 7, 9]
    assert numbers(video.part(1.0, 2.0).sampled(5, 8)) == [5, 6, 7, 8, 9]
    assert numbers(video.sampled(10, 8)) == list(range(10))
    assert video.digest == Video.of(frames(10), 5.0).digest
    assert video.digest != Video.of(frames(10), 6).digest
    assert dataclasses.replace(video, fault="gone").fault == "gone"


@pytest.mark.parametrize(
    ("array", "fps", "what"),
    [
        (np.zeros((3, 4, 5), np.uint8), 25, r"an array of shape \(3, 4, 5\) and uint8 is no video"),
        (np.zeros((3, 4, 5, 3)), 25, "and float64 is no video"),
        (np.zeros((0, 4, 5, 3), np.uint8), 25, "has no pictures"),
        (frames(2), 0, "0 frames a second are not possible"),
        (frames(2), "fast", "fast frames a second are not possible"),
        (frames(2), float("nan"), "nan frames a second"),
    ],
)
def test_arrays_that_are_no_videos(array: np.ndarray, fps: Any, what: str) -> None:
    with pytest.raises(UserError, match=what):
        Video.of(array, fps)


def test_levels_tell_frames_apart() -> None:
    assert numbers(frames(5)) == list(range(5))
    assert frames(2)[1, 0, 0, 0] == LEVEL
