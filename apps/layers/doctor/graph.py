"""Recurrent computations in a TensorFlow graph, and their kernels on each kind of device."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from tensorflow.core.framework import function_pb2, node_def_pb2, types_pb2

LOOPS = frozenset({"While", "StatelessWhile"})
# One step of a fused cell or a whole sequence; the value is what the operation computes.
FUSED_CELLS = {
    "BlockLSTM": "LSTM",
    "BlockLSTMV2": "LSTM",
    "LSTMBlockCell": "LSTM",
    "GRUBlockCell": "GRU",
}
CUDNN = re.compile(r"CudnnRNN(V[23])?$")
CUDNN_CELLS = {b"lstm": "LSTM", b"gru": "GRU", b"rnn_tanh": "SimpleRNN", b"rnn_relu": "SimpleRNN"}
PRODUCT = re.compile(r"_?(Fused)?(Batch)?MatMul(V[23])?$|Einsum$|(Depthwise)?Conv[123]?D")
FLOATS = frozenset(
    {types_pb2.DT_FLOAT, types_pb2.DT_HALF, types_pb2.DT_BFLOAT16, types_pb2.DT_DOUBLE}
)
# A search takes as its next input what it has chosen by its last output, which no kernel can do.
CHOICE = re.compile(r"TopK(V2)?$|ArgMax$|(Stateless)?Multinomial$")
# Keras splits the gates of an LSTM in four, those of a GRU in three.
CELL_OF_SPLITS = {4: "LSTM", 3: "GRU"}


@dataclass(frozen=True)
class Kernel:
    """One recurrent computation on one kind of device.

    Attributes:
        name: the operation, such as `CudnnRNNV3`, or `while loop`.
        cell: `LSTM`, `GRU`, `SimpleRNN`, `ConvLSTM` or `RNN`, as far as the graph tells.
        scope: name scope of the computation: the path of its layer.
        portable: the graph also holds an equivalent implementation for the other kind of device,
            and the choice is made when the graph runs.
        pinned: why a server will not swap the implementations; empty if it will.
        xla: whether XLA compiles it.
    """

    name: str
    cell: str
    scope: str
    portable: bool = False
    pinned: str = ""
    xla: bool = False

    @property
    def label(self) -> str:
        return f"{self.name} (XLA)" if self.xla else self.name

    @property
    def cudnn(self) -> bool:
        return CUDNN.match(self.name) is not None and not self.xla


class Functions:
    """A graph's function library, and the implementations that may replace one another.

    Args:
        library: the library of a `GraphDef`.
        specialising: whether the process that runs the graph specialises function calls before
            it swaps implementations, as the loader of TensorFlow Serving does.
    """

    def __init__(self, library: function_pb2.FunctionDefLibrary, specialising: bool = False):
        self._by_name = {function.signature.name: function for function in library.function}
        self._specialising = specialising
        self._equals: dict[tuple[str, str], str] = {}
        for name, function in self._by_name.items():
            device = _text(function, "api_preferred_device")
            self._equals[_interface(function), device] = name

    def called_by(self, node: node_def_pb2.NodeDef) -> Iterator[function_pb2.FunctionDef]:
        """The functions that a node names, in the order of its attributes."""
        if node.op in self._by_name:
            yield self._by_name[node.op]
        for key in sorted(node.attr):
            value = node.attr[key]
            names = [value.func.name, *(f.name for f in value.list.func)]
            yield from (self._by_name[name] for name in names if name in self._by_name)

    def implementation(
        self, function: function_pb2.FunctionDef, device: str
    ) -> function_pb2.FunctionDef | None:
        """The function that runs in place of `function` on a kind of device.

        Args:
            function: a function of this library.
            device: `GPU` or `CPU`.

        Returns:
            A function, possibly the same one; `None` if no other implementation exists.
        """
        interface = _interface(function)
        both = {kind: self._equals.get((interface, kind)) for kind in ("GPU", "CPU")}
        if not interface or None in both.values():
            return None
        return self._by_name[str(both[device])]

    def kernels(
        self, nodes: Iterable[node_def_pb2.NodeDef], device: str, results: Iterable[str] = ()
    ) -> list[Kernel]:
        """Find every recurrent computation that nodes of a graph lead to.

        Args:
            nodes: nodes of one graph or of one function's body.
            device: `GPU` or `CPU`, where the graph runs.
            results: names of the tensors that the graph returns, which count as used.

        Returns:
            Kernels, in the nodes' order.
        """
        return list(self._walk(list(nodes), device, "", frozenset(), set(results)))

    def _walk(
        self,
        nodes: list[node_def_pb2.NodeDef],
        device: str,
        prefix: str,
        entered: frozenset[str],
        results: set[str],
    ) -> Iterator[Kernel]:
        for node in nodes:
            scope = _scope(prefix, node.name)
            if CUDNN.match(node.op):
                # A SavedModel leaves out attributes at their default, here "lstm".
                mode = node.attr["rnn_mode"].s if "rnn_mode" in node.attr else b"lstm"
                yield Kernel(node.op, CUDNN_CELLS[mode], scope)
            elif node.op in FUSED_CELLS:
                yield Kernel(node.op, FUSED_CELLS[node.op], scope)
            elif node.op in LOOPS:
                body = self._by_name[node.attr["body"].func.name]
                within = list(self._body(body, device, prefix, entered))
                if not within and not self._chooses(body) and self._is_recurrence(body):
                    within = [Kernel("while loop", self._cell(body), scope)]
                yield from within
            else:
                for function in self.called_by(node):
                    if function.signature.name not in entered:
                        yield from self._call(
                            node, nodes, function, device, scope, entered, results
                        )

    def _call(self, node, nodes, function, device, scope, entered, results) -> Iterator[Kernel]:
        chosen = self.implementation(function, device)
        xla = any(
            "_XlaMustCompile" in a and a["_XlaMustCompile"].b for a in (node.attr, function.attr)
        )
        if chosen is None:
            within = self._body(function, device, scope, entered)
            yield from (replace(kernel, xla=kernel.xla or xla) for kernel in within)
            return
        pinned = ""
        if self._specialising and "_nospecialize" not in function.attr:
            pinned = _specialised_for(node, nodes, function, results)
        # Scopes inside the implementations are their own; the layer's is that of the call.
        within = self._body(function if pinned else chosen, device, "", entered)
        for kernel in within:
            yield replace(kernel, scope=scope, portable=True, pinned=pinned, xla=kernel.xla or xla)

    def _body(self, function, device, prefix, entered) -> Iterator[Kernel]:
        entered = entered | {function.signature.name}
        results = set(function.ret.values())
        return self._walk(list(function.node_def), device, prefix, entered, results)

    def _holds_product(self, node: node_def_pb2.NodeDef) -> bool:
        if PRODUCT.match(node.op):
            return True
        return any(
            self._holds_product(inner)
            for function in self.called_by(node)
            for inner in function.node_def
        )

    def _chooses(self, body: function_pb2.FunctionDef) -> bool:
        """Whether a loop is a search."""
        return any(CHOICE.match(node.op) for node in self._all_nodes(body))

    def _is_recurrence(self, body: function_pb2.FunctionDef) -> bool:
        """Whether a loop's next state depends on a product of its current state."""
        inputs = [argument.name for argument in body.signature.input_arg]
        dtypes = [argument.type for argument in body.signature.input_arg]
        outputs = [body.ret[argument.name] for argument in body.signature.output_arg]
        nodes = {node.name: node for node in body.node_def}
        changing = {
            name
            for name, dtype, output in zip(inputs, dtypes, outputs, strict=True)
            if dtype in FLOATS and _source(output, nodes) != name
        }
        stack = [
            (_node_of(o), False) for i, o in zip(inputs, outputs, strict=True) if i in changing
        ]
        seen = set()
        while stack:
            name, through_product = stack.pop()
            if (name, through_product) in seen:
                continue
            seen.add((name, through_product))
            if name in changing and through_product:
                return True
            if name in nodes:
                product = through_product or self._holds_product(nodes[name])
                stack += [(_node_of(i), product) for i in nodes[name].input if i[0] != "^"]
        return False

    def _cell(self, body: function_pb2.FunctionDef) -> str:
        nodes = list(self._all_nodes(body))
        if any("Conv" in node.op for node in nodes):
            return "ConvLSTM"
        splits = {node.attr["num_split"].i for node in nodes if node.op in ("Split", "SplitV")}
        for count, cell in CELL_OF_SPLITS.items():
            if count in splits:
                return cell
        # With dropout inside the recurrence there is no split; only Keras's names are left.
        names = " ".join(node.name for node in nodes)
        return next((cell for cell in ("LSTM", "GRU") if f"{cell.lower()}_cell" in names), "RNN")

    def _all_nodes(self, function: function_pb2.FunctionDef) -> Iterator[node_def_pb2.NodeDef]:
        for node in function.node_def:
            yield node
            for inner in self.called_by(node):
                yield from self._all_nodes(inner)


def _text(function: function_pb2.FunctionDef, attribute: str) -> str:
    # Reading an attribute that is not there would add it to the graph.
    return function.attr[attribute].s.decode() if attribute in function.attr else ""


def _interface(function: function_pb2.FunctionDef) -> str:
    """The interface that a function implements, "" if it implements none.

    Functions with one interface may replace one another. The halves of a
    differentiable function carry its name too, and replace only like halves.
    """
    name = _text(function, "api_implements")
    if "backward_function_name" in function.attr:
        return name and f"{name} forward"
    return name and f"{name} backward" if "forward_function_name" in function.attr else name


def _specialised_for(node, nodes, function, results) -> str:
    """Why the function optimiser specialises a call, "" if it does not.

    A specialised copy no longer counts as an implementation of its interface. Measured with
    TensorFlow 2.21's v1 loader, which is the one that TensorFlow Serving uses.
    """
    constants = {n.name for n in nodes if n.op == "Const"}
    if any(_node_of(tensor) in constants for tensor in node.input):
        return "the call has a constant argument"
    used = results.union(*(other.input for other in nodes))
    for index in range(len(function.signature.output_arg)):
        # A function's body and a graph name the same tensor differently.
        spellings = {f"{node.name}:output:{index}", f"{node.name}:{index}"}
        if index == 0:
            spellings.add(node.name)
        if not spellings & used:
            return "an output of the call is not used"
    return ""


def _node_of(tensor: str) -> str:
    return tensor.split(":")[0]


def _source(tensor: str, nodes: dict[str, node_def_pb2.NodeDef]) -> str:
    """The node or argument that a tensor comes from, through identities."""
    name = _node_of(tensor)
    while name in nodes and nodes[name].op == "Identity":
        name = _node_of(nodes[name].input[0])
    return name


def _scope(prefix: str, name: str) -> str:
    scope = name.rpartition("/")[0]
    # Bodies of loops carry their full scope; those of functions start from an empty one.
    if not scope or scope == prefix:
        return prefix
    return scope if not prefix or scope.startswith(prefix + "/") else f"{prefix}/{scope}"
