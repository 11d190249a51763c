"""Diagnoses of models that cannot be loaded, from their configuration."""

from collections.abc import Iterator
from typing import Any

import keras

from apps.errors import cause_of
from apps.layers.doctor.diagnosis import UNKNOWN, Diagnosis, merge_directions
from apps.layers.doctor.models import diagnosis_alone
from apps.layers.doctor.tracing import places

Config = dict[str, Any]


def diagnose_config(config: Config, why: str) -> list[Diagnosis]:
    """Say what is known of the layers of a model whose code is not all here.

    No code that the file carries is run.

    Args:
        config: the model's configuration, as Keras saves it.
        why: why the model cannot be loaded.

    Returns:
        A diagnosis for each recurrent layer that can be made from its configuration, and one
        for each layer that cannot be made.
    """
    found: list[tuple[Diagnosis, str | None]] = []
    maskers = [
        f"{node['class_name']} '{node['config'].get('name')}'"
        for node in nodes(config)
        if node["class_name"] == "Masking" or node["config"].get("mask_zero")
    ]
    for path, node in _outermost(config, ""):
        try:
            layer = _made(node)
        # A class of the user's can fail in any way.
        except Exception as error:
            found.append((_unknown(path, node, error), None))
            continue
        # Slicing and arithmetic of symbolic tensors are operations, no layers.
        for place in places(layer) if isinstance(layer, keras.layers.Layer) else ():
            if isinstance(place.layer, keras.layers.RNN):
                parent = place.direction_of and _joined(path, layer, place.direction_of)
                where = _joined(path, layer, place.path)
                found.append((diagnosis_alone(place.layer, where, maskers, why), parent))
    return merge_directions([one for one, _ in found], [parent for _, parent in found])


def _made(node: Config) -> keras.layers.Layer:
    for inner in nodes(node):
        name = inner["class_name"]
        # HDF5 files name classes of layers without their modules.
        if "module" not in inner:
            inner["module"] = "keras.layers" if hasattr(keras.layers, name) else None
            inner["registered_name"] = name
    return keras.saving.deserialize_keras_object(node, safe_mode=True)


def _joined(path: str, outer: keras.layers.Layer, inner: str) -> str:
    return path if inner == outer.name else f"{path}/{inner}"


def _outermost(node: Config, path: str) -> Iterator[tuple[str, Config]]:
    """The layers that no other layer holds, those inside of models included."""
    for layer in node["config"].get("layers", ()):
        name = layer["config"].get("name") or layer["class_name"]
        inside = f"{path}/{name}" if path else name
        if "layers" in layer["config"]:
            yield from _outermost(layer, inside)
        else:
            yield inside, layer


def nodes(value: Any) -> Iterator[Config]:
    """Every object that a configuration describes, at any depth."""
    if isinstance(value, dict):
        if "class_name" in value and isinstance(value.get("config"), dict):
            yield value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from nodes(item)


def _unknown(path: str, node: Config, error: Exception) -> Diagnosis:
    kind = node["class_name"].rpartition(">")[2]
    reason = f"not examined: {cause_of(error, 100)}"
    remedy = "import the module of its class and call apps.layers.doctor.diagnose_model(model)"
    if any(inner["class_name"] == "__lambda__" for inner in nodes(node)):
        reason = "not examined: the code of a Lambda is saved as bytes, which are not run"
        remedy = "none if it holds no recurrence, else a layer of a class in its place"
    return Diagnosis(path, kind, UNKNOWN, UNKNOWN, False, reason, remedy)
