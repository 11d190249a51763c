"""A SavedModel version: whole, numbered, and independent of this package."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import apps
from apps.errors import UserError
from apps.layers.doctor import diagnose_file

TEXTS = ["The acting is not dull.", "", "Ünïcode 👍 and <br /> tags"]

STRANGER = """
import json, sys
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
answers = model.signatures["serving_default"](text=tf.constant(json.loads(sys.argv[2])))
assert "apps" not in sys.modules
print(json.dumps({name: tensor.numpy().tolist() for name, tensor in answers.items()},
                 default=lambda value: value.decode()))
"""


@pytest.fixture(scope="module")
def version(run_of_reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return apps.load(run_of_reviews).export(tmp_path_factory.mktemp("models"))


def test_a_process_without_this_package_gives_the_same_answers(
    version: Path, run_of_reviews: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", STRANGER, str(version), json.dumps(TEXTS)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    served = json.loads(done.stdout)
    ours = apps.load(run_of_reviews).predict(TEXTS)
    assert served["label"] == [answer["label"] for answer in ours]
    expected = [list(answer["probabilities"].values()) for answer in ours]
    np.testing.assert_allclose(served["probabilities"], expected, atol=1e-5)


def test_versions_count_up_and_leave_nothing_beside_them(
    version: Path, run_of_reviews: Path
) -> None:
    assert version.name == "1"
    second = apps.load(run_of_reviews).export(version.parent.parent)
    assert second.name == "2"
    assert sorted(entry.name for entry in version.parent.iterdir()) == ["1", "2"]


def test_both_devices_have_their_kernel(version: Path) -> None:
    diagnoses = diagnose_file(version)
    assert diagnoses
    assert all(d.cudnn and d.gpu == "CudnnRNNV3" and d.cpu == "BlockLSTMV2" for d in diagnoses)


def test_a_file_in_place_of_the_folder_is_refused(run_of_reviews: Path, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(UserError, match="name a folder"):
        apps.load(run_of_reviews).export(tmp_path / "models")
