"""Diagnoses of SavedModels, from the graph alone: nothing is loaded or run."""

from pathlib import Path

from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

from apps.errors import UserError
from apps.layers.doctor.diagnosis import Diagnosis, merge_directions
from apps.layers.doctor.graph import Functions, Kernel

SAVED_MODEL = "saved_model.pb"
PORTABLE = "use apps.layers.LSTM, whose export holds both kernels"


def diagnose_saved_model(folder: Path) -> list[Diagnosis]:
    """Say which kernel a server with a GPU and one without would run for each recurrent layer.

    Args:
        folder: a SavedModel.

    Returns:
        One diagnosis for each recurrent layer that a signature leads to, in the graph's order.

    Raises:
        UserError: the folder's `saved_model.pb` cannot be read.
    """
    return diagnose_meta_graph(_read(folder / SAVED_MODEL))


def diagnose_meta_graph(meta: meta_graph_pb2.MetaGraphDef) -> list[Diagnosis]:
    """As `diagnose_saved_model`, for a graph that has been read already."""
    graph = meta.graph_def
    functions = Functions(graph.library, specialising=True)
    by_scope: dict[str, dict[str, list[Kernel]]] = {}
    for device in ("GPU", "CPU"):
        for kernel in functions.kernels(graph.node, device):
            by_scope.setdefault(kernel.scope, {}).setdefault(device, []).append(kernel)
    scopes = list(by_scope)
    return merge_directions(
        [_diagnosis(scope, by_scope[scope]) for scope in scopes],
        [_direction_of(scope, scopes) for scope in scopes],
    )


def _read(path: Path) -> meta_graph_pb2.MetaGraphDef:
    remedy = "copy or export the model again"
    try:
        model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except (DecodeError, OSError) as error:
        raise UserError(f"{path} is not a readable SavedModel ({error}); {remedy}") from error
    if not model.meta_graphs:
        raise UserError(f"{path} holds no graph; {remedy}")
    return model.meta_graphs[0]


def _direction_of(scope: str, scopes: list[str]) -> str | None:
    """The bidirectional layer of which a scope is a direction, judging by Keras's names."""
    parent, _, name = scope.rpartition("/")
    if not name.startswith(("forward_", "backward_")):
        return None
    directions = {
        s.rpartition("/")[2].partition("_")[0] for s in scopes if s.startswith(parent + "/")
    }
    return parent if {"forward", "backward"} <= directions else None


def _diagnosis(scope: str, kernels: dict[str, list[Kernel]]) -> Diagnosis:
    on_gpu, on_cpu = kernels.get("GPU", []), kernels.get("CPU", [])
    reason, remedy = _explain(on_gpu, on_cpu)
    return Diagnosis(
        layer=scope or "(no scope)",
        kind=_cell(on_gpu + on_cpu),
        gpu=_failure([k for k in on_gpu if k.xla], "XLA") or _joined(on_gpu),
        cpu=_failure(on_cpu, "a CPU") or _joined(on_cpu),
        cudnn=bool(on_gpu) and all(kernel.cudnn for kernel in on_gpu),
        reason=reason,
        remedy=remedy,
    )


def _failure(kernels: list[Kernel], where: str) -> str:
    """Say that kernels cannot run where there is no cuDNN, "" if they can."""
    impossible = dict.fromkeys(k.name for k in kernels if k.name.startswith("Cudnn"))
    return f"fails: no {' or '.join(impossible)} on {where}" if impossible else ""


def _explain(on_gpu: list[Kernel], on_cpu: list[Kernel]) -> tuple[str, str]:
    kernels = on_gpu + on_cpu
    pinned = next((kernel.pinned for kernel in kernels if kernel.pinned), "")
    if pinned:
        return (
            f"the graph holds both kernels, but {pinned}: a server specialises it and keeps one",
            "let both kernels return only what is used and take no constants; export again",
        )
    if any(kernel.xla for kernel in kernels):
        return (
            "compiled by XLA, which cannot hold cuDNN and must be switched on in a CPU's server",
            "export without jit_compile=True",
        )
    if kernels and all(kernel.portable for kernel in kernels):
        return "the graph holds both kernels, and the server's device takes its own", ""
    if _failure(on_cpu, "a CPU"):
        return (
            "exported on a host with a GPU: Keras put cuDNN's operation into the graph",
            f"export where no GPU is visible (CUDA_VISIBLE_DEVICES=-1), or {PORTABLE}",
        )
    lstm = {kernel.cell for kernel in kernels} == {"LSTM"}
    if "while loop" not in {kernel.name for kernel in kernels}:
        return f"the graph holds {_joined(kernels)} for every device", PORTABLE if lstm else ""
    return (
        "exported with a loop: on a host without a GPU, or because the layer does not suit cuDNN",
        "run the doctor on the Keras model to see which" + (f"; {PORTABLE}" if lstm else ""),
    )


def _cell(kernels: list[Kernel]) -> str:
    known = dict.fromkeys(kernel.cell for kernel in kernels if kernel.cell != "RNN")
    return " + ".join(known) or "RNN"


def _joined(kernels: list[Kernel]) -> str:
    return " + ".join(dict.fromkeys(kernel.label for kernel in kernels)) or "none"
