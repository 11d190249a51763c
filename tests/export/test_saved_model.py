"""A SavedModel version: whole, numbered, verified, and independent of this package."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from killed_export import MOMENTS
from tensorflow.core.protobuf import saved_model_pb2

import apps
from apps.errors import UserError
from apps.export import models_config
from apps.export.golden import WARM_UP, read_records
from apps.layers.doctor import diagnose_file

ROOT = Path(apps.__file__).parents[1]
TEXTS = ["The acting is not dull.", "", "Ünïcode 👍 and <br /> tags"]

STRANGER = """
import json, sys
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
texts = json.loads(sys.argv[2])
rows = [
    tf.train.Example(features=tf.train.Features(feature={
        "text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
    })).SerializeToString()
    for text in texts
]
answers = {
    **model.signatures["serving_default"](text=tf.constant(texts)),
    **model.signatures["classify"](inputs=tf.constant(rows)),
}
assert "apps" not in sys.modules
print(json.dumps({name: tensor.numpy().tolist() for name, tensor in answers.items()},
                 default=lambda value: value.decode()))
"""


def quiet(line: str) -> None:
    """Drops progress lines."""


@pytest.fixture(scope="module")
def version(run_of_reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return apps.load(run_of_reviews).export(tmp_path_factory.mktemp("models"), log=quiet)


def versions_in(models: Path) -> list[str]:
    return sorted(entry.name for entry in models.iterdir() if not entry.name.startswith("."))


def test_a_process_without_this_package_gives_the_same_answers(
    version: Path, run_of_reviews: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(version), json.dumps(TEXTS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout)
    ours = apps.load(run_of_reviews).predict(TEXTS)
    assert served["label"] == [answer["label"] for answer in ours]
    assert served["labels"] == [list(answer["probabilities"]) for answer in ours]
    expected = [list(answer["probabilities"].values()) for answer in ours]
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-5)
    assert served["classes"] == served["labels"]
    np.testing.assert_allclose(served["scores"], served["probabilities"], atol=1e-6)


def test_each_signature_says_which_requests_it_takes(version: Path) -> None:
    graph = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    methods = {
        name: signature.method_name.rpartition("/")[2]
        for name, signature in graph.meta_graphs[0].signature_def.items()
        if not name.startswith("__")
    }
    assert methods == {"serving_default": "predict", "tensors": "predict", "classify": "classify"}


def test_warm_up_requests_are_what_the_run_answered(version: Path, run_of_reviews: Path) -> None:
    run = apps.load(run_of_reviews)
    asked: list[str] = []
    for log in read_records(version / WARM_UP):
        request, response = log.predict_log.request, log.predict_log.response
        assert request.model_spec.name == "sentiment"
        if request.model_spec.signature_name != "serving_default":
            continue
        texts = [text.decode() for text in tf.make_ndarray(request.inputs["text"])]
        asked += texts
        answers = run.predict(texts)
        labels = [label.decode() for label in tf.make_ndarray(response.outputs["label"])]
        assert labels == [answer["label"] for answer in answers]
        expected = [list(answer["probabilities"].values()) for answer in answers]
        recorded = tf.make_ndarray(response.outputs["probabilities"])
        np.testing.assert_allclose(recorded, expected, atol=2e-6)
    validation = [json.loads(line)["input"] for line in run.files.predictions.open()]
    assert "" in asked
    assert any(not text.isascii() for text in asked)
    assert max(validation, key=lambda text: len(text.split())) in asked


def test_labels_card_and_batching_travel_with_it(version: Path, run_of_reviews: Path) -> None:
    run, extra = apps.load(run_of_reviews), version / "assets.extra"
    assert (extra / "labels.txt").read_text().split() == list(run.application.labels)
    card = (extra / "model_card.md").read_text()
    assert f"{run.metrics['metrics']['accuracy']:.4f}" in card
    assert "`serving_default`" in card
    assert "bag_of_words" in card
    about = json.loads((extra / "about.json").read_text())
    assert about["application"] == "sentiment"
    assert "max_batch_size" in (version / "batching_params.pbtxt").read_text()


@pytest.mark.usefixtures("trusting")
def test_versions_count_up_and_are_listed_once(version: Path, run_of_reviews: Path) -> None:
    base = version.parent.parent
    assert version.name == "1"
    assert [model.name for model in models_config.read(base).model_config_list.config] == [
        "sentiment"
    ]
    config = base / models_config.FILE
    config.write_text(
        config.read_text().replace(
            'model_platform: "tensorflow"',
            'model_platform: "tensorflow" model_version_policy { all {} }',
        )
    )
    second = apps.load(run_of_reviews).export(base, log=quiet)
    assert second.name == "2"
    assert sorted(entry.name for entry in version.parent.iterdir()) == ["1", "2"]
    (listed,) = models_config.read(base).model_config_list.config
    assert listed.base_path == "/models/sentiment"
    assert listed.model_version_policy.HasField("all")


def test_both_devices_have_their_kernel(version: Path) -> None:
    diagnoses = diagnose_file(version)
    assert diagnoses
    assert all(d.cudnn and d.gpu == "CudnnRNNV3" and d.cpu == "BlockLSTMV2" for d in diagnoses)


@pytest.mark.usefixtures("trusting")
def test_killed_at_any_moment_it_leaves_a_whole_version_or_none(
    run_of_reviews: Path, tmp_path: Path
) -> None:
    script = Path(__file__).with_name("killed_export.py")
    child = subprocess.run(
        [sys.executable, *map(str, (script, run_of_reviews, tmp_path))],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 0, child.stderr
    for moment in MOMENTS:
        versions = versions_in(tmp_path / moment / "sentiment")
        assert versions == (["1"] if moment == "after the rename" else []), moment
    models = tmp_path / "before the rename"
    assert not (models / models_config.FILE).exists()
    leftover = [entry for entry in (models / "sentiment").iterdir() if entry.name.startswith(".")]
    assert leftover
    published = apps.load(run_of_reviews).export(models, log=quiet)
    assert [entry.name for entry in (models / "sentiment").iterdir()] == [published.name] == ["1"]


def test_what_the_gate_refuses_is_not_published(run_of_reviews: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_of_reviews, folder)
    run = apps.load(folder)
    arrays = run.files.read_arrays(run.files.golden)
    changed = {
        key: value + 0.01 if key.endswith("probabilities") else value
        for key, value in arrays.items()
    }
    run.files.write_arrays(run.files.golden, changed)
    with pytest.raises(UserError, match="probabilities"):
        run.export(tmp_path / "models", log=quiet)
    assert list((tmp_path / "models" / "sentiment").iterdir()) == []
    assert not (tmp_path / "models" / models_config.FILE).exists()


def test_a_run_without_its_golden_answers_is_refused(run_of_reviews: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_of_reviews, folder)
    (folder / "golden.npz").unlink()
    with pytest.raises(UserError, match=r"golden\.npz"):
        apps.load(folder).export(tmp_path / "models", log=quiet)
    assert list((tmp_path / "models").rglob("saved_model.pb")) == []


def test_what_stands_in_the_way_is_refused(
    run_of_reviews: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    (tmp_path / "models").write_text("")
    assert "name a folder" in refused("export", run_of_reviews, "--to", tmp_path / "models")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / models_config.FILE).write_text("model_config_list {\n  oops\n}")
    said = refused("export", run_of_reviews, "--to", tmp_path / "other")
    assert "models.config" in said
    assert "2:" in said or "3:" in said
