"""An input of rows of numbers and a task of their own stream, and nothing else knows of them."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
from apps import catalogue
from apps.__main__ import main
from apps.application import Application
from apps.catalogue import Entry
from apps.components import Input, Task
from apps.configuration import ApplicationConfig, Options, fixed
from apps.data import Examples, Sequences, number
from apps.errors import UserError
from apps.following import Chunk, Decision, Follower
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.streams.model import StreamModel
from apps.streams.stream import Stream

ROWS = "time,load\n8:00,1\n8:01,4\n8:02,5\n"


@dataclass(frozen=True)
class RowOptions(Options):
    """How rows are read: `skip` rows are left out at the beginning."""

    skip: int = fixed(0, low=0)


class SensorRows(Input):
    """The column `load` of a sensor; it is learnt from rows alone, `(batch, 1, 1)`."""

    stream_options = RowOptions

    def __init__(self) -> None:
        self.columns = {"load": number()}

    def tensors(self, examples: Examples) -> dict[str, Any]:
        rows = [np.array([[value]], np.float32) for value in examples["load"]]
        return {"load": Sequences.from_rows(rows, np.float32)}

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {
            "load": keras.Input((None, 1), dtype="float32", name="load"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        load = np.array(examples["load"], np.float32)[:, None, None]
        return {"load": load, "lengths": np.ones(len(examples), np.int32)}

    def edge_cases(self) -> dict[str, np.ndarray]:
        return {"load": np.zeros((1, 1, 1), np.float32), "lengths": np.ones(1, np.int32)}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": value} for value in examples["load"]]

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: RowOptions
    ) -> Iterator[Chunk]:
        raw = source.open("rb", buffering=0) if isinstance(source, Path) else source
        lines = csv.DictReader(io.TextIOWrapper(io.BufferedReader(raw), "utf-8"))
        for place, row in enumerate(lines):
            try:
                load = np.array([[[float(row["load"])]]], np.float32)
            except ValueError:
                raise UserError(f"row {place + 1}: '{row['load']}' is no number") from None
            if place >= options.skip:
                yield Chunk({"load": load, "lengths": np.ones(1, np.int32)}, row["time"])


@dataclass(frozen=True)
class Alarms(Options):
    """When a sum is told: from `limit` on, or whatever it is with `every`."""

    limit: float = fixed(5.0)
    every: bool = fixed(False)


class SumFollower(Follower):
    """A line for each sum that is large enough."""

    def __init__(self, options: Alarms) -> None:
        self._options = options
        self._told = 0

    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        total = float(answer["total"])
        self.undecided = f"{end} {total:g}"
        if total < self._options.limit and not self._options.every:
            return []
        self._told += 1
        return [Decision({"time": end, "total": total}, f"{end}  {total:g}")]

    def finish(self) -> list[Decision]:
        return [Decision({"told": self._told}, f"told {self._told}")]


class Sums(Task):
    """The sum of all rows of a stream; it is told apart from the truth by its error."""

    metrics = (Metric("mae", "mean absolute error", "lower"),)
    objective = "mae"
    stream_options = Alarms

    def __init__(self) -> None:
        self.columns = {"total": number()}

    def targets(self, examples: Examples) -> dict[str, Any]:
        return {"total": np.array(examples["total"], np.float32)}

    def loss(self, batch: Mapping[str, Any], outputs: Any) -> tf.Tensor:
        return tf.reduce_mean(tf.abs(batch["total"] - outputs))

    def answers(self, outputs: Any, inputs: Any) -> dict[str, Any]:
        return {"total": outputs}

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        return {"error": np.abs(batch["total"] - answered)}

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {"mae": float(statistics["error"].mean())}

    def shown(self, examples: Examples) -> list[Any]:
        return list(examples["total"])

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return []

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Alarms
    ) -> Follower:
        return SumFollower(options)


class Meter(Application):
    """Sums up; a scale that starts at 1 is all it learns."""

    name = "meter"
    input = SensorRows()
    task = Sums()
    Config = ApplicationConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        raise NotImplementedError

    def build(self) -> keras.Model:
        inputs = self.input.raw_inputs()
        scale = keras.layers.Dense(1, kernel_initializer="ones", use_bias=False, name="scale")
        total = keras.layers.GlobalAveragePooling1D()(scale(inputs["load"]))[:, 0]
        return keras.Model(inputs, total)

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        return {"state_sum": tf.TensorSpec((None, 1), tf.float32, "state_sum")}

    def step(self, **given: Any) -> dict[str, Any]:
        scaled = self.model.get_layer("scale")(given["load"])
        total = given["state_sum"] + tf.reduce_sum(scaled, 1)
        return {"total": total[:, 0], "state_sum": total}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        entry = Entry(f"{__name__}:Meter", "the sum of all rows")
        patch.setitem(catalogue.APPLICATIONS, "meter", entry)
        rows = [{"load": float(value), "total": float(value)} for value in range(20)]
        folder = tmp_path_factory.mktemp("runs") / "meter"
        apps.train("meter", rows, run=folder, log=lambda line: None, epochs=1, learning_rate=1e-5)
        yield folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_text(ROWS)
    return path


def test_rows_of_a_file_and_of_standard_input(
    run: Path, file: Path, answered: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = answered("stream", run, file, "--json").splitlines()
    first, second, told = map(json.loads, lines)
    assert [first["time"], second["time"]] == ["8:01", "8:02"]
    assert [first["total"], second["total"]] == pytest.approx([5, 10], abs=0.1)
    assert told == {"told": 2}
    monkeypatch.setattr(sys, "stdin", file.open("rb"))
    assert answered("stream", run, "-", "--json").splitlines() == lines
    every = answered("stream", "--every", run, file, "--skip", 1, "--limit", 1e6).splitlines()
    assert [line.split()[0] for line in every] == ["8:01", "8:02", "told"]


def test_what_is_undecided_is_shown_meanwhile(
    run: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", str(run), str(file), "--live"]) == 0
    shown = capsys.readouterr()
    assert [line.split()[0] for line in shown.out.splitlines()] == ["8:01", "8:02", "told"]
    assert [line.split()[:1] for line in shown.err.split("\r")[1:3]] == [["8:00"], ["\x1b[K"]]


def test_a_source_that_ends_badly_ends_after_what_was_decided(
    run: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(ROWS + "8:03,six\n")
    assert main(["stream", str(run), str(file), "--no-every"]) == 2
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1] == "told 2"
    assert "row 4: 'six' is no number" in shown.err


def test_options_are_those_of_input_and_task(
    run: Path, file: Path, refused: Callable[..., str]
) -> None:
    assert "--chunk-ms: no option of meter; known: " in refused("stream", run, file, "--chunk-ms=9")
    assert "--skip -1: must be at least 0" in refused("stream", run, file, "--skip", "-1")


def test_what_does_not_stream_says_so(
    run: Path, file: Path, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(SensorRows, "chunks", Input.chunks)
        assert "SensorRows cannot be read as a stream" in refused("stream", run, file)
    with monkeypatch.context() as patch:
        patch.setattr(Sums, "follower", Task.follower)
        assert "Sums follows no streams" in refused("stream", run, file)
    monkeypatch.setattr(Meter, "stream_states", Application.stream_states)
    assert "trained so that it reads no streams" in refused("stream", run, file)
    monkeypatch.setattr(Meter, "step", Application.step)
    assert "meter reads no streams; give it whole inputs" in refused("stream", run, file)


def test_a_step_that_xla_cannot_compile_streams_too(run: Path) -> None:
    model = StreamModel.load(run)

    def step(**given: Any) -> dict[str, Any]:
        answers = model.step(**given)
        noted = tf.numpy_function(lambda total: total, [answers["total"]], tf.float32)
        return {**answers, "noted": noted}

    stream = Stream(dataclasses.replace(model, step=step))
    arrays = {"load": np.ones((1, 2, 1), np.float32), "lengths": np.full(1, 2, np.int32)}
    totals = [float(stream.send(arrays)["noted"]) for _ in range(3)]
    assert totals == pytest.approx([2, 4, 6], abs=0.1)
    stream.reset()
    assert float(stream.send(arrays)["total"]) == pytest.approx(2, abs=0.1)
