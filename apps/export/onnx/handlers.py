"""Handlers for what tf2onnx lacks or gets wrong: LSTM placeholders and some operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import TensorProto
from tf2onnx import utils
from tf2onnx.graph import Graph, Node
from tf2onnx.graph_builder import GraphBuilder
from tf2onnx.onnx_opset.math import FloorDiv, FloorMod
from tf2onnx.onnx_opset.nn import Pad

from apps.export.onnx.recurrence import PLACEHOLDER, FusedLSTM

# Keras has the gates input, forget, cell, output; ONNX has input, output, forget, cell.
_GATES = [0, 3, 1, 2]
_INTEGERS = (TensorProto.INT32, TensorProto.INT64)


def _lstm(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Turn an LSTM's placeholder into ONNX's `LSTM`, with its weights in ONNX's layout."""
    fused = FusedLSTM.read(node.get_attr_str("token"))
    x, *weights = node.input[:4]
    rest = node.input[4:]
    for weight in weights:
        utils.make_sure(graph.is_const(weight), "the weights of %s are not constant", name)
    kernel, recurrent_kernel, bias = (
        graph.get_tensor_value(weight, as_list=False) for weight in weights
    )
    units = recurrent_kernel.shape[0]
    build = GraphBuilder(graph)
    lengths = rest[0] if fused.lengths else ""
    states = [build.make_unsqueeze({"data": state, "axes": [0]}) for state in rest[fused.lengths :]]
    outputs, dtypes = list(node.output), node.output_dtypes
    shapes = [graph.get_shape(output) for output in outputs]
    graph.remove_node(node.name)
    # Keras has one bias; ONNX has one for the input and one for the state.
    both = np.concatenate([_gates_first(bias, units), np.zeros_like(bias)])
    lstm = graph.make_node(
        "LSTM",
        [
            x,
            _constant(graph, f"{name}_W", _gates_first(kernel, units)[None]),
            _constant(graph, f"{name}_R", _gates_first(recurrent_kernel, units)[None]),
            _constant(graph, f"{name}_B", both[None]),
            lengths,
            *states,
        ],
        attr={"hidden_size": units, "direction": fused.direction},
        output_count=3,
        op_name_scope=name,
    )
    for index, axis in enumerate((1, 0, 0)):
        build.make_squeeze(
            {"data": lstm.output[index], "axes": [axis], "outputs": [outputs[index]]},
            shapes=[shapes[index]],
            dtypes=[dtypes[index]],
        )


def _gates_first(weight: np.ndarray, units: int) -> np.ndarray:
    """`(…, 4 * units)` in Keras's order to `(4 * units, …)` in ONNX's."""
    gates = weight.T.reshape(4, units, *weight.shape[:-1])[_GATES]
    return np.ascontiguousarray(gates.reshape(4 * units, *weight.shape[:-1]))


def _constant(graph: Graph, name: str, value: np.ndarray) -> str:
    return graph.make_const(utils.make_name(name), value).output[0]


def _floor_mod(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """`FloorMod` of integers equals ONNX's `Mod`; tf2onnx rounds the quotient towards zero."""
    if graph.get_dtype(node.input[0]) in _INTEGERS:
        node.type = "Mod"
    else:
        FloorMod.version_7(graph, node)


def _floor_div(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Subtract the remainder first: ONNX's `Div` of integers rounds towards zero."""
    if graph.get_dtype(node.input[0]) in _INTEGERS:
        remainder = graph.make_node("Mod", node.input).output[0]
        whole = graph.make_node("Sub", [node.input[0], remainder]).output[0]
        graph.replace_input(node, node.input[0], whole, 0)
        node.type = "Div"
    else:
        FloorDiv.version_6(graph, node)


def _comparison(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Compare integers as such; tf2onnx casts them to float32, which is inexact if large."""
    node.type = node.type.replace("Equal", "OrEqual")


def _where(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Use ONNX's `Where`, which is equal; tf2onnx multiplies, which turns infinity into NaN."""
    node.type = "Where"


def _top_k(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Sort integers as integers; tf2onnx casts them to float32, which is inexact for large ones."""
    count = GraphBuilder(graph).make_unsqueeze({"data": node.input[1], "axes": [0]})
    wide = graph.make_node("Cast", [count], attr={"to": TensorProto.INT64}).output[0]
    graph.replace_input(node, node.input[1], wide, 1)
    graph.insert_new_node_on_output("Cast", node.output[1], to=TensorProto.INT32)
    graph.set_dtype(node.output[1], TensorProto.INT64)
    node.type = "TopK"


def _complementary_error(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Express `Erfc`, which the exact `gelu` uses, by `Erf`: ONNX has no `Erfc`."""
    one = _constant(
        graph, "one", np.array(1, utils.map_onnx_to_numpy_type(graph.get_dtype(node.input[0])))
    )
    error = graph.make_node("Erf", [node.input[0]]).output[0]
    graph.replace_inputs(node, [one, error])
    node.type = "Sub"


def _pad(graph: Graph, node: Node, name: str, arguments: Any) -> None:
    """Cast a boolean padding value: tf2onnx casts the tensor to float32, but not the value."""
    if graph.get_dtype(node.input[0]) == TensorProto.BOOL:
        graph.insert_new_node_on_input(node, "Cast", node.input[2], to=TensorProto.FLOAT)
    Pad.version_11(graph, node)
    node.type = "Pad"


HANDLERS: dict[str, tuple[Callable[..., None], list[Any]]] = {
    PLACEHOLDER: (_lstm, []),
    "FloorDiv": (_floor_div, []),
    "FloorMod": (_floor_mod, []),
    "Erfc": (_complementary_error, []),
    "PadV2": (_pad, []),
    "SelectV2": (_where, []),
    "TopKV2": (_top_k, []),
    **{name: (_comparison, []) for name in ("Less", "LessEqual", "Greater", "GreaterEqual")},
}


def drop_double_reversal(graph: Graph, nodes: list[Node]) -> list[Node]:
    """Drop double reversals: `keras.layers.Bidirectional` undoes the LSTM's reversed order."""
    for node in nodes:
        inner = node.inputs[0] if node.type == "ReverseV2" else None
        if inner is not None and inner.type == "ReverseV2" and _axes(node) == _axes(inner):
            graph.replace_all_inputs(node.output[0], inner.input[0])
    return graph.get_nodes()


def _axes(reversal: Node) -> list[int]:
    rank = len(reversal.output_shapes[0])
    return sorted(axis % rank for axis in reversal.inputs[1].get_tensor_value())
