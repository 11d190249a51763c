"""The two directions of a bidirectional LSTM merged into one operation."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

# The axis of directions among the axes of each output of ONNX's LSTM.
_AXES = (1, 0, 0)


def merge_directions(graph: onnx.GraphProto) -> None:
    """Merge two LSTMs over the same steps, whose results are joined, into a bidirectional one.

    Args:
        graph: changed in place; afterwards its nodes are not in the order in which they run.
    """
    merging = True
    while merging:
        view = _View(graph)
        found = [node for node in graph.node if node.op_type == "LSTM"]
        forward, reverse = (
            [node for node in found if _attribute(node, "direction") == direction]
            for direction in ("forward", "reverse")
        )
        merging = any(_merge(graph, view, ahead, back) for ahead in forward for back in reverse)


class _View:
    """The readers of each value, the graph's outputs and its constants."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.readers[name].append(node)
        self.outputs = {output.name for output in graph.output}
        self.constants = {tensor.name: tensor for tensor in graph.initializer}

    def only_reader(self, name: str) -> onnx.NodeProto | None:
        readers = self.readers[name]
        return readers[0] if len(readers) == 1 and name not in self.outputs else None

    def read(self, name: str) -> bool:
        return bool(self.readers[name]) or name in self.outputs


def _merge(
    graph: onnx.GraphProto, view: _View, ahead: onnx.NodeProto, back: onnx.NodeProto
) -> bool:
    inputs = [[*node.input, *[""] * (8 - len(node.input))] for node in (ahead, back)]
    same_steps = inputs[0][0] == inputs[1][0] and inputs[0][4] == inputs[1][4]
    same_width = _attribute(ahead, "hidden_size") == _attribute(back, "hidden_size")
    same_states = [bool(name) for name in inputs[0][5:7]] == [bool(n) for n in inputs[1][5:7]]
    if not (same_steps and same_width and same_states):
        return False
    joins = {}
    for index in range(3):
        one, other = ahead.output[index], back.output[index]
        if view.read(one) or view.read(other):
            join = _join(view, one, other)
            if join is None:
                return False
            joins[index] = join
    weights = [
        _joined_constant(graph, view, f"{ahead.name}/{back.name}/{index}", pair)
        for index, pair in enumerate(zip(inputs[0][1:4], inputs[1][1:4], strict=True))
    ]
    states = []
    for one, other in zip(inputs[0][5:7], inputs[1][5:7], strict=True):
        states.append(f"{one}/both" if one else "")
        if one:
            graph.node.append(helper.make_node("Concat", [one, other], states[-1:], axis=0))
    outputs = [f"{ahead.name}/both/{index}" for index in range(3)]
    units = _attribute(ahead, "hidden_size")
    both = helper.make_node(
        "LSTM",
        [inputs[0][0], *weights, inputs[0][4], *states],
        outputs,
        name=f"{ahead.name}/both",
        hidden_size=units,
        direction="bidirectional",
    )
    graph.node.append(both)
    for index, join in joins.items():
        rank = 4 if index == 0 else 3
        order = [axis for axis in range(rank) if axis != _AXES[index]]
        order.insert(rank - 2, _AXES[index])
        shape = f"{outputs[index]}/shape"
        wide = np.array([0] * (rank - 2) + [2 * units], np.int64)
        graph.initializer.append(numpy_helper.from_array(wide, shape))
        last = f"{outputs[index]}/directions_last"
        graph.node.append(
            helper.make_node("Transpose", outputs[index : index + 1], [last], perm=order)
        )
        graph.node.append(helper.make_node("Reshape", [last, shape], list(join.output)))
        graph.node.remove(join)
    graph.node.remove(ahead)
    graph.node.remove(back)
    return True


def _join(view: _View, one: str, other: str) -> onnx.NodeProto | None:
    """The node that joins two directions of an output, if nothing else reads them."""
    squeezed = [view.only_reader(name) for name in (one, other)]
    if any(node is None or node.op_type != "Squeeze" for node in squeezed):
        return None
    names = [node.output[0] for node in squeezed if node is not None]
    joins = [view.only_reader(name) for name in names]
    join = joins[0]
    if join is None or join is not joins[1] or join.op_type != "Concat":
        return None
    return join if list(join.input) == names else None


def _joined_constant(graph: onnx.GraphProto, view: _View, name: str, pair: tuple[str, str]) -> str:
    arrays = [numpy_helper.to_array(view.constants[part]) for part in pair]
    graph.initializer.append(numpy_helper.from_array(np.concatenate(arrays), name))
    return name


def _attribute(node: onnx.NodeProto, name: str) -> Any:
    value = next(helper.get_attribute_value(a) for a in node.attribute if a.name == name)
    return value.decode() if isinstance(value, bytes) else value
