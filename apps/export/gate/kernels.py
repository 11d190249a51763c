"""Whether each recurrent layer of a graph has a kernel on a CPU and on a GPU."""

from __future__ import annotations

import itertools

from apps.export.gate.graph import Version
from apps.export.gate.verdict import RefusedError
from apps.layers.doctor.diagnosis import Diagnosis
from apps.layers.doctor.graph import Functions
from apps.layers.doctor.saved import diagnose_meta_graph

CALLBACKS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
PORTABLE = "build the model with apps.layers.LSTM, whose export holds both kernels"


def check_kernels(version: Version) -> str:
    """Read from the graph which kernels a server would run, with a GPU and without.

    Args:
        version: the opened version.

    Returns:
        What was found, one line.

    Raises:
        RefusedError: a layer fails on a CPU, a server would not choose between its kernels, or a
            layer exported by this package lacks one of them.
    """
    _require_no_python(version)
    diagnoses = diagnose_meta_graph(version.meta)
    if not diagnoses:
        return "no recurrent layer"
    pinned = _pinned(version)
    for found in diagnoses:
        name = f"{found.layer} ({found.kind})"
        if found.cpu.startswith("fails"):
            raise RefusedError(f"{name} {found.cpu}: {found.reason}", found.remedy)
        # A bidirectional layer has a scope for each direction.
        if any(f"{scope}/".startswith(f"{found.layer}/") for scope in pinned):
            raise RefusedError(f"{name}: {found.reason}", found.remedy)
        if version.ours and "LSTM" in found.kind and not found.cudnn:
            raise RefusedError(f"{name} runs as {found.gpu} on a GPU, not on cuDNN", PORTABLE)
    return _summary(diagnoses)


def _require_no_python(version: Version) -> None:
    graph = version.meta.graph_def
    bodies = (function.node_def for function in graph.library.function)
    for node in itertools.chain(graph.node, *bodies):
        if node.op in CALLBACKS:
            raise RefusedError(
                f"{node.name} calls back into Python ({node.op}), which a server lacks",
                "build the model from TensorFlow's own operations",
            )


def _pinned(version: Version) -> set[str]:
    """Scopes of the kernels that a server does not exchange, although another exists."""
    graph = version.copied_meta().graph_def
    functions = Functions(graph.library, specialising=True)
    return {
        kernel.scope or "(no scope)"
        for device in ("GPU", "CPU")
        for kernel in functions.kernels(graph.node, device)
        if kernel.pinned
    }


def _summary(diagnoses: list[Diagnosis]) -> str:
    reached = sum(found.cudnn for found in diagnoses)
    loops = sum("while loop" in found.gpu for found in diagnoses)
    counts = {
        "with a kernel for each device": reached,
        "as a while loop, which never runs on cuDNN": loops,
        "with one kernel for every device": len(diagnoses) - reached - loops,
    }
    shown = "; ".join(f"{count} {how}" for how, count in counts.items() if count)
    return f"of {len(diagnoses)} recurrent layers {shown}"
