"""The doctor's verdicts on files, compared with loading and running them."""

import importlib
import shutil
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import kernels

from apps.errors import UserError
from apps.layers import LSTM
from apps.layers.doctor import diagnose_file, render

L = keras.layers


def model_of(*layers):
    return keras.Sequential([keras.Input((None, 3)), *layers])


def pretend_host(monkeypatch, gpu):
    recurrent = importlib.import_module("keras.src.backend.tensorflow.rnn")
    monkeypatch.setattr(recurrent, "_is_gpu_available", lambda: gpu)


def export(model, folder):
    model.export(folder, verbose=False)
    return folder


def serve(folder, x):
    """Run a SavedModel's default signature on a CPU, through TensorFlow Serving's loader."""
    no_gpu = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.compat.v1.Session(config=no_gpu) as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(folder))
        signature = meta.signature_def["serving_default"]
        (tensor,) = signature.inputs.values()
        outputs = {name: output.name for name, output in signature.outputs.items()}
        return session.run(outputs, {tensor.name: x})


X = np.zeros((2, 5, 3), "float32")


def test_cudnn_has_no_kernel_on_a_cpu():
    registered = kernels.get_registered_kernels_for_op("CudnnRNNV3").kernel
    assert "CPU" not in {kernel.device_type for kernel in registered}


def test_stock_export_from_a_cpu_holds_a_loop_for_ever(tmp_path, monkeypatch):
    pretend_host(monkeypatch, gpu=False)
    layers = [
        L.Bidirectional(L.LSTM(2, return_sequences=True)),
        L.GRU(2, return_sequences=True),
        L.GRU(2, return_sequences=True, recurrent_dropout=0.2),
        L.SimpleRNN(2, return_sequences=True),
        L.LSTM(2),
        L.Dense(1),
    ]
    folder = export(model_of(*layers), tmp_path / "1")
    diagnoses = diagnose_file(folder)
    assert [d.kind for d in diagnoses] == ["Bidirectional(LSTM)", "GRU", "GRU", "RNN", "LSTM"]
    for diagnosis, layer in zip(diagnoses, layers, strict=False):
        assert (diagnosis.gpu, diagnosis.cpu, diagnosis.cudnn) == (
            "while loop",
            "while loop",
            False,
        )
        assert f"/{layer.name}" in diagnosis.layer
        assert "Keras model" in diagnosis.remedy
    serve(folder, X)


def test_stock_export_from_a_gpu_fails_on_a_cpu(tmp_path, monkeypatch):
    model = model_of(L.LSTM(2, return_sequences=True), L.Bidirectional(L.GRU(2)))
    pretend_host(monkeypatch, gpu=True)
    folder = export(model, tmp_path / "1")
    monkeypatch.undo()

    diagnoses = diagnose_file(folder)
    assert [d.kind for d in diagnoses] == ["LSTM", "Bidirectional(GRU)"]
    for diagnosis in diagnoses:
        assert (diagnosis.gpu, diagnosis.cudnn) == ("CudnnRNNV3", True)
        assert diagnosis.cpu == "fails: no CudnnRNNV3 on a CPU"
        assert "CUDA_VISIBLE_DEVICES=-1" in diagnosis.remedy
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"No OpKernel.*CudnnRNNV3"):
        serve(folder, X)


def test_ours_exports_both_kernels(tmp_path):
    model = model_of(LSTM(2, return_sequences=True), L.Bidirectional(LSTM(2)))
    folder = export(model, tmp_path / "1")
    diagnoses = diagnose_file(folder)
    assert [d.kind for d in diagnoses] == ["LSTM", "Bidirectional(LSTM)"]
    for diagnosis in diagnoses:
        assert (diagnosis.gpu, diagnosis.cudnn, diagnosis.remedy) == ("CudnnRNNV3", True, "")
        assert "fails" not in diagnosis.cpu
        assert "both kernels" in diagnosis.reason
    serve(folder, X)


def _pair(keep, states):
    """A module that calls a GPU implementation, with a CPU implementation beside it.

    On a CPU it runs only if the loader swaps the two. `keep` of the three outputs are used, and
    `states` makes the initial states.
    """

    def cpu(x, h, c, weights):
        def step(t, h, c):
            i, f, g, o = tf.split(tf.concat([x[:, t], h], 1) @ weights, 4, 1)
            c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
            return t + 1, tf.sigmoid(o) * tf.tanh(c), c

        _, h, c = tf.while_loop(lambda t, *_: t < tf.shape(x)[1], step, [0, h, c])
        return x * tf.reduce_sum(h), h, c

    def gpu(x, h, c, weights):
        bias = tf.zeros([weights.shape[1]])
        out = tf.raw_ops.CudnnRNNV3(
            input=x,
            input_h=h[:, None],
            input_c=c[:, None],
            params=tf.concat([tf.reshape(tf.transpose(weights), [-1]), bias, bias], 0),
            sequence_lengths=tf.fill([tf.shape(x)[0]], tf.shape(x)[1]),
            time_major=False,
        )
        return x * tf.reduce_sum(out.output), out.output_h[:, 0], out.output_c[:, 0]

    def implementation(function, device):
        attributes = {"api_implements": "lstm_pair", "api_preferred_device": device}
        return tf.function(function, autograph=False, experimental_attributes=attributes)

    module = tf.Module()
    module.weights = tf.Variable(tf.random.normal([5, 8]))

    @tf.function(input_signature=[tf.TensorSpec([2, None, 3])])
    def call(x):
        h, c = states(x), states(x)
        arguments = (x, h, c, tf.convert_to_tensor(module.weights))
        outputs = implementation(gpu, "GPU")(*arguments)
        implementation(cpu, "CPU").get_concrete_function(*arguments).add_to_graph()
        return {str(index): outputs[index] for index in range(keep)}

    module.call = call
    return module


@pytest.mark.parametrize(
    ("keep", "states", "specialise", "trap"),
    [
        (3, lambda x: x[:, 0, :2], True, ""),
        (1, lambda x: x[:, 0, :2], True, "an output of the call is not used"),
        (3, lambda x: tf.zeros([2, 2]), True, "a constant argument"),
        (1, lambda x: tf.zeros([2, 2]), False, ""),
    ],
    ids=["clean", "unused output", "constant argument", "not to be specialised"],
)
def test_the_exchange_is_trusted_only_where_the_loader_does_it(
    tmp_path, keep, states, specialise, trap
):
    module = _pair(keep, states)
    tf.saved_model.save(module, tmp_path, signatures=module.call)
    if not specialise:
        model = saved_model_pb2.SavedModel.FromString((tmp_path / "saved_model.pb").read_bytes())
        for function in model.meta_graphs[0].graph_def.library.function:
            if "api_implements" in function.attr:
                function.attr["_nospecialize"].b = True
        (tmp_path / "saved_model.pb").write_bytes(model.SerializeToString())

    (diagnosis,) = diagnose_file(tmp_path)
    assert diagnosis.kind == "LSTM"
    if trap:
        assert trap in diagnosis.reason
        assert diagnosis.remedy
        assert diagnosis.cpu.startswith("fails")
        with pytest.raises(tf.errors.InvalidArgumentError, match="No OpKernel"):
            serve(tmp_path, X)
    else:
        assert (diagnosis.gpu, diagnosis.cpu) == ("CudnnRNNV3", "while loop")
        serve(tmp_path, X)


def test_xla_is_named(tmp_path, monkeypatch):
    pretend_host(monkeypatch, gpu=False)
    module = tf.Module()
    module.layer = L.LSTM(2)
    module.layer.build((None, 4, 3))
    inner = tf.function(module.layer, jit_compile=True, autograph=False)
    module.call = tf.function(inner, input_signature=[tf.TensorSpec([None, 4, 3])])
    tf.saved_model.save(module, tmp_path, signatures=module.call)
    (diagnosis,) = diagnose_file(tmp_path)
    assert diagnosis.gpu == diagnosis.cpu == "while loop (XLA)"
    assert "jit_compile" in diagnosis.remedy


def test_xla_cannot_hold_cudnn(tmp_path, monkeypatch):
    pretend_host(monkeypatch, gpu=True)
    module = tf.Module()
    module.layer = L.LSTM(2)
    module.layer.build((None, 5, 3))
    inner = tf.function(module.layer, jit_compile=True, autograph=False)
    module.call = tf.function(inner, input_signature=[tf.TensorSpec([None, 5, 3])])
    tf.saved_model.save(module, tmp_path, signatures=module.call)
    (diagnosis,) = diagnose_file(tmp_path)
    assert not diagnosis.cudnn
    assert diagnosis.gpu == "fails: no CudnnRNNV3 on XLA"
    with pytest.raises(tf.errors.InvalidArgumentError, match="unsupported operations"):
        serve(tmp_path, X)


def test_block_operations_run_on_both(tmp_path):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None, 1, 3])])
    def call(x):
        state, peephole = tf.zeros([1, 2]), tf.zeros([2])
        out = tf.raw_ops.BlockLSTMV2(
            seq_len_max=tf.cast(tf.shape(x)[0], tf.int64),
            x=x,
            cs_prev=state,
            h_prev=state,
            w=tf.ones([5, 8]),
            wci=peephole,
            wcf=peephole,
            wco=peephole,
            b=tf.zeros([8]),
        )
        return out.h

    module.call = call
    tf.saved_model.save(module, tmp_path, signatures=call)
    (diagnosis,) = diagnose_file(tmp_path)
    assert (diagnosis.kind, diagnosis.gpu, diagnosis.cpu) == ("LSTM", "BlockLSTMV2", "BlockLSTMV2")


def test_keras_files_and_runs(tmp_path):
    model = model_of(LSTM(2, return_sequences=True), L.GRU(2, reset_after=False))
    model.save(tmp_path / "model.keras")
    for path in (tmp_path / "model.keras", str(tmp_path)):
        ours, stock = diagnose_file(path)
        assert (ours.kind, ours.cudnn) == ("LSTM", True)
        assert (stock.kind, stock.cudnn) == ("GRU", False)


def test_no_recurrent_layer(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, activation="tanh")])
    assert diagnose_file(export(model, tmp_path / "1")) == []


def test_bad_paths_are_the_users_fault(tmp_path):
    folder = export(model_of(L.LSTM(2)), tmp_path / "models" / "12")
    graph = (folder / "saved_model.pb").read_bytes()
    model_of(L.LSTM(2)).save(tmp_path / "good.keras")
    archive = (tmp_path / "good.keras").read_bytes()

    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no model")
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "short.keras").write_bytes(archive[: len(archive) // 2])
    with zipfile.ZipFile(tmp_path / "hollow.keras", "w") as hollow:
        hollow.writestr("config.json", "{}")
    for name, content in {"short": graph[: len(graph) // 2], "blank": b"", "noise": b"no"}.items():
        shutil.copytree(folder, tmp_path / name)
        (tmp_path / name / "saved_model.pb").write_bytes(content)

    expected = {
        "missing": "does not exist",
        "empty": "holds neither",
        "models": "versions 12; name one",
        "notes.txt": "is no model",
        "text.keras": "is no model",
        "short.keras": "cannot be loaded",
        "hollow.keras": "cannot be loaded",
        "short": "not a readable SavedModel",
        "blank": "holds no graph",
        "noise": "not a readable SavedModel",
    }
    for name, message in expected.items():
        with pytest.raises(UserError, match=message) as raised:
            diagnose_file(tmp_path / name)
        assert name in str(raised.value)
        assert "\n" not in str(raised.value)


@keras.saving.register_keras_serializable("theirs")
class Theirs(keras.layers.Layer):
    """A layer of a user's, whose class is not known where the file is examined."""

    def call(self, x):
        return x


@pytest.fixture
def of_a_user(tmp_path):
    """Files of a model with the user's own layer between others."""
    i = keras.Input((None, 4))
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(Theirs(name="theirs")(i))
    x = keras.Sequential([L.GRU(2, reset_after=False, name="gru")], name="head")(x)
    model = keras.Model(i, x)
    for name in ("model.keras", "model.h5"):
        model.save(tmp_path / name)
    shutil.copy(tmp_path / "model.h5", tmp_path / "renamed.keras")
    shutil.copy(tmp_path / "model.keras", tmp_path / "renamed.h5")
    model.save_weights(tmp_path / "only.weights.h5")
    return tmp_path


@pytest.fixture
def without_their_class():
    known = keras.saving.get_custom_objects()
    taken = known.pop("theirs>Theirs")
    yield
    known["theirs>Theirs"] = taken


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "renamed.keras", "renamed.h5"])
def test_layers_around_an_unknown_class_are_examined(name, of_a_user, without_their_class):
    unknown, both, gru = diagnose_file(of_a_user / name)
    assert (unknown.layer, unknown.kind, unknown.gpu) == ("theirs", "Theirs", "unknown")
    assert "Could not locate class" in unknown.reason
    assert "diagnose_model" in unknown.remedy
    assert (both.layer, both.kind, both.cudnn) == ("both", "Bidirectional(LSTM)", True)
    assert (gru.layer, gru.cudnn) == ("head/gru", False)
    shown = render([unknown, both, gru])
    assert shown.endswith("1 of 2 recurrent layers on cuDNN.\nNot examined: theirs.")


def test_operations_beside_an_unknown_class_are_passed_over(tmp_path, without_their_class):
    known = keras.saving.get_custom_objects()
    known["theirs>Theirs"] = Theirs
    i = keras.Input((None, 4))
    file = tmp_path / "sliced.keras"
    keras.Model(i, L.LSTM(2, name="lstm")(Theirs(name="theirs")(i[:, 1:]) * 2.0)).save(file)
    del known["theirs>Theirs"]
    unknown, lstm = diagnose_file(file)
    assert (unknown.layer, lstm.layer, lstm.cudnn) == ("theirs", "lstm", True)


def test_a_whole_file_counts_by_its_content(of_a_user):
    for name in ("model.keras", "renamed.keras", "renamed.h5"):
        both, gru = diagnose_file(of_a_user / name)
        assert (both.cudnn, gru.cudnn) == (True, False)
        assert "on its own" not in both.reason


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_code_of_a_lambda_is_not_run(suffix, tmp_path):
    i = keras.Input((None, 4))
    file = tmp_path / f"model{suffix}"
    keras.Model(i, L.LSTM(2)(L.Lambda(lambda x: 2 * x, name="twice")(i))).save(file)
    unknown, lstm = diagnose_file(file)
    assert (unknown.layer, unknown.gpu, lstm.cudnn) == ("twice", "unknown", True)
    assert "not run" in unknown.reason


def test_files_that_are_no_whole_model_say_what_they_are(of_a_user, without_their_class):
    (of_a_user / "empty.keras").write_bytes(b"")
    whole = (of_a_user / "model.h5").read_bytes()
    (of_a_user / "short.h5").write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(of_a_user / "other.keras", "w") as other:
        other.writestr("notes.txt", "no model")
    alone = keras.Sequential([keras.Input((None, 4)), Theirs(name="theirs")])
    alone.save(of_a_user / "alone.keras")
    expected = {
        "empty.keras": "is empty",
        "short.h5": "truncated file",
        "other.keras": "holds no model's configuration",
        "only.weights.h5": "name the .keras file of the whole model",
        "alone.keras": "nor 'theirs' .*class 'Theirs'.*; import the module of its class",
    }
    for name, message in expected.items():
        with pytest.raises(UserError, match=message):
            diagnose_file(of_a_user / name)
