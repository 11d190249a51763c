"""Explain why a layer gets the kernels that a trace showed, and what to change."""

import keras

from apps.layers.doctor.tracing import Sighting
from apps.layers.lstm import SIGMOID, TANH

FUSED = (keras.layers.LSTM, keras.layers.GRU)


def explain(layer: keras.layers.Layer, sighting: Sighting, maskers: list[str]) -> tuple[str, str]:
    """Explain the kernels of a recurrent layer.

    Args:
        layer: the layer.
        sighting: what tracing the layer showed.
        maskers: the layers of the model that make masks, as messages name them.

    Returns:
        The reason and the remedy, one line each; no remedy where nothing has to change.
    """
    reason, remedy = _explain(layer, sighting, maskers)
    if sighting.alone:
        reason += f" (traced on its own: {sighting.alone})"
    return reason, remedy


def _explain(layer, sighting, maskers):
    if sighting.failure:
        return f"not traced: {sighting.failure}", "call the model once, then ask again"
    unmet = _unmet(layer) if isinstance(layer, FUSED) else []
    what = ", ".join(found for found, _ in unmet)
    remedy = "; ".join(remedy for _, remedy in unmet)
    if "GPU" in sighting.refusal:
        return f"use_cudnn=True, but cuDNN cannot do {what}: the call raises an error", remedy
    if sighting.cudnn:
        return _fused(layer, sighting, maskers)
    if isinstance(layer, FUSED):
        if unmet:
            return f"off cuDNN because of {what}", remedy
        return "Keras found no fused kernel for these arguments", ""
    return _never_fused(layer)


def _fused(layer: keras.layers.Layer, sighting: Sighting, maskers: list[str]) -> tuple[str, str]:
    if all(kernel.portable for kernel in sighting.on("GPU") + sighting.on("CPU")):
        return "the graph holds both kernels, and the device that runs it takes its own", ""
    if "CPU" in sighting.refusal:
        return (
            "use_cudnn=True asks for cuDNN, which a CPU has not: there the call raises an error",
            "use_cudnn='auto'",
        )
    reason = "meets cuDNN's conditions; Keras chooses when it traces, so an export keeps its choice"
    if not sighting.masked:
        return reason, ""
    source = f", which {' and '.join(maskers)} would mask completely" if maskers else ""
    return (
        f"{reason}; under a mask, a GPU stops at rows that are empty or padded on the left",
        "pad on the right (keras.utils.pad_sequences pads on the left unless padding='post') "
        f"and keep empty rows{source}, out of batches"
        + (", or use apps.layers.LSTM" if isinstance(layer, keras.layers.LSTM) else ""),
    )


def _unmet(layer: keras.layers.LSTM | keras.layers.GRU) -> list[tuple[str, str]]:
    """Which of cuDNN's conditions a layer's arguments do not meet, each with its remedy."""
    unmet = []
    if layer.use_cudnn is False:
        unmet.append(("use_cudnn=False", "leave use_cudnn out"))
    if layer.recurrent_dropout:
        instead = "dropout= (one mask of the input for all steps)"
        if isinstance(layer, keras.layers.LSTM):
            instead += f" or apps.layers.LSTM(weight_dropout={layer.recurrent_dropout})"
        unmet.append((f"recurrent_dropout={layer.recurrent_dropout}", f"replace it by {instead}"))
    if layer.activation not in TANH:
        unmet.append((f"activation={_name(layer.activation)}", "activation='tanh'"))
    if layer.recurrent_activation not in SIGMOID:
        name = _name(layer.recurrent_activation)
        unmet.append((f"recurrent_activation={name}", "recurrent_activation='sigmoid'"))
    if not layer.use_bias:
        unmet.append(("use_bias=False", "use_bias=True"))
    if layer.unroll:
        unmet.append(("unroll=True", "unroll=False"))
    if isinstance(layer, keras.layers.GRU) and not layer.reset_after:
        unmet.append(("reset_after=False", "reset_after=True (other weights: train anew)"))
    return unmet


def _never_fused(layer: keras.layers.Layer) -> tuple[str, str]:
    if isinstance(layer, keras.layers.SimpleRNN):
        return "Keras has no fused kernel for SimpleRNN", "an LSTM or a GRU"
    if not isinstance(layer, keras.layers.RNN):
        return (
            "a loop of its own, which TensorFlow runs step by step",
            "let an LSTM or GRU layer do the recurrence, if it is one",
        )
    if hasattr(layer.cell, "rank"):
        return (
            "cuDNN has no convolutional LSTM",
            "convolutions under TimeDistributed, then an LSTM, if the task allows",
        )
    cells = list(getattr(layer.cell, "cells", [layer.cell]))
    reason = "keras.layers.RNN calls its cell step by step"
    if all(isinstance(cell, keras.layers.LSTMCell) for cell in cells):
        return reason, _one_layer_per_cell("LSTM", cells)
    if all(isinstance(cell, keras.layers.GRUCell) for cell in cells):
        return reason, _one_layer_per_cell("GRU", cells)
    return reason, "an LSTM or GRU layer in place of the cell, if it computes the same"


def _one_layer_per_cell(kind: str, cells: list[keras.layers.Layer]) -> str:
    if len(cells) == 1:
        return f"keras.layers.{kind}({cells[0].units}) has the same weights"
    widths = ", ".join(f"{kind}({cell.units})" for cell in cells)
    return f"one layer for each cell: {widths}, all but the last with return_sequences=True"


def _name(function: object) -> str:
    return getattr(function, "__name__", type(function).__name__)
