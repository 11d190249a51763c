"""Order and names that depend only on the graph, so that equal models give equal files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain

import onnx


def arrange(model: onnx.ModelProto) -> None:
    """Put nodes and constants in the order of their use, and number them in that order.

    Nodes that no output needs are dropped. Inputs and outputs of the model keep their names.

    Args:
        model: changed in place; it may hold only ONNX's own operations.
    """
    graph = model.graph
    own = {value.name: value.name for value in (*graph.input, *graph.output)}
    opset = next(used.version for used in model.opset_import if not used.domain)
    _Arrangement(opset).arrange(graph, own)
    for value in (*graph.input, *graph.output):
        # Sizes of one name must be equal, which those of two sequences are not.
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.HasField("dim_value"):
                size.dim_param = "batch" if axis == 0 else f"{value.name}_axis_{axis}"


class _Arrangement:
    def __init__(self, opset: int) -> None:
        self._opset = opset
        self._count: Counter[str] = Counter()

    def arrange(self, graph: onnx.GraphProto, known: dict[str, str]) -> None:
        """Arrange a graph; `known` maps values of the graphs around it to their new names."""
        names = dict(known)
        constants = {tensor.name: tensor for tensor in graph.initializer}
        for value in graph.input:
            names.setdefault(value.name, self._next("Input"))
        nodes = _in_order_of_use(graph)
        for node in nodes:
            node.name = self._next(node.op_type)
            node.doc_string = ""
            schema = onnx.defs.get_schema(node.op_type, self._opset, node.domain)
            for index, name in enumerate(node.input):
                if name in constants:
                    names.setdefault(name, f"{node.name}.{_formal(schema.inputs, index)}")
            inside = _inside(node)
            for name in _reads(node):
                if name in constants and name not in names:
                    names[name] = self._next("Constant")
            for index, name in enumerate(node.output):
                names.setdefault(name, f"{node.name}.{_formal(schema.outputs, index)}")
            for inner in inside:
                self.arrange(inner, names)
        names[""] = ""
        for value in graph.output:
            names.setdefault(value.name, value.name)
        for node in nodes:
            node.input[:] = [names[name] for name in node.input]
            node.output[:] = [names[name] for name in node.output]
        used = [constants[name] for name in names if name in constants]
        for named in (*used, *graph.input, *graph.output):
            named.name = names[named.name]
        del graph.value_info[:], graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(used)

    def _next(self, kind: str) -> str:
        number = self._count[kind]
        self._count[kind] += 1
        return f"{kind}_{number}"


def _formal(parameters: Sequence[onnx.defs.OpSchema.FormalParameter], index: int) -> str:
    """The operation's name for an input or output; the last parameter may stand for several."""
    if index < len(parameters) - 1 or len(parameters) == index + 1:
        return parameters[index].name
    return f"{parameters[-1].name}_{index}"


def _in_order_of_use(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that outputs need, each after those that it reads."""
    makers = {name: node for node in graph.node for name in node.output if name}
    ordered: list[onnx.NodeProto] = []
    seen: set[str] = set()
    waiting = [(value.name, False) for value in reversed(graph.output)]
    while waiting:
        name, ready = waiting.pop()
        node = makers.get(name)
        if node is None:
            continue
        key = next(output for output in node.output if output)
        if ready:
            ordered.append(node)
        elif key not in seen:
            seen.add(key)
            waiting.append((name, True))
            waiting.extend((read, False) for read in reversed(_reads(node)))
    return ordered


def _reads(node: onnx.NodeProto) -> list[str]:
    """The names of the values that a node reads, itself or in the graphs inside it."""
    inner = (inner for graph in _inside(node) for inner in graph.node)
    return [*node.input, *chain.from_iterable(map(_reads, inner))]


def _inside(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.HasField("g")]
