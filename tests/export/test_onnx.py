"""An application as an ONNX file: usable without this package, and kept only if it is right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from apps.application import Application
from apps.errors import UserError
from apps.export.onnx import OnnxExport, conversion, export_onnx, handlers
from apps.export.onnx.comparison import TOLERANCE
from apps.export.onnx.outside import outside
from apps.layers.ctc.tokens import Tokens
from apps.layers.ctc.transcripts import Transcripts
from apps.layers.ngrams import NgramLogits
from apps.training.golden import Golden, from_arrays
from apps.training.run import FinishedRun

CLIENT = Path(__file__).with_name("plain_client.py")
TEXTS = [
    "The acting is not dull.",
    "",
    " \t\n",
    "Ünïcode 👍 and <br /> tags; it’s 'quoted'",
    "ΑΣ ΟΔΥΣΣΕΥΣ İstanbul ǅ",
    "映画はとても面白かった。 ภาพยนตร์",
    "a\u00a0b\u2028c\u0085d\x1ce\x0bf\u200bg",
    "e\u0301 combining, ½ and ٣",
    "The plot was gripping. " * 300,
]


@pytest.fixture(scope="module")
def run(run_of_reviews: Path) -> FinishedRun:
    return FinishedRun(run_of_reviews)


@pytest.fixture(scope="module")
def application(run: FinishedRun) -> Application:
    return run.application


@pytest.fixture(scope="module")
def goldens(run: FinishedRun) -> list[Golden]:
    return from_arrays(run.files.read_arrays(run.files.golden))


@pytest.fixture(scope="module")
def done(
    application: Application, goldens: list[Golden], tmp_path_factory: pytest.TempPathFactory
) -> OnnxExport:
    return export_onnx(application, tmp_path_factory.mktemp("onnx"), goldens)


def test_a_client_without_tensorflow_gives_the_same_probabilities(
    done: OnnxExport, run: FinishedRun, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, str(CLIENT), str(done.files[0].parent), json.dumps(TEXTS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    expected = [answer["probabilities"] for answer in run.predict(TEXTS)]
    for text, ours, theirs in zip(TEXTS, expected, json.loads(ran.stdout), strict=True):
        assert theirs == pytest.approx(ours, abs=1e-5), text


def test_one_fused_operation_runs_both_directions(done: OnnxExport) -> None:
    model = onnx.load(done.files[0])
    kinds = [node.op_type for node in conversion.operations(model.graph)]
    assert kinds.count("LSTM") == 1
    assert conversion.directions(model.graph) == 2
    assert not {"Loop", "Scan", "If"} & set(kinds)
    assert done.difference <= TOLERANCE


def test_the_export_says_what_stays_outside(done: OnnxExport) -> None:
    assert [file.name for file in done.files] == ["model.onnx", "vocabulary.txt"]
    assert all(file.is_file() for file in done.files)
    assert sorted(done.files[0].parent.iterdir()) == sorted(done.files)
    text, classes = done.outside
    assert "vocabulary.txt" in text
    assert "softmax" in classes


def test_every_weight_is_in_the_file_once(done: OnnxExport, application: Application) -> None:
    weights = sum(4 * int(np.prod(weight.shape)) for weight in application.model.weights)
    rest = 64_000  # The rules for clients are most of it.
    assert weights < done.files[0].stat().st_size < weights + rest


def test_the_same_run_gives_the_same_bytes(
    done: OnnxExport, goldens: list[Golden], run_of_reviews: Path, tmp_path: Path
) -> None:
    again = export_onnx(FinishedRun(run_of_reviews).application, tmp_path, goldens)
    for first, second in zip(done.files, again.files, strict=True):
        assert first.read_bytes() == second.read_bytes()


def test_a_file_that_answers_otherwise_is_not_kept(
    application: Application,
    goldens: list[Golden],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shares = application.model.get_layer("mixture").shares
    before = shares.numpy()
    # A training of seconds may have left the LSTM without a say.
    shares.assign([1.0, 1.0])
    (tmp_path / "right").mkdir()
    (tmp_path / "wrong").mkdir()
    try:
        assert export_onnx(application, tmp_path / "right", goldens).files
        monkeypatch.setattr(handlers, "_GATES", [0, 1, 2, 3])
        with pytest.raises(UserError, match=r"sentiment: .* differs from TensorFlow's"):
            export_onnx(application, tmp_path / "wrong", goldens)
        assert not list((tmp_path / "wrong").iterdir())
    finally:
        shares.assign(before)


def test_a_model_too_large_for_the_format_is_refused(
    application: Application,
    goldens: list[Golden],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversion, "MOST_BYTES", 1000)
    with pytest.raises(UserError, match="at most 2 GiB; train a smaller model"):
        export_onnx(application, tmp_path, goldens)


def test_a_folder_that_is_not_there_is_refused(
    application: Application, goldens: list[Golden], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no such folder"):
        export_onnx(application, tmp_path / "nowhere", goldens)


def test_hashes_of_ngrams_stay_whole_numbers() -> None:
    """float32 has no place for the numbers of so many rows."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    lengths = keras.Input((), dtype="int32", name="lengths")
    layer = NgramLogits(1, order=3, buckets=2**24 + 43)
    model = keras.Model({"ids": ids, "lengths": lengths}, layer(ids, lengths))
    # Odd rows count, even ones do not: a row that is off by one shows.
    rows = np.arange(2**24 + 44, dtype=np.float32)[:, None] % 2
    rows[-1] = 0
    layer.set_weights([rows, np.zeros(1, np.float32)])
    converted = conversion.convert(model, "ngrams")
    session = onnxruntime.InferenceSession(converted.SerializeToString())
    given = {
        "ids": np.random.default_rng(0).integers(2, 50_000, (4, 50)).astype(np.int32),
        "lengths": np.array([50, 20, 3, 1], np.int32),
    }
    np.testing.assert_allclose(session.run(None, given)[0], model(given), rtol=1e-5)


def test_what_spells_the_text_of_a_recording_is_in_the_metadata() -> None:
    tokens = Tokens.adapt(["ab a", "é"])
    found = outside(Transcripts(tokens, 0.04))
    assert found is not None
    assert json.loads(found.metadata["tokens"]) == ["", " ", "a", "b", "é"]
    assert float(found.metadata["step_seconds"]) == 0.04
