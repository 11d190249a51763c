"""TFLite files: usable without this package, right in each kind of number, streams that last."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
import soundfile
import tensorflow as tf

import apps
from apps.errors import UserError
from apps.export.tflite import KINDS, TfliteExport, export_tflite
from apps.export.tflite.recurrence import plain_lstm
from apps.layers import LSTM
from apps.layers.kernels.dispatch import kernels_as
from apps.run import Run
from apps.training.golden import from_arrays
from apps.training.run import Chosen

RATE = 8000
HERTZ = {"low": 400, "high": 1700}
SETTINGS = {
    "units": 48,
    "depth": 1,
    "channels": 8,
    "bands": 20,
    "attention": 8,
    "seed": 1,
    "epochs": 12,
    "learning_rate": 0.02,
    "batch_size": 20,
    "silence": 0.5,
    "speed_change": 0,
    # A model that is not sure of everything, so that kinds of numbers can be told apart.
    "context": 0.5,
    "time_masking": 0.2,
    "frequency_masking": 0.2,
    "weight_decay": 0,
}
# What a device's program does, with nothing of this package: chunks in, states handed on.
CLIENT = """
import sys
import numpy as np
import tensorflow as tf

file, rows, target = sys.argv[1:]
step = tf.lite.Interpreter(model_path=file).get_signature_runner("step")
given = step.get_input_details()
size = given["audio"]["shape"][1]
found = []
for samples in np.load(rows):
    states = {n: np.zeros(d["shape"], d["dtype"]) for n, d in given.items() if n != "audio"}
    for start in range(0, len(samples), size):
        chunk = np.zeros((1, size), np.float32)
        part = samples[start : start + size]
        chunk[0, : len(part)] = part
        answers = step(audio=chunk, **states)
        states = {name: answers[name] for name in states}
        if answers["steps"][0]:
            said = answers["probabilities"][0, answers["steps"][0] - 1]
    found.append(said)
np.save(target, found)
assert not [name for name in sys.modules if name.split(".")[0]  == "apps"]
"""


def tone(label: str, draw: np.random.Generator) -> np.ndarray:
    time = np.arange(round(0.4 * RATE)) / RATE
    sound = np.sin(2 * np.pi * HERTZ[label] * time) * np.hanning(len(time))
    sound = np.pad(0.3 * draw.uniform(0.3, 1) * sound, draw.integers(0, 1500, 2))
    return (sound + draw.normal(0, 1e-3, len(sound))).astype(np.float32)


def tones(count: int, seed: int) -> list[dict[str, Any]]:
    draw = np.random.default_rng(seed)
    labels = [list(HERTZ)[number % 2] for number in range(count)]
    return [{"audio": (tone(label, draw), RATE), "label": label} for label in labels]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "keywords"
    return apps.train("keywords", tones(60, 0), run=folder, log=lambda line: None, **SETTINGS)


def exported(run: Run, folder: Path, kind: str, rows: list[dict[str, Any]]) -> TfliteExport:
    answers = from_arrays(run.files.read_arrays(run.files.golden))
    units = run.application.input.units(run.checked(rows, Chosen())[1])
    return export_tflite(run.application, folder, answers, kind, units)


@pytest.fixture(scope="module")
def files(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, TfliteExport]:
    folders = {kind: tmp_path_factory.mktemp(kind) for kind in KINDS}
    rows = tones(20, 1)
    return {kind: exported(run, folder, kind, rows) for kind, folder in folders.items()}


@pytest.mark.parametrize(("kind", "close"), [("float32", 1e-4), ("float16", 5e-3), ("int8", 5e-2)])
def test_a_program_without_this_package_hears_what_predict_hears(
    kind: str, close: float, files: dict[str, TfliteExport], run: Run, tmp_path: Path
) -> None:
    draw = np.random.default_rng(2)
    # A whole is answered after the silence behind it, which a stream must be sent.
    behind = run.application.metadata()["trailing_silence"]
    # Whole chunks, since a last one that is filled up adds a step.
    length = RATE - (RATE + behind) % files[kind].size
    sounds = [np.resize(tone(label, draw), length) for label in ("low", "high", "high")]
    np.save(tmp_path / "rows.npy", [np.pad(sound, (0, behind)) for sound in sounds])
    command = [sys.executable, "-c", CLIENT, str(files[kind].file), "rows.npy", "said.npy"]
    subprocess.run(command, check=True, timeout=120, cwd=tmp_path)
    said = np.load(tmp_path / "said.npy")
    wanted = [one["probabilities"] for one in run.predict([(sound, RATE) for sound in sounds])]
    labels = run.application.labels
    np.testing.assert_allclose(said, [[one[k] for k in labels] for one in wanted], atol=close)


def test_each_kind_is_measured_and_smaller_ones_are_right_as_often(
    files: dict[str, TfliteExport],
) -> None:
    kinds = files["int8"].kinds
    assert files["int8"].file.stat().st_size == kinds["int8"].bytes
    assert kinds["int8"].bytes < kinds["float16"].bytes < kinds["float32"].bytes
    assert kinds["float32"].difference < 1e-4
    assert 1e-5 < kinds["float16"].difference < kinds["int8"].difference < 0.1
    assert kinds["float32"].correct == kinds["int8"].correct == 1.0
    assert all(one.rows == 20 and one.milliseconds > 0 for one in kinds.values())
    assert "int8" in files["int8"].told()
    assert "1.000 correct (1.000 in float32)" in files["int8"].told()


def test_states_of_a_long_stream_do_not_drift(files: dict[str, TfliteExport]) -> None:
    draw = np.random.default_rng(3)
    sound = np.concatenate([tone("low" if n % 3 else "high", draw) for n in range(120)])
    said = {}
    for kind in ("float32", "int8"):
        interpreter = tf.lite.Interpreter(model_path=str(files[kind].file))
        step = interpreter.get_signature_runner("step")
        given = step.get_input_details()
        states = {n: np.zeros(d["shape"], d["dtype"]) for n, d in given.items() if n != "audio"}
        size, found = files[kind].size, []
        for start in range(0, len(sound) - size, size):
            answers = step(audio=sound[None, start : start + size], **states)
            states = {name: answers[name] for name in states}
            found.append(answers["probabilities"][0, 0])
        said[kind] = np.array(found)
    apart = np.abs(said["int8"] - said["float32"]).max(1)
    # A minute later it is no further away than at the beginning.
    assert apart[-500:].mean() < 2 * apart[:500].mean() + 1e-3
    assert (said["int8"].argmax(1) == said["float32"].argmax(1)).mean() > 0.98


def test_no_operation_needs_tensorflow(files: dict[str, TfliteExport]) -> None:
    content = files["int8"].file.read_bytes()
    assert b"Flex" not in content


def test_an_export_writes_it_beside_the_model_and_says_so_on_its_card(
    run: Run, tmp_path: Path, trusting: None
) -> None:
    version = run.export(tmp_path, tflite="int8", log=lambda line: None)
    extra = version / "assets.extra"
    assert (extra / "model.tflite").read_bytes()[4:8] == b"TFL3"
    card = (extra / "model_card.md").read_text()
    assert "`assets.extra/model.tflite` is int8" in card
    assert "| **int8** | " in card
    assert "Recorded requests" in card


def test_onnx_of_8_bit_weights_is_measured_beside_the_exact_one(
    run: Run, tmp_path: Path, answered: Callable[..., str], trusting: None
) -> None:
    rows = tmp_path / "rows.jsonl"
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    with rows.open("w") as lines:
        for number, row in enumerate(tones(10, 4)):
            soundfile.write(sounds / f"{number}.wav", *row["audio"])
            line = {"audio": f"sounds/{number}.wav", "label": row["label"]}
            lines.write(json.dumps(line) + "\n")
    # A run may stand behind the option, which takes a kind of numbers.
    exact = Path(answered("export", "--to", tmp_path / "models", "--onnx", run.folder).strip())
    options = ("--to", tmp_path / "models", "--onnx=int8", "--measure", rows)
    version = Path(answered("export", run.folder, *options).strip())
    files = [folder / "assets.extra" / "model.onnx" for folder in (exact, version)]
    assert files[1].stat().st_size < files[0].stat().st_size - 30_000
    kinds = {node.op_type for node in onnx.load(files[1]).graph.node}
    assert "DynamicQuantizeLSTM" in kinds
    card = (version / "assets.extra" / "model_card.md").read_text()
    (told,) = [line for line in card.splitlines() if line.startswith("| **int8** | ")]
    assert told.endswith("| 1.0000 | 1.0000 |")
    assert "Rows that were not learnt from: 10." in card


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(
    run: Run, run_of_reviews: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    base = ("export", run.folder, "--to", tmp_path / "models")
    assert "did you mean 'int8'?" in refused(*base, "--tflite=int9")
    assert "choose one of float32, int8" in refused(*base, "--onnx=float16")
    assert "name a run" in refused("export", "--onnx")
    assert "--tflite and --onnx; add one" in refused(*base, "--measure", "rows.csv")
    with pytest.raises(UserError, match=r"TFLite has no .*; export without --tflite"):
        apps.load(run_of_reviews).export(tmp_path / "models", tflite="float32")
    assert not list((tmp_path / "models").glob("*/*"))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [3, 40])
@pytest.mark.parametrize("sequences", [False, True])
def test_plain_products_are_the_layer(
    steps: int, masked: bool, backwards: bool, sequences: bool
) -> None:
    given = {"return_sequences": sequences, "return_state": True, "go_backwards": backwards}
    stock, ours = keras.layers.LSTM(5, **given), LSTM(5, **given)
    x = np.random.default_rng(4).normal(size=(1, steps, 3)).astype(np.float32)
    mask = np.arange(steps)[None] < steps - 1 if masked else None
    wanted = stock(x, mask=mask)
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())

    @tf.function(autograph=False)
    def call() -> list[tf.Tensor]:
        with kernels_as(plain_lstm):
            return ours(x, mask=None if mask is None else tf.constant(mask))

    for one, other in zip(call(), wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
