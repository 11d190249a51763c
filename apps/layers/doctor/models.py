"""Diagnoses of live Keras models."""

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from apps.errors import cause_of
from apps.layers.doctor.causes import explain
from apps.layers.doctor.diagnosis import Diagnosis, merge_directions
from apps.layers.doctor.tracing import Place, Sighting, places, trace


def diagnose_model(model: keras.Model) -> list[Diagnosis]:
    """Say which kernel runs each recurrent layer of a model on a GPU and on a CPU.

    The model is traced, not run: neither its weights nor its states change. Layers that the trace
    does not reach, such as those of a model that was never called, are traced one by one.

    Args:
        model: any Keras model: functional, sequential or subclassed, built or not.

    Returns:
        One diagnosis for each recurrent layer, in the model's order.
    """
    everywhere = places(model)
    seen = _sightings(model, everywhere)
    recurrent = [place for place in everywhere if id(place.layer) in seen]
    maskers = _mask_makers(place.layer for place in everywhere)
    return merge_directions(
        [_diagnosis(place, seen[id(place.layer)], maskers) for place in recurrent],
        [place.direction_of for place in recurrent],
    )


def _sightings(model: keras.Model, everywhere: list[Place]) -> dict[int, Sighting]:
    seen: dict[int, Sighting] = {}
    signature = _signature(model)
    if signature is None:
        apart = "the model's inputs are not known"
    else:
        apart = "the model's call does not reach it"
        try:
            trace(model, model, signature, seen)
        # A user's model can fail in any way; its layers can still be traced one by one.
        except Exception as error:
            seen.clear()
            _forget_dropout_masks(everywhere)
            apart = f"the model cannot be traced: {cause_of(error)}"
    masked = bool(_mask_makers(place.layer for place in everywhere))
    for place in everywhere:
        if isinstance(place.layer, keras.layers.RNN) and id(place.layer) not in seen:
            seen[id(place.layer)] = _traced_alone(place.layer, masked, apart)
    return seen


def _signature(model: keras.Model) -> tuple[Any, ...] | None:
    """The signature of a model's inputs, `None` if it is not known."""
    if getattr(model, "inputs", None):
        structure = getattr(model, "_inputs_struct", None)
        if structure is None:
            structure = model.inputs[0] if len(model.inputs) == 1 else model.inputs
        return (keras.tree.map_structure(_spec, structure),)
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if not shapes or not all(_is_shape(shape) for shape in shapes):
        return None
    dtype = model.input_dtype
    return tuple(tf.TensorSpec((None, *shape[1:]), dtype) for shape in shapes)


def _spec(tensor: keras.KerasTensor) -> tf.TypeSpec:
    kind = tf.SparseTensorSpec if tensor.sparse else tf.TensorSpec
    return kind(tensor.shape, tensor.dtype)


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(n is None or isinstance(n, int) for n in value)


def _forget_dropout_masks(everywhere: list[Place]) -> None:
    """Drop the masks that an aborted trace left in recurrent cells."""
    for place in everywhere:
        for name in ("reset_dropout_mask", "reset_recurrent_dropout_mask"):
            if hasattr(place.layer, name):
                getattr(place.layer, name)()


def _traced_alone(layer: keras.layers.RNN, masked: bool, why: str) -> Sighting:
    """Trace a recurrent layer outside its model, with a mask if its model makes any."""
    seen: dict[int, Sighting] = {}
    try:
        shapes = getattr(layer, "_build_shapes_dict", None)
        built = layer if layer.built and shapes else _built_copy(layer)
        shape = list(next(iter(built._build_shapes_dict.values())))
        if not built.stateful:
            shape[0] = None
        signature = [tf.TensorSpec(shape, built.compute_dtype)]
        if masked:
            signature.append(tf.TensorSpec(shape[:2], tf.bool))

        def call(x, mask=None, training=False):
            return built(x, mask=mask, training=training)

        trace(built, call, tuple(signature), seen)
        sighting = seen[id(built)]
    # A user's cell may need more than a sequence and a mask.
    except Exception as error:
        sighting = Sighting(failure=f"{cause_of(error)} without its model")
    sighting.alone = why
    return sighting


def _built_copy(layer: keras.layers.RNN) -> keras.layers.RNN:
    """A copy built for one input channel: the kernel does not depend on their number."""
    copy = type(layer).from_config(layer.get_config())
    if hasattr(layer, "use_cudnn"):
        # The configuration leaves out this argument only.
        copy.use_cudnn = layer.use_cudnn
    steps = 4
    shape = [1, steps, 1]
    rank = getattr(layer.cell, "rank", 0)
    if rank:
        image = [2 * max(layer.cell.kernel_size) * max(layer.cell.dilation_rate)] * rank
        first = layer.cell.data_format == "channels_first"
        shape = [1, steps, 1, *image] if first else [1, steps, *image, 1]
    copy.build(tuple(shape))
    return copy


def diagnosis_alone(layer: keras.layers.RNN, path: str, maskers: list[str], why: str) -> Diagnosis:
    """The diagnosis of a recurrent layer outside its model.

    Args:
        layer: the layer.
        path: where it stands in its model.
        maskers: the layers of the model that make masks, as messages name them.
        why: why it is not examined in its model.
    """
    return _diagnosis(Place(layer, path), _traced_alone(layer, bool(maskers), why), maskers)


def _mask_makers(layers: Iterable[keras.layers.Layer]) -> list[str]:
    return [
        f"{type(layer).__name__} '{layer.name}'"
        for layer in layers
        if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False)
    ]


def _diagnosis(place: Place, sighting: Sighting, maskers: list[str]) -> Diagnosis:
    reason, remedy = explain(place.layer, sighting, maskers)
    return Diagnosis(
        layer=place.path,
        kind=_kind(place.layer),
        gpu=sighting.label("GPU"),
        cpu=sighting.label("CPU"),
        cudnn=sighting.cudnn,
        reason=reason,
        remedy=remedy,
    )


def _kind(layer: keras.layers.Layer) -> str:
    if type(layer) is not keras.layers.RNN:
        return type(layer).__name__
    cells = getattr(layer.cell, "cells", None)
    if cells is None:
        return f"RNN({type(layer.cell).__name__})"
    return f"RNN({' > '.join(type(cell).__name__ for cell in cells)})"
