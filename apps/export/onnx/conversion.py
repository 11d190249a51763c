"""A Keras model as an ONNX graph whose LSTMs are fused."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from onnx import helper, numpy_helper

from apps.errors import UserError, cause_of
from apps.export.onnx.directions import merge_directions
from apps.export.onnx.naming import arrange
from apps.export.onnx.recurrence import Tracing
from apps.layers.doctor.tracing import places
from apps.layers.kernels.dispatch import kernels_as
from apps.layers.lstm import LSTM

OPSET = 18
# The size limit of a protobuf message, which both TensorFlow's graph and ONNX's model are.
MOST_BYTES = 2**31 - 2**20

# Operations that a recurrence becomes if it is not fused.
_UNFUSED = ("Loop", "Scan", "BlockLSTM", "BlockLSTMV2", "CudnnRNNV3")
# A search goes on from what it has chosen, which no fused recurrence does.
_CHOICES = {"TopK", "ArgMax", "Multinomial"}
_PRODUCTS = {"MatMul", "Gemm", "Einsum"}
_DOMAINS = ("", "ai.onnx")
# Matrices of this many entries stay out of the conversion, which copies its constants often.
_LARGE = 2**18


def convert(model: keras.Model, name: str) -> onnx.ModelProto:
    """Make an ONNX graph of a model.

    Args:
        model: functional, with dense tensors as inputs.
        name: the name of the graph, and of the model in messages.

    Returns:
        A graph with the model's inputs by name and the output `outputs`, or the model's outputs by
        name where it has several. It computes in float32 whatever the model's policy.

    Raises:
        UserError: the model is too large, or holds operations or inputs that ONNX lacks.
    """
    texts = [tensor.name for tensor in model.inputs if tensor.dtype == "string"]
    if texts:
        raise UserError(
            f"{name}: the input '{texts[0]}' is text, which ONNX cannot process; turn it into "
            "numbers before the model on prepared tensors, or export without --onnx"
        )
    size = sum(int(np.prod(weight.shape)) * 4 for weight in model.weights)
    if size > MOST_BYTES:
        raise UserError(
            f"{name}: {size / 2**30:.1f} GiB of weights, and an ONNX file holds at most 2 GiB; "
            "train a smaller model, or export without --onnx"
        )
    tracing = Tracing()
    large = _large_matrices(model)

    def call(*given: tf.Tensor) -> Mapping[str, tf.Tensor]:
        inputs, matrices = given[: -len(large) or None], given[len(model.inputs) :]
        # The scope also prevents assignments: Keras advances seeds even where nothing is drawn.
        scope = keras.StatelessScope(list(zip(large.values(), matrices, strict=True)))
        with scope, kernels_as(tracing):
            return outputs_by_name(model, [tensor.name for tensor in model.inputs], inputs)

    signature = [tf.TensorSpec(t.shape, t.dtype, name=t.name) for t in model.inputs]
    signature += [tf.TensorSpec(m.shape, m.dtype, name=n) for n, m in large.items()]
    function = tf.function(call, autograph=False)
    converted = _through_tf2onnx(model, function, signature, name)
    _make_constant(converted.graph, {**large, **_captured(function, signature)})
    _refuse_strangers(converted, model, name)
    _expect_lstms(converted, tracing.placed, model, name)
    merge_directions(converted.graph)
    converted.graph.name = name
    converted.graph.doc_string = ""
    converted.producer_name, converted.producer_version = "apps", ""
    arrange(converted)
    return converted


def outputs_by_name(
    model: keras.Model, names: list[str], given: tuple[tf.Tensor, ...]
) -> Mapping[str, tf.Tensor]:
    """Call a model in inference mode.

    A single output is called `outputs`. One with the name of an input, such as a carried state, is
    called `next_NAME`, since ONNX has one value of a name.
    """
    outputs = model(dict(zip(names, given, strict=True)), training=False)
    if not isinstance(outputs, dict):
        return {"outputs": outputs}
    return {f"next_{name}" if name in names else name: value for name, value in outputs.items()}


@contextlib.contextmanager
def in_float32(model: keras.Model) -> Iterator[None]:
    """Let a model compute in float32, whatever policy it was made with.

    Its variables are float32 under mixed precision too. A CPU gains nothing from half precision,
    and TensorFlow and onnxruntime round at different places.
    """
    layers = [place.layer for place in places(model)]
    before = [(layer, layer.dtype_policy) for layer in layers]
    try:
        for layer, policy in before:
            if policy.compute_dtype in ("float16", "bfloat16"):
                layer.dtype_policy = "float32"
        yield
    finally:
        for layer, policy in before:
            layer.dtype_policy = policy


def operations(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """All nodes of a graph and of the graphs inside it."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from operations(attribute.g)


def directions(graph: onnx.GraphProto) -> int:
    """Number of fused LSTMs; a bidirectional one counts twice."""
    count = 0
    for node in operations(graph):
        if node.op_type == "LSTM":
            given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            count += 2 if given.get("direction") == b"bidirectional" else 1
    return count


def _large_matrices(model: keras.Model) -> dict[str, keras.Variable]:
    """Embedding tables and other large matrices, by their names during conversion."""
    lstms = [place.layer for place in places(model) if isinstance(place.layer, keras.layers.LSTM)]
    # ONNX's LSTM needs these in its own layout, which the conversion makes.
    own = {id(weight) for layer in lstms for weight in layer.weights}
    large = (
        weight
        for weight in model.weights
        if len(weight.shape) == 2 and np.prod(weight.shape) >= _LARGE and id(weight) not in own
    )
    return {f"large_matrix_{number}": weight for number, weight in enumerate(large)}


def _captured(function: Any, signature: list[tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """Tensors that layers hold beside their variables, by the inputs that stand for them.

    Keras's Normalization holds mean and variance so.
    """
    captures = function.get_concrete_function(*signature).graph.captures
    return {
        placeholder.name: value
        for value, placeholder in captures
        if value.dtype not in (tf.resource, tf.variant)
    }


def _make_constant(graph: onnx.GraphProto, values: Mapping[str, Any]) -> None:
    """Turn inputs whose values are known into constants."""
    known = [value.name for value in graph.input if value.name in values]
    kept = [value for value in graph.input if value.name not in values]
    del graph.input[:]
    graph.input.extend(kept)
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(values[name]), name) for name in known
    )


def _through_tf2onnx(
    model: keras.Model,
    function: Any,
    signature: list[tf.TensorSpec],
    name: str,
) -> onnx.ModelProto:
    import tf2onnx

    from apps.export.onnx.handlers import HANDLERS, drop_double_reversal

    try:
        with _quiet("tensorflow", "tf2onnx"), in_float32(model):
            converted, _ = tf2onnx.convert.from_function(
                function,
                signature,
                opset=OPSET,
                custom_op_handlers=dict(HANDLERS),
                custom_rewriter=[drop_double_reversal],
            )
    # A converter may raise anything; the user's remedy is the same.
    except Exception as error:
        raise UserError(
            f"{name}: cannot be converted to ONNX ({cause_of(error)}); export without --onnx"
        ) from error
    return converted


def _refuse_strangers(converted: onnx.ModelProto, model: keras.Model, name: str) -> None:
    """Refuse operations unknown to tf2onnx, which leaves them in a file that cannot be opened."""
    kinds = {(node.op_type, node.domain) for node in operations(converted.graph)}
    recurrences = (node.op_type for node in operations(converted.graph) if _is_recurrence(node))
    unfused = sorted({kind for kind in recurrences if kind in _UNFUSED})
    if unfused:
        raise UserError(
            f"{name}: {', '.join(unfused)} in the graph, made of {_recurrent(model)}; "
            "use apps.layers.LSTM with use_cudnn left out, or export without --onnx"
        )
    strange = sorted(
        kind
        for kind, domain in kinds
        if domain not in _DOMAINS or not onnx.defs.has(kind, max_inclusive_version=OPSET)
    )
    if strange:
        raise UserError(
            f"{name}: ONNX has no {', '.join(strange)}; keep such operations out of the model on "
            "prepared tensors, or export without --onnx"
        )


def _is_recurrence(node: onnx.NodeProto) -> bool:
    """Whether it is one, or a loop with products in it that does not choose its next step."""
    bodies = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    inside = {inner.op_type for body in bodies for inner in operations(body)}
    return not bodies or (bool(inside & _PRODUCTS) and not inside & _CHOICES)


def _expect_lstms(converted: onnx.ModelProto, placed: int, model: keras.Model, name: str) -> None:
    stock = sum(
        isinstance(place.layer, keras.layers.LSTM) and not isinstance(place.layer, LSTM)
        for place in places(model)
    )
    found = directions(converted.graph)
    if found != placed + stock:
        raise UserError(
            f"{name}: {found} fused LSTM operations for {placed + stock} LSTM directions of "
            f"{_recurrent(model)}; use apps.layers.LSTM, or export without --onnx"
        )


def _recurrent(model: keras.Model) -> str:
    layers = [place for place in places(model) if isinstance(place.layer, keras.layers.RNN)]
    named = [f"{type(place.layer).__name__} '{place.path}'" for place in layers]
    return ", ".join(named) or "no recurrent layer"


@contextlib.contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Silence loggers that report as errors what is checked here afterwards, with a remedy."""
    noisy = [(logging.getLogger(name), logging.getLogger(name).level) for name in loggers]
    for logger, _ in noisy:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in noisy:
            logger.setLevel(level)
