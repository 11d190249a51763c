"""The gate's checks one by one, on versions that are wrong in one way each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gate_models import export_classifier, export_function, export_pair, export_stock
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from apps.export.gate.answers import judge
from apps.export.gate.graph import open_version
from apps.export.gate.kernels import check_kernels
from apps.export.gate.native import answers_without_python
from apps.export.gate.requests import requests_for
from apps.export.gate.session import answers_in_session
from apps.export.gate.swap import check_swap
from apps.export.gate.verdict import RefusedError, SkippedError
from apps.export.golden import WARM_UP, read_records, request, write_records

GRAPH = "saved_model.pb"
DATA = "variables/variables.data-00000-of-00001"
INDEX = "variables/variables.index"


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_classifier(tmp_path_factory.mktemp("exported") / "1")


@pytest.fixture
def version(exported: Path, tmp_path: Path) -> Path:
    """A good version of the test's own, to be spoilt."""
    return Path(shutil.copytree(exported, tmp_path / "1"))


@pytest.fixture(scope="module")
def stock_gpu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_stock(tmp_path_factory.mktemp("stock") / "1", gpu=True)


def run(folder: Path) -> str:
    """The session's check, in this process."""
    version = open_version(folder)
    requests = requests_for(version)
    return judge(requests, answers_in_session(version, requests, lambda what: None))


def change_graph(folder: Path, change: Callable[[saved_model_pb2.SavedModel], object]) -> None:
    model = saved_model_pb2.SavedModel.FromString((folder / GRAPH).read_bytes())
    change(model)
    (folder / GRAPH).write_bytes(model.SerializeToString())


def change_records(
    folder: Path, change: Callable[[prediction_log_pb2.PredictionLog], object], times: int = 1
) -> None:
    (log,) = read_records(folder / WARM_UP)
    change(log)
    write_records(folder / WARM_UP, [log] * times)


def cut(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: cut(folder / GRAPH), "saved_model.pb is damaged"),
        (lambda folder: (folder / GRAPH).write_bytes(b""), "saved_model.pb holds no graph"),
        (lambda folder: (folder / GRAPH).write_bytes(b"\x08\x09onnx"), "saved_model.pb is damaged"),
        (lambda folder: cut(folder / DATA), "incomplete or damaged"),
        (lambda folder: flip(folder / DATA), "incomplete or damaged"),
        (lambda folder: (folder / DATA).unlink(), "incomplete or damaged"),
        (lambda folder: cut(folder / INDEX), "incomplete or damaged"),
        (lambda folder: (folder / INDEX).unlink(), "variables.index is missing"),
        (lambda folder: shutil.rmtree(folder / "variables"), "variables.index is missing"),
    ],
)
def test_damaged_files_are_refused(
    version: Path, spoil: Callable[[Path], object], reason: str
) -> None:
    open_version(version)
    spoil(version)
    with pytest.raises(RefusedError, match=reason) as refused:
        open_version(version)
    assert refused.value.remedy
    assert "\n" not in refused.value.detail


def test_only_a_graph_for_serving_with_signatures_will_do(version: Path) -> None:
    def retag(model: saved_model_pb2.SavedModel) -> None:
        model.meta_graphs.append(model.meta_graphs[0])
        for meta, tag in zip(model.meta_graphs, ("train", "gpu"), strict=True):
            meta.meta_info_def.tags[:] = ["serve", tag] if tag == "gpu" else [tag]

    change_graph(version, retag)
    with pytest.raises(
        RefusedError, match=r"no graph tagged \{serve\}.*\{train\} and \{gpu, serve\}"
    ):
        open_version(version)
    change_graph(version, lambda model: model.meta_graphs[1].meta_info_def.tags.remove("gpu"))
    assert "1 with a kernel for each device" in check_kernels(open_version(version))
    change_graph(version, lambda model: model.meta_graphs[1].signature_def.clear())
    with pytest.raises(RefusedError, match="no signature"):
        open_version(version)


def test_a_missing_asset_is_named(version: Path) -> None:
    def name_asset(model: saved_model_pb2.SavedModel) -> None:
        model.meta_graphs[0].asset_file_def.add(filename="vocabulary.txt")

    change_graph(version, name_asset)
    with pytest.raises(RefusedError, match=r"assets/vocabulary.txt is missing"):
        open_version(version)


def test_a_loop_passes_unless_the_version_says_that_it_is_ours(tmp_path: Path) -> None:
    folder = export_stock(tmp_path / "1", gpu=False)
    assert "a while loop, which never runs on cuDNN" in check_kernels(open_version(folder))
    (folder / "assets.extra").mkdir()
    (folder / "assets.extra" / "about.json").write_text("{}")
    with pytest.raises(RefusedError, match="while loop on a GPU, not on cuDNN"):
        check_kernels(open_version(folder))


def test_an_export_of_ours_without_its_golden_answers_is_refused(version: Path) -> None:
    folder = version.parent / "2"
    shutil.copytree(version, folder)
    (folder / "assets.extra").mkdir(exist_ok=True)
    (folder / "assets.extra" / "about.json").write_text("{}")
    (folder / WARM_UP).unlink(missing_ok=True)
    with pytest.raises(RefusedError, match="golden answers is missing"):
        requests_for(open_version(folder))


def test_a_call_back_into_python_is_refused(tmp_path: Path) -> None:
    module = tf.Module()
    module.run = tf.function(
        lambda x: {"y": tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), [None])},
        input_signature=[tf.TensorSpec([None], tf.float32, "x")],
    )
    tf.saved_model.save(module, str(tmp_path / "1"), {"serving_default": module.run})
    with pytest.raises(RefusedError, match="calls back into Python"):
        check_kernels(open_version(tmp_path / "1"))


@pytest.mark.parametrize(
    ("trap", "reason"),
    [("unused", "an output of the call is not used"), ("constant", "a constant argument")],
)
def test_a_specialised_call_is_found_by_reading_and_by_optimising(
    tmp_path: Path, trap: str, reason: str
) -> None:
    trapped = open_version(export_pair(tmp_path / "1", **{trap: True}))
    # On a CPU nothing is wrong with it, which is why it needs the other two checks.
    assert run(tmp_path / "1").startswith("2 requests made up")
    with pytest.raises(RefusedError, match=reason):
        check_kernels(trapped)
    with pytest.raises(RefusedError, match=r"on a GPU .*_cpu_.*in place of .*specialised the call"):
        check_swap(trapped)


def test_each_device_is_left_its_kernel(tmp_path: Path, exported: Path) -> None:
    for folder in (exported, export_pair(tmp_path / "1")):
        assert "a GPU CudnnRNNV3 and a CPU BlockLSTMV2" in check_swap(open_version(folder))


def test_a_call_that_is_tied_to_a_device_is_refused(version: Path) -> None:
    def tie(model: saved_model_pb2.SavedModel) -> None:
        graph = model.meta_graphs[0].graph_def
        nodes = [node for function in graph.library.function for node in function.node_def]
        for node in [*graph.node, *nodes]:
            if "PartitionedCall" in node.op:
                node.device = "/device:CPU:0"

    change_graph(version, tie)
    with pytest.raises(RefusedError, match="on a GPU the kernel for the other device remains"):
        check_swap(open_version(version))


def test_without_two_kernels_there_is_nothing_to_swap(stock_gpu: Path) -> None:
    with pytest.raises(SkippedError):
        check_swap(open_version(stock_gpu))


def alter(log: prediction_log_pb2.PredictionLog, name: str, value: object) -> None:
    log.predict_log.response.outputs[name].CopyFrom(tf.make_tensor_proto(value))


def golden(log: prediction_log_pb2.PredictionLog, name: str) -> np.ndarray:
    return tf.make_ndarray(log.predict_log.response.outputs[name])


def refer_to(signature: str) -> Callable[[prediction_log_pb2.PredictionLog], object]:
    def change(log: prediction_log_pb2.PredictionLog) -> None:
        log.predict_log.request.model_spec.signature_name = signature

    return change


def as_session_log(log: prediction_log_pb2.PredictionLog) -> None:
    log.session_run_log.SetInParent()


def one_percent(log: prediction_log_pb2.PredictionLog) -> None:
    alter(log, "probabilities", golden(log, "probabilities") * 1.01)


def other_label(log: prediction_log_pb2.PredictionLog) -> None:
    alter(log, "label", [b"positive"] * 3 + [b"neutral"])


def fewer_rows(log: prediction_log_pb2.PredictionLog) -> None:
    alter(log, "probabilities", golden(log, "probabilities")[1:])


def other_names(log: prediction_log_pb2.PredictionLog) -> None:
    log.predict_log.response.outputs["score"].CopyFrom(tf.make_tensor_proto(0.5))


def other_input(log: prediction_log_pb2.PredictionLog) -> None:
    log.predict_log.request.inputs["words"].CopyFrom(log.predict_log.request.inputs["text"])


def numbers(log: prediction_log_pb2.PredictionLog) -> None:
    log.predict_log.request.inputs["text"].CopyFrom(tf.make_tensor_proto([1, 2]))


def torn_tensor(log: prediction_log_pb2.PredictionLog) -> None:
    log.predict_log.response.outputs["probabilities"].tensor_content = b"torn"


@pytest.mark.parametrize(
    ("change", "times", "reason"),
    [
        (
            one_percent,
            1,
            r"record 1 to signature serving_default: probabilities\[\d, \d\] is \d",
        ),
        (other_label, 1, r"label\[\d\] is '.*', the golden one '.*'"),
        (fewer_rows, 1, r"has shape \(4, 2\), the golden one \(3, 2\)"),
        (other_names, 1, "golden answers label, probabilities, score"),
        (other_input, 1, "record 1 has the inputs text, words, but .* takes text"),
        (numbers, 1, "input text is int32, but signature serving_default takes string"),
        (torn_tensor, 1, "tensor probabilities is damaged"),
        (refer_to("summary"), 1, "asks for signature summary, but there is only"),
        (as_session_log, 1, "session_run_log"),
        (lambda log: None, 1001, "more than 1000 records"),
    ],
)
def test_a_record_that_the_model_does_not_bear_out_is_refused(
    version: Path,
    change: Callable[[prediction_log_pb2.PredictionLog], object],
    times: int,
    reason: str,
) -> None:
    change_records(version, change, times)
    with pytest.raises(RefusedError, match=reason):
        run(version)


def test_a_damaged_warm_up_file_is_refused(version: Path) -> None:
    flip(version / WARM_UP)
    with pytest.raises(RefusedError, match=r"record \d is damaged") as refused:
        run(version)
    assert str(version) not in refused.value.detail
    assert "TensorFlow Serving would refuse" in refused.value.remedy


def test_rounding_passes_and_a_missing_response_is_said(version: Path) -> None:
    change_records(
        version, lambda log: alter(log, "probabilities", golden(log, "probabilities") + 5e-5)
    )
    assert "outputs within 5e-05 of the golden ones" in run(version)
    change_records(version, lambda log: log.predict_log.ClearField("response"))
    assert "no golden answers to compare with" in run(version)


def test_examples_reach_a_classify_signature(tmp_path: Path) -> None:
    def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        feature = {"x": tf.io.FixedLenFeature([], tf.float32)}
        return {"scores": tf.io.parse_example(inputs, feature)["x"][:, None]}

    folder = export_function(tmp_path / "1", classify, tf.TensorSpec([None], tf.string, "inputs"))
    # Made-up texts are no examples; that is not the model's fault.
    with pytest.raises(SkippedError, match="can use none"):
        run(folder)
    log = prediction_log_pb2.PredictionLog()
    example = log.classify_log.request.input.example_list.examples.add()
    example.features.feature["x"].float_list.value.append(0.5)
    write_records(folder / WARM_UP, [log])
    assert run(folder).startswith("1 warm-up requests")


def test_answers_that_are_not_finite(tmp_path: Path) -> None:
    def logarithm(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": tf.math.log(x)}

    folder = export_function(tmp_path / "1", logarithm, tf.TensorSpec([None], name="x"))
    assert "2 answers to them not finite" in run(folder)
    log = prediction_log_pb2.PredictionLog()
    asked = request("toy", "serving_default", {"x": np.zeros(2, "float32")})
    log.predict_log.request.CopyFrom(asked)
    write_records(folder / WARM_UP, [log])
    with pytest.raises(RefusedError, match="y is not finite"):
        run(folder)
    log.predict_log.response.outputs["y"].CopyFrom(tf.make_tensor_proto([-np.inf, -np.inf]))
    log.predict_log.response.outputs["y"].dtype = tf.float32.as_datatype_enum
    write_records(folder / WARM_UP, [log])
    assert "the golden ones" in run(folder)


def test_an_unknown_operation_is_named(version: Path) -> None:
    def invent(model: saved_model_pb2.SavedModel) -> None:
        model.meta_graphs[0].graph_def.node.add(name="new", op="Sentencepiece")

    change_graph(version, invent)
    with pytest.raises(RefusedError, match="operation Sentencepiece"):
        run(version)


def test_both_ways_of_running_fail_on_cudnn(stock_gpu: Path) -> None:
    version = open_version(stock_gpu)
    requests = requests_for(version)
    for answers in (
        answers_in_session(version, requests, lambda what: None),
        answers_without_python(version, requests),
    ):
        with pytest.raises(RefusedError, match=r"No OpKernel.*CudnnRNNV3") as refused:
            judge(requests, answers)
        assert "CUDA_VISIBLE_DEVICES=-1" in refused.value.remedy
