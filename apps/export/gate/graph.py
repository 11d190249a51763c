"""The graph of a SavedModel, whole or refused: tags, signatures, variables, assets."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow.python.saved_model import loader_impl

from apps.errors import cause_of
from apps.export.gate.files import SAVED_MODEL
from apps.export.gate.verdict import RefusedError

SERVE = "serve"
COPY_AGAIN = "export or copy the model again"
VARIABLES = frozenset({"VarHandleOp", "VariableV2", "Variable"})
# Signatures with this prefix initialise the model; clients do not call them.
INTERNAL = "__saved_model_"


@dataclass(frozen=True)
class Version:
    """A SavedModel that is complete.

    Attributes:
        folder: where it is.
        meta: the graph that a server loads.
        signatures: what a client may call, by name.
    """

    folder: Path
    meta: meta_graph_pb2.MetaGraphDef
    signatures: dict[str, meta_graph_pb2.SignatureDef]

    def copied_meta(self) -> meta_graph_pb2.MetaGraphDef:
        """A copy of the graph, since reading a missing attribute of a function adds it."""
        copied = meta_graph_pb2.MetaGraphDef()
        copied.CopyFrom(self.meta)
        return copied

    @property
    def ours(self) -> bool:
        """Whether this package exported it."""
        return (self.folder / "assets.extra" / "about.json").is_file()


def open_version(folder: Path) -> Version:
    """Read a version's graph and check that every part it names exists and is undamaged.

    Args:
        folder: a folder with a SavedModel's files in it.

    Raises:
        RefusedError: something is missing or damaged; the message names the file.
    """
    model = _read(folder)
    meta = _choose(model)
    signatures = {
        name: signature
        for name, signature in meta.signature_def.items()
        if not name.startswith(INTERNAL) and signature.inputs and signature.outputs
    }
    if not signatures:
        raise RefusedError(
            "has no signature with inputs and outputs, so clients cannot call it",
            "export with a signature, as keras.Model.export does",
        )
    for asset in meta.asset_file_def:
        if not (folder / "assets" / asset.filename).is_file():
            raise RefusedError(f"assets/{asset.filename} is missing", COPY_AGAIN)
    _check_variables(folder, meta)
    return Version(folder, meta, signatures)


def _read(folder: Path) -> saved_model_pb2.SavedModel:
    name = SAVED_MODEL if (folder / SAVED_MODEL).is_file() else f"{SAVED_MODEL}txt"
    try:
        model = loader_impl.parse_saved_model(os.fspath(folder))
    except (OSError, DecodeError, ValueError, tf.errors.OpError) as error:
        reason = "damaged" if "arse" in str(error) else f"not readable ({error})"
        raise RefusedError(f"{name} is {reason}, or no SavedModel", COPY_AGAIN) from error
    if not model.meta_graphs:
        raise RefusedError(f"{name} holds no graph: it is empty or no SavedModel", COPY_AGAIN)
    return model


def _choose(model: saved_model_pb2.SavedModel) -> meta_graph_pb2.MetaGraphDef:
    tagged = [sorted(meta.meta_info_def.tags) for meta in model.meta_graphs]
    if [SERVE] in tagged:
        return model.meta_graphs[tagged.index([SERVE])]
    shown = " and ".join("{" + ", ".join(tags) + "}" for tags in tagged)
    raise RefusedError(
        f"has no graph tagged {{{SERVE}}}, which TensorFlow Serving asks for (it has {shown})",
        "export it for serving, with the tag 'serve' alone",
    )


def _check_variables(folder: Path, meta: meta_graph_pb2.MetaGraphDef) -> None:
    """Read every variable, which compares each with its checksum."""
    prefix = folder / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        # A loader takes a missing index to mean a model without variables; requests fail later.
        if any(node.op in VARIABLES for node in _nodes(meta)):
            raise RefusedError("variables/variables.index is missing", COPY_AGAIN)
        return
    name = "variables.index"
    try:
        reader = tf.train.load_checkpoint(os.fspath(prefix))
        for name in sorted(reader.get_variable_to_shape_map()):
            reader.get_tensor(name)
    # The reader's C++ code raises errors of several kinds: OpError, RuntimeError, ValueError.
    except Exception as error:
        raise RefusedError(
            f"the variables are incomplete or damaged, at {name} ({cause_of(error)})", COPY_AGAIN
        ) from error


def _nodes(meta: meta_graph_pb2.MetaGraphDef) -> Iterator:
    yield from meta.graph_def.node
    for function in meta.graph_def.library.function:
        yield from function.node_def
