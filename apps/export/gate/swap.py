"""Whether TensorFlow's optimiser leaves each device the kernel made for it.

Our graphs call the kernel for CPUs and declare the one for GPUs as equivalent; the optimiser of the
serving process exchanges them. Other passes of that optimiser can silently prevent the exchange.
Here the optimiser runs with all its passes for a GPU, which need not exist. What it leaves a CPU is
seen when the version is run: no kernel for GPUs would run there.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from tensorflow.core.framework import graph_pb2, node_def_pb2
from tensorflow.core.protobuf import config_pb2, device_properties_pb2, meta_graph_pb2
from tensorflow.python.grappler import cluster, tf_optimizer

from apps.export.gate.graph import Version
from apps.export.gate.verdict import RefusedError, SkippedError
from apps.layers.doctor.graph import CUDNN, FUSED_CELLS, Functions

DEVICE = "/job:localhost/replica:0/task:0/device:{}:0"
# The suffix that the function optimiser gives to a copy of a function for one of its calls.
COPY = re.compile(r"_specialized_for_.*")
REMEDY = (
    "let both kernels return only what is used, take no constants and stay free of tf.device; "
    "export again"
)


@dataclass
class _Reached:
    """Nodes, operations and functions that an answer depends on."""

    nodes: set[str] = field(default_factory=set)
    operations: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)

    @property
    def originals(self) -> set[str]:
        return {COPY.sub("", name) for name in self.functions}


def check_swap(version: Version) -> str:
    """Optimise every signature for a GPU, and check which kernels remain.

    Args:
        version: the opened version.

    Returns:
        What was found, one line.

    Raises:
        RefusedError: on a GPU the kernel for CPUs remains.
        SkippedError: no layer holds two kernels.
    """
    kernels: dict[str, set[str]] = {"GPU": set(), "CPU": set()}
    exchanged = 0
    for name, signature in version.signatures.items():
        graph = version.copied_meta().graph_def
        pairs = _pairs(graph, signature)
        if not pairs:
            continue
        exchanged += 1
        left = _optimised_for_gpu(version, signature, pairs)
        _require_kernels(name, pairs, left)
        own = _called([cpu for cpu, _ in pairs], Functions(graph.library))
        for device, reached in (("GPU", left), ("CPU", own)):
            kernels[device] |= {
                operation
                for operation in reached.operations
                if CUDNN.match(operation) or operation in FUSED_CELLS
            }
    if not exchanged:
        raise SkippedError("no layer holds two kernels to choose from")
    shown = {device: " and ".join(sorted(found)) or "a loop" for device, found in kernels.items()}
    return (
        f"the optimiser leaves a GPU {shown['GPU']} and a CPU {shown['CPU']}, "
        f"in {exchanged} of {len(version.signatures)} signatures"
    )


def _require_kernels(signature: str, pairs: set[tuple[str, str]], reached: _Reached) -> None:
    for cpu, gpu in pairs:
        if cpu in reached.originals:
            specialised = " (the optimiser specialised the call)"
            raise RefusedError(
                f"signature {signature}: on a GPU the kernel for the other device remains, "
                f"{cpu} in place of {gpu}{'' if cpu in reached.functions else specialised}",
                REMEDY,
            )
        if gpu not in reached.originals:
            raise RefusedError(
                f"signature {signature}: on a GPU the optimiser leaves no call of {gpu}", REMEDY
            )


def _pairs(
    graph: graph_pb2.GraphDef, signature: meta_graph_pb2.SignatureDef
) -> set[tuple[str, str]]:
    """Pairs of equivalent functions for a CPU and for a GPU, of which one is called."""
    functions = Functions(graph.library)
    library = {function.signature.name: function for function in graph.library.function}
    pairs = set()
    for name in _reach(graph, signature).functions:
        cpu = functions.implementation(library[name], "CPU")
        gpu = functions.implementation(library[name], "GPU")
        if cpu is not None and gpu is not None:
            pairs.add((cpu.signature.name, gpu.signature.name))
    return pairs


def _item(
    version: Version, signature: meta_graph_pb2.SignatureDef, pairs: set[tuple[str, str]]
) -> meta_graph_pb2.MetaGraphDef:
    """The part of a graph that a signature needs, with both functions of each pair."""
    item = version.copied_meta()
    item.signature_def.clear()
    item.signature_def["asked"].CopyFrom(signature)
    reached = _reach(version.copied_meta().graph_def, signature, also=itertools.chain(*pairs))
    # Most of a library is gradients, which no request needs and which would take most of the time.
    for parts, name_of, kept in (
        (item.graph_def.node, lambda node: node.name, reached.nodes),
        (item.graph_def.library.function, lambda f: f.signature.name, reached.functions),
    ):
        wanted = [part for part in parts if name_of(part) in kept]
        del parts[:]
        parts.extend(wanted)
    # Collections may name nodes that were removed.
    item.collection_def.clear()
    return item


def _optimised_for_gpu(
    version: Version, signature: meta_graph_pb2.SignatureDef, pairs: set[tuple[str, str]]
) -> _Reached:
    """What remains of a signature after the optimiser has run for a host with a GPU."""
    item = _item(version, signature, pairs)
    for node in item.graph_def.node:
        # Before it optimises, a session puts nodes without a device on its best device.
        node.device = node.device or DEVICE.format("GPU")
    devices = [_device(kind) for kind in ("CPU", "GPU")]
    settings = config_pb2.ConfigProto()
    # Otherwise a short graph is left alone here, but optimised where a session runs its functions.
    settings.graph_options.rewrite_options.min_graph_nodes = -1
    host = cluster.Cluster(devices=devices)
    try:
        graph = tf_optimizer.OptimizeGraph(settings, item, verbose=False, cluster=host)
    finally:
        host.Shutdown()
    return _reach(graph, signature)


def _device(kind: str) -> device_properties_pb2.NamedDevice:
    device = device_properties_pb2.NamedDevice(name=DEVICE.format(kind))
    # The optimiser divides by some of these values; it does not matter that there is no such
    # device.
    device.properties.type = kind
    device.properties.num_cores = 8
    device.properties.frequency = 1000
    device.properties.memory_size = 1 << 30
    device.properties.environment["architecture"] = "7.0"
    return device


def _reach(
    graph: graph_pb2.GraphDef, signature: meta_graph_pb2.SignatureDef, also: Iterable[str] = ()
) -> _Reached:
    """What a signature's answers depend on, as if it also called the functions `also`."""
    nodes = {node.name: node for node in graph.node}
    functions = Functions(graph.library)
    reached = _Reached()
    waiting = [_node_of(output.name) for output in signature.outputs.values()]
    waiting += [_node_of(feed.name) for feed in signature.inputs.values()]
    while waiting:
        name = waiting.pop()
        if name in nodes and name not in reached.nodes:
            reached.nodes.add(name)
            _enter([nodes[name]], functions, reached)
            waiting.extend(_node_of(tensor) for tensor in nodes[name].input)
    more = _called(also, functions)
    reached.operations |= more.operations
    reached.functions |= more.functions
    return reached


def _called(names: Iterable[str], functions: Functions) -> _Reached:
    """What calls of these functions depend on."""
    reached = _Reached()
    _enter([node_def_pb2.NodeDef(op=name) for name in names], functions, reached)
    return reached


def _enter(nodes: Iterable[node_def_pb2.NodeDef], functions: Functions, reached: _Reached) -> None:
    for node in nodes:
        reached.operations.add(node.op)
        for function in functions.called_by(node):
            if function.signature.name not in reached.functions:
                reached.functions.add(function.signature.name)
                _enter(function.node_def, functions, reached)


def _node_of(tensor: str) -> str:
    return tensor.removeprefix("^").split(":")[0]
