"""An application that reads streams has a `step` whose chunks give what the whole gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from streaming_toy import STATES

import apps
from apps import catalogue
from apps.export import saved_model
from apps.export.gate import Verdict
from apps.export.golden import WARM_UP, read_records


@pytest.fixture(scope="module")
def version(
    tmp_path_factory: pytest.TempPathFactory,
    reviews: list[dict[str, str]],
    small: dict[str, Any],
) -> Path:
    folder = tmp_path_factory.mktemp("stream")
    with pytest.MonkeyPatch.context() as patch:
        entry = catalogue.Entry("streaming_toy:Stream", "which label a text carries, as it comes")
        patch.setitem(catalogue.APPLICATIONS, "stream", entry)
        patch.setattr(saved_model, "verify", lambda folder, log: Verdict(folder, ()))
        settings = {**small, "epochs": 1, "ngrams": 0, "embeddings": "random"}
        run = apps.train("stream", reviews, run=folder / "run", log=lambda line: None, **settings)
        return run.export(folder / "models", log=lambda line: None)


def test_chunks_give_what_the_whole_gives(version: Path, small: dict[str, Any]) -> None:
    ids = np.random.default_rng(0).integers(2, 20, (1, 23)).astype(np.int32)
    with tf.compat.v1.Session(graph=tf.Graph()) as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(version))

        def ask(name: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
            signature = graph.signature_def[name]
            feeds = {signature.inputs[key].name: value for key, value in inputs.items()}
            return session.run({k: v.name for k, v in signature.outputs.items()}, feeds)

        whole = ask("tensors", ids=ids, lengths=np.array([23], np.int32))["outputs"]
        states = {name: np.zeros((1, small["units"]), np.float32) for name in STATES}
        for start in range(0, 23, 5):
            chunk = ids[:, start : start + 5]
            lengths = np.array([chunk.shape[1]], np.int32)
            answer = ask("step", ids=chunk, lengths=lengths, **states)
            states = {name: answer[name] for name in STATES}
    expected = np.exp(whole) / np.exp(whole).sum()
    np.testing.assert_allclose(answer["probabilities"][:, 0], expected, atol=1e-6)
    assert answer["labels"].tolist() == [[b"negative", b"positive"]]


def test_a_step_is_among_the_warm_up_requests(version: Path) -> None:
    logs = list(read_records(version / WARM_UP))
    steps = [log for log in logs if log.predict_log.request.model_spec.signature_name == "step"]
    assert len(steps) == 1
    assert set(STATES) < set(steps[0].predict_log.request.inputs)
    assert set(STATES) < set(steps[0].predict_log.response.outputs)
