"""One loaded version: what it answers, what it refuses, and what is left of it afterwards."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from apps.export.golden import WARM_UP, record, request, write_records
from apps.serving.errors import Code, ServingError, http_status
from apps.serving.models.servable import Servable

Toys = Callable[[float], Path]
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def texts(*values: bytes) -> np.ndarray:
    return np.array(values, dtype=object)


@pytest.fixture(scope="module")
def servable(toys: Toys) -> Iterator[Servable]:
    loaded = Servable.load(toys(2.0), "toy", 7)
    yield loaded
    loaded.close()


@pytest.fixture
def copy(toys: Toys, tmp_path: Path) -> Path:
    """A SavedModel of the test's own, to be damaged."""
    return Path(shutil.copytree(toys(2.0), tmp_path / "1"))


def test_the_default_signature_answers_all_outputs(servable: Servable) -> None:
    answer = servable.run("", {"x": X})
    assert sorted(answer) == ["sum", "y"]
    np.testing.assert_array_equal(answer["y"], X * 2)
    np.testing.assert_array_equal(answer["sum"], X.sum(axis=1))


def test_only_the_outputs_asked_for(servable: Servable) -> None:
    assert list(servable.run("serving_default", {"x": X}, ["sum"])) == ["sum"]


def test_texts_are_bytes_of_any_kind(servable: Servable) -> None:
    answer = servable.run("shout", {"text": texts(b"", b"a\x00b", b"\xff\xfe", "é".encode())})
    assert answer["loud"].tolist() == [b"", b"A\x00B", b"\xff\xfe", "é".encode()]
    assert answer["bytes"].tolist() == [0, 3, 2, 2]


def test_an_empty_batch_has_an_empty_answer(servable: Servable) -> None:
    assert servable.run("", {"x": X[:0]})["y"].shape == (0, 3)
    assert servable.run("shout", {"text": texts()})["loud"].shape == (0,)


@pytest.mark.parametrize(
    ("signature", "inputs", "outputs", "code", "message"),
    [
        ("nope", {}, [], Code.FAILED_PRECONDITION, 'Serving signature key "nope" not found.'),
        ("__saved_model_init_op", {}, [], Code.INTERNAL, "Expected prediction signature"),
        (
            "add",
            {"a": X[0], "c": X[0]},
            [],
            Code.INVALID_ARGUMENT,
            "input size does not match signature: 2!=2 len({a,c}) != len({a,b}). "
            "Sent extra: {c}. Missing but required: {b}.",
        ),
        ("", {}, [], Code.INVALID_ARGUMENT, "Missing but required: {x}."),
        (
            "",
            {"x": X.astype(np.int64)},
            [],
            Code.INVALID_ARGUMENT,
            "Expects arg[0] to be float but int64 is provided",
        ),
        (
            "add",
            {"a": X[0], "b": texts(b"1")},
            [],
            Code.INVALID_ARGUMENT,
            "Expects arg[1] to be int32 but string is provided",
        ),
        ("", {"x": X[0]}, [], Code.INVALID_ARGUMENT, 'input "x" must have shape (None, 3)'),
        ("", {"x": X[:, :2]}, [], Code.INVALID_ARGUMENT, "(2, 2) is provided"),
        (
            "",
            {"x": X},
            ["z"],
            Code.INVALID_ARGUMENT,
            "output tensor alias not found in signature: z Outputs expected to be in the set "
            "{sum,y}.",
        ),
        ("", {"x": X}, ["y", "y"], Code.INVALID_ARGUMENT, "duplicate output tensor alias: y"),
        ("number", {"text": texts(b"1", b"x")}, [], Code.INVALID_ARGUMENT, "convert string: x"),
        ("number", {"text": np.array([None])}, [], Code.INTERNAL, "NoneType"),
    ],
)
def test_what_does_not_fit_is_refused_as_tensorflow_serving_does(
    servable: Servable,
    signature: str,
    inputs: dict[str, np.ndarray],
    outputs: list[str],
    code: Any,
    message: str,
) -> None:
    with pytest.raises(ServingError) as refusal:
        servable.run(signature, inputs, outputs)
    assert refusal.value.code is code
    assert message in refusal.value.message
    assert http_status(code) == (500 if code is Code.INTERNAL else 400)
    np.testing.assert_array_equal(servable.run("", {"x": X})["y"], X * 2)


def test_an_input_left_out_takes_its_default(copy: Path) -> None:
    file = copy / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    defaults = model.meta_graphs[0].signature_def["add"].defaults
    defaults["b"].CopyFrom(tf.make_tensor_proto([10, 20, 30], tf.int32))
    file.write_bytes(model.SerializeToString())
    loaded = Servable.load(copy, "toy", 1)
    assert loaded.run("add", {"a": X[0]})["sum"].tolist() == [10, 21, 32]
    with pytest.raises(ServingError, match=r"Missing but required: \{a\}"):
        loaded.run("add", {})
    loaded.close()


def test_many_threads_at_once_get_their_own_answers(servable: Servable) -> None:
    def ask(n: int) -> bool:
        x = np.full((1 + n % 3, 3), n, np.float32)
        return bool((servable.run("", {"x": x})["y"] == x * 2).all())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, range(400)))


def write_nothing(folder: Path) -> None:
    (folder / "saved_model.pb").write_bytes(b"")


def rename_tag(folder: Path) -> None:
    file = folder / "saved_model.pb"
    model = SavedModel.FromString(file.read_bytes())
    model.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "saved_model.pb").unlink(),
        lambda folder: os.truncate(folder / "saved_model.pb", 1000),
        lambda folder: shutil.rmtree(folder / "variables"),
        lambda folder: os.truncate(next(folder.glob("variables/*.data-*")), 1),
        write_nothing,
        rename_tag,
    ],
    ids=["no graph", "half a graph", "no variables", "half the variables", "empty", "other tag"],
)
def test_a_damaged_version_is_refused(copy: Path, damage: Callable[[Path], None]) -> None:
    damage(copy)
    with pytest.raises(ServingError) as refusal:
        Servable.load(copy, "toy", 1)
    assert refusal.value.code in {Code.NOT_FOUND, Code.OUT_OF_RANGE, Code.DATA_LOSS}


def test_warm_up_runs_what_the_version_carries(copy: Path) -> None:
    loaded = Servable.load(copy, "toy", 1)
    assert loaded.warm_up() == 0
    good = record(request("toy", "shout", {"text": texts(b"a")}), {})
    bad = record(request("toy", "number", {"text": texts(b"a")}), {})
    file = copy / WARM_UP
    write_records(file, [good, good])
    assert loaded.warm_up() == 2
    write_records(file, [good, bad])
    with pytest.raises(ServingError, match="could not correctly convert string"):
        loaded.warm_up()
    write_records(file, [good] * 1001)
    with pytest.raises(ServingError, match=r"exceeds the maximum \(1000\)"):
        loaded.warm_up()
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(ServingError, match="damaged"):
        loaded.warm_up()
    loaded.close()


def test_a_closed_version_is_unavailable(toys: Toys) -> None:
    loaded = Servable.load(toys(2.0), "toy", 1)
    loaded.close()
    with pytest.raises(ServingError) as refusal:
        loaded.run("", {"x": X})
    assert refusal.value.code is Code.UNAVAILABLE


def resident_mb() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_closing_gives_the_memory_back(toys: Toys) -> None:
    def load_and_close() -> tuple[weakref.ref[Any], ...]:
        loaded = Servable.load(toys(2.0), "toy", 1)
        loaded.run("", {"x": X})
        kept = weakref.ref(loaded._session), weakref.ref(loaded._session.graph)
        loaded.close()
        return kept

    load_and_close()
    before = resident_mb()
    left = [reference for _ in range(20) for reference in load_and_close()]
    assert not any(reference() is not None for reference in left)
    assert resident_mb() - before < 30
