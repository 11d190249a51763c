"""The command `stream` with sounds: what it prints and refuses."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import soundfile

import apps
from apps.__main__ import main
from apps.export.versions import ABOUT
from apps.inputs.sound_chunks import SoundOptions
from apps.streams.model import StreamModel
from apps.streams.stream import Stream

RATE = 8000
SMALL = {"units": 8, "depth": 1, "channels": 4, "bands": 16, "attention": 8}
QUICK = {"epochs": 20, "learning_rate": 0.02, "batch_size": 20, "silence": 0.5, "speed_change": 0}
HERTZ = {"low": 400, "high": 1700}

Answered = Callable[..., str]
Refused = Callable[..., str]


def word(label: str, rate: int = RATE, seconds: float = 0.4) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    return 0.3 * np.sin(2 * np.pi * HERTZ[label] * time) * np.hanning(len(time))


def spoken(labels: Sequence[str], rate: int = RATE) -> np.ndarray:
    """A word every two seconds, the first after one, over faint noise, `(n,)`."""
    samples = np.random.default_rng(0).normal(0, 1e-3, rate * (2 * len(labels) + 1))
    for place, label in enumerate(labels):
        start = rate * (2 * place + 1)
        samples[start : start + len(word(label, rate))] += word(label, rate)
    return samples


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tells a low tone from a high one and from silence."""
    draw = np.random.default_rng(1)
    rows = [
        {
            "audio": (np.pad(word(label), draw.integers(0, 1500, 2)) * draw.uniform(0.3, 1), RATE),
            "label": label,
        }
        for label in ("low", "high") * 30
    ]
    folder = tmp_path_factory.mktemp("runs") / "keywords"
    apps.train("keywords", rows, run=folder, seed=1, log=lambda line: None, **SMALL, **QUICK)
    return folder


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A low tone, then a high one, in 16 bits."""
    file = tmp_path_factory.mktemp("sounds") / "recording.wav"
    soundfile.write(file, spoken(["low", "high"]), RATE, subtype="PCM_16")
    return file


@pytest.fixture
def standard_input(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """A function that makes a file the standard input."""

    def take(file: Path) -> None:
        monkeypatch.setattr(sys, "stdin", file.open("rb"))

    return take


@pytest.fixture(scope="module")
def model(run: Path) -> StreamModel:
    return StreamModel.load(run)


@pytest.fixture(scope="module")
def stream(model: StreamModel) -> Stream:
    return Stream(model)


@pytest.fixture(scope="module")
def load(run: Path, model: StreamModel, stream: Stream) -> Iterator[None]:
    """Commands load the run once, and compile each size of chunk once."""
    load_another = StreamModel.load

    def of(folder: Any) -> StreamModel:
        return model if Path(folder) == run else load_another(folder)

    def begun(asked: StreamModel) -> Stream:
        stream.reset()
        return stream if asked is model else Stream(asked)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StreamModel, "load", of)
        patch.setattr("apps.streams.stream.Stream", begun)
        yield


@pytest.fixture(scope="module")
def decisions(run: Path, recording: Path, load: None) -> list[str]:
    """What is printed of the recording."""
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["stream", str(run), str(recording)]) == 0
    return out.getvalue().splitlines()


def test_words_are_printed_with_the_times_of_the_sound(decisions: list[str]) -> None:
    fields = [line.split() for line in decisions]
    assert [label for _, _, label, _ in fields] == ["low", "high"]
    times = [float(time) for time, *_ in fields]
    assert 1.0 < times[0] < 2.0
    assert 3.0 < times[1] < 4.0
    assert all(0.7 <= float(probability) <= 1 for *_, probability in fields)


def test_json_raw_samples_and_wav_streams_give_what_the_file_gives(
    run: Path,
    recording: Path,
    decisions: list[str],
    tmp_path: Path,
    answered: Answered,
    standard_input: Callable[[Path], None],
) -> None:
    objects = [
        json.loads(line) for line in answered("stream", run, recording, "--json").split("\n")[:-1]
    ]
    assert [set(one) for one in objects] == [{"start", "end", "label", "probability"}] * 2
    written = [f"{o['end']:8.2f} s  {o['label']}  {o['probability']:.2f}" for o in objects]
    assert written == decisions
    assert all(one["start"] < one["end"] for one in objects)

    standard_input(recording)
    assert answered("stream", run, "-").splitlines() == decisions
    raw = tmp_path / "raw"
    raw.write_bytes(soundfile.read(recording, dtype="int16")[0].tobytes() + b"\x01")
    standard_input(raw)
    assert answered("stream", run, "-").splitlines() == decisions
    floats = np.repeat(soundfile.read(recording, dtype="float32")[0], 2)
    raw.write_bytes(floats.tobytes())
    standard_input(raw)
    stereo = ("--format", "f32le", "--channels", 2, "--rate", RATE)
    assert answered("stream", run, "-", *stereo).splitlines() == decisions


@pytest.mark.usefixtures("load")
def test_another_rate_and_more_channels(run: Path, tmp_path: Path, answered: Answered) -> None:
    file = tmp_path / "stereo.flac"
    soundfile.write(file, np.stack([spoken(["high"], 44_100)] * 2, axis=1), 44_100)
    (line,) = answered("stream", run, file).splitlines()
    assert " high " in line


def test_silence_is_printed_only_if_asked_for(
    run: Path, recording: Path, decisions: list[str], answered: Answered
) -> None:
    every = answered("stream", run, recording, "--all").splitlines()
    assert any(" silence " in line for line in every)
    assert [line for line in every if " silence " not in line] == decisions


def test_meter_shows_the_likeliest_class(
    run: Path, recording: Path, decisions: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", str(run), str(recording), "--live"]) == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines() == decisions
    meters = shown.err.split("\r")
    assert any("####" in meter and "high" in meter for meter in meters)
    assert meters[-1] == "\x1b[K"


def test_words_come_before_the_sound_ends_and_ctrl_c_ends_it(run: Path, recording: Path) -> None:
    command = [sys.executable, "-m", "apps", "stream", str(run), "-"]
    content = soundfile.read(recording, dtype="int16")[0].tobytes()
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False
    ) as process:
        assert process.stdin
        assert process.stdout
        half = 2 * RATE * 5 // 2
        for start in range(0, half, 331):
            process.stdin.write(content[start : min(start + 331, half)])
            process.stdin.flush()
        # The pipe is open, and the second word is still to come.
        assert b" low " in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate()
    assert process.returncode == 130, errors.decode()
    assert rest == b""
    assert errors == b"interrupted\n"


@pytest.mark.usefixtures("load")
def test_reader_that_goes_away_ends_it_quietly(
    run: Path, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as gone:
        monkeypatch.setattr(sys, "stdout", gone)
        assert main(["stream", str(run), str(recording)]) == 1


def test_a_saved_model_hears_what_its_run_hears(
    run: Path,
    recording: Path,
    decisions: list[str],
    tmp_path: Path,
    answered: Answered,
    refused: Refused,
) -> None:
    application = apps.load(run).application
    version = tmp_path / "keywords" / "1"
    step = application.signatures()["step"]
    archive = keras.export.ExportArchive()
    archive.track(application.served)
    archive.add_endpoint("step", step.call, list(step.inputs.values()))
    archive.write_out(str(version), verbose=False)
    about: dict[str, Any] = {
        "application": "keywords",
        "labels": application.labels,
        "config": application.config.to_dict(),
        "seed": application.seed,
        "signatures": {"step": {}},
        **application.metadata(),
    }
    (version / ABOUT).parent.mkdir()
    (version / ABOUT).write_text(json.dumps(about))
    assert answered("stream", version, recording).splitlines() == decisions
    assert "name a version" in refused("stream", version.parent, recording)
    both_ways = {**about, "signatures": {}, "config": {**about["config"], "bidirectional": True}}
    (version / ABOUT).write_text(json.dumps(both_ways))
    assert "--set bidirectional=false, and export" in refused("stream", version, recording)


def test_chunks_of_any_size_give_the_same_posteriors(
    model: StreamModel, stream: Stream, recording: Path
) -> None:
    found, sizes = [], []
    for chunk_ms in (20, 130):
        stream.reset()
        options = SoundOptions(chunk_ms=chunk_ms)
        chunks = list(model.input.chunks(recording, model.metadata, options))
        answers = [stream.send(chunk.arrays) for chunk in chunks]
        found.append(np.concatenate([a["probabilities"][: a["steps"]] for a in answers]))
        sizes.append({chunk.arrays["audio"].shape for chunk in chunks})
        silence = model.metadata["trailing_silence"] / RATE
        assert chunks[-1].end == pytest.approx(soundfile.info(recording).duration + silence)
    assert sizes == [{(1, 160)}, {(1, 1040)}]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


# What is refused


def test_refused_options_and_inputs(
    run: Path, recording: Path, tmp_path: Path, refused: Refused
) -> None:
    stream = ("stream", run, recording)
    assert "did you mean" in refused("stream", run, recording.with_suffix(".wave"))
    assert "--onn: no option of keywords; did you mean 'on'?" in refused(*stream, "--onn", 0.7)
    assert "--rate 8000: a file says it itself" in refused(*stream, "--rate", 8000)
    assert "--chunk-ms 0: must be at least 1" in refused(*stream, "--chunk-ms", 0)
    assert "0 < off <= on" in refused(*stream, "--on", 0.3)
    assert "--smooth-ms -1" in refused(*stream, "--smooth-ms", -1)
    assert "--on high: give a number" in refused(*stream, "--on", "high")
    assert "--channels 0" in refused("stream", run, "-", "--channels", 0)
    assert "choose one of s16le" in refused("stream", run, "-", "--format", "mp3")
    assert "one file at a time" in refused(*stream, recording)
    assert str(tmp_path / "none") in refused("stream", tmp_path / "none", recording)
    assert "RUN|SAVED_MODEL" in refused("stream", "--json")


def test_options_may_stand_in_front_and_help_lists_those_of_the_model(
    run: Path,
    recording: Path,
    decisions: list[str],
    answered: Answered,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert answered("stream", "--on", 0.7, "--no-all", run, recording).splitlines() == decisions
    with pytest.raises(SystemExit, match="0"):
        main(["stream", str(run), "--help"])
    shown = capsys.readouterr().out
    for flag in ("--json", "--live", "--chunk-ms", "--format s16le|f32le", "--on", "--all"):
        assert flag in shown
    with pytest.raises(SystemExit, match="0"):
        main(["stream", "--help"])
    shown = capsys.readouterr().out
    assert "--json" in shown
    assert "--on" not in shown


def test_a_model_that_reads_both_ways_is_refused(
    run: Path, recording: Path, tmp_path: Path, refused: Refused
) -> None:
    both_ways = tmp_path / "both_ways"
    shutil.copytree(run, both_ways)
    about = json.loads((run / "config.json").read_text())
    about["config"]["bidirectional"] = True
    (both_ways / "config.json").write_text(json.dumps(about))
    assert "--set bidirectional=false" in refused("stream", both_ways, recording)


@pytest.mark.usefixtures("load")
def test_samples_that_are_no_numbers_end_it_after_what_was_decided(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "broken.wav"
    samples = np.append(spoken(["low"]), np.nan)
    soundfile.write(file, samples, RATE, subtype="FLOAT")
    assert main(["stream", str(run), str(file)]) == 2
    shown = capsys.readouterr()
    assert " low " in shown.out
    assert "NaN" in shown.err
