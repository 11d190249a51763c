"""The client against the local server, over both of its protocols."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import protocol_server
import pytest
import tensorflow as tf

from apps.serving import CallError, Client

LABELS = ["long", "short"]


class Lengths(tf.Module):
    """Whether a text is short, and the running sum of a stream, in units of the version."""

    def __init__(self, version: int) -> None:
        super().__init__()
        self.version = tf.Variable(float(version))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        long = tf.cast(tf.strings.length(text), tf.float32) / 10.0 * self.version
        scores = tf.nn.softmax(tf.stack([long, tf.ones_like(long)], axis=1))
        labels = tf.tile([LABELS], [tf.size(text), 1])
        best = tf.gather(labels, tf.argmax(scores, -1), axis=1, batch_dims=1)
        return {"label": best, "labels": labels, "probabilities": scores}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None], tf.float32, name="samples"),
            tf.TensorSpec([None, 1], tf.float32, name="state_sum"),
        ]
    )
    def step(self, samples: tf.Tensor, state_sum: tf.Tensor) -> dict[str, tf.Tensor]:
        total = state_sum + tf.reduce_sum(samples, axis=1, keepdims=True) * self.version
        return {"running": total[:, 0], "state_sum": total}


def publish(base: Path, version: int) -> None:
    module = Lengths(version)
    beside = base / f".{version}"
    signatures = {"serving_default": module.serve, "step": module.step}
    tf.saved_model.save(module, os.fspath(beside), signatures=signatures)
    beside.rename(base / str(version))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[protocol_server.Server]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "lengths").mkdir()
    publish(folder / "lengths", 1)
    shutil.copytree(folder / "lengths", folder / "swapped")
    with protocol_server.serving(folder) as server:
        yield server


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest, server: protocol_server.Server) -> str:
    address = server.address
    port = address.port if request.param == "grpc" else address.rest_port
    return f"{request.param}://127.0.0.1:{port}"


def test_both_transports_give_the_same_answers(server: protocol_server.Server, url: str) -> None:
    texts = ["", "a", "☃" * 50, "x" * 100_000]
    with Client(url) as client:
        found = client.predict(texts, "lengths")
        assert [answer["label"] for answer in found] == ["short", "short", "long", "long"]
        for text, answer in zip(texts, found, strict=True):
            long = np.exp(min(len(text.encode()) / 10, 80.0))
            wanted = {"long": long / (long + np.e), "short": np.e / (long + np.e)}
            assert answer["probabilities"] == pytest.approx(wanted, abs=1e-6)
        raw = client.predict_raw({"text": [b"\xff\xfe"]}, "lengths")
        assert raw["probabilities"].shape == (1, 2)
        (entry,) = client.status("lengths")
        assert (entry.version, entry.state, entry.error_code) == (1, "AVAILABLE", "OK")
        with pytest.raises(CallError, match="NOT_FOUND: "):
            client.predict(["a"], "widths")


def test_a_stream_in_chunks_equals_the_whole(url: str) -> None:
    samples = np.arange(12, dtype=np.float32)
    with Client(url) as client, client.stream("lengths") as session:
        for chunk in np.array_split(samples, 4):
            last = session.send(chunk)
        assert last == {"running": samples.sum()}


def test_a_process_without_tensorflow_asks_the_server(server: protocol_server.Server) -> None:
    code = (
        "import json, sys\n"
        "from apps.serving import Client\n"
        "found = [Client(url).predict(['a'], 'lengths')[0]['label'] for url in sys.argv[1:]]\n"
        "print(json.dumps([found, sorted(sys.modules)]))"
    )
    urls = [f"grpc://127.0.0.1:{server.address.port}", server.url]
    done = subprocess.run(
        [sys.executable, "-c", code, *urls], capture_output=True, text=True, check=True
    )
    found, modules = json.loads(done.stdout)
    assert found == ["short", "short"]
    loaded = {name.split(".")[0] for name in modules}
    assert not loaded & {"tensorflow", "keras", "tensorflow_serving", "gradio"}


def test_a_new_version_takes_over_under_load_and_ends_streams(
    server: protocol_server.Server,
) -> None:
    urls = [f"grpc://127.0.0.1:{server.address.port}", server.url]
    swapped = threading.Event()

    def keep_asking(url: str) -> None:
        with Client(url, attempts=1) as client:
            while not swapped.is_set():
                client.predict(["a", "bb"], "swapped", timeout_s=protocol_server.HANG_S)

    with Client(urls[0]) as client, client.stream("swapped") as session:
        assert session.send([1.0]) == {"running": 1.0}
        with ThreadPoolExecutor(4) as threads:
            asking = [threads.submit(keep_asking, url) for url in urls * 2]
            publish(server.folder / "swapped", 2)
            protocol_server.wait_until(lambda: client.metadata("swapped").version == 2)
            swapped.set()
            assert [each.exception() for each in asking] == [None] * 4
        with pytest.raises(CallError, match="version 1, which this stream began with"):
            session.send([1.0])
    with Client(server.url) as client, client.stream("swapped") as session:
        assert session.send([1.0]) == {"running": 2.0}
