"""What stays outside an ONNX file: text processing before the model, class names after it.

ONNX has hardly any operations on strings. What a client must do itself is written down so that a
program can do it: files beside the model, rules in the ONNX file's metadata.
"""

from __future__ import annotations

import keras

from apps.layers.outside import Described, Outside


def around(served: keras.Model, model: keras.Model) -> list[Outside]:
    """The layers around the model on prepared tensors in the served model, described.

    Args:
        served: raw input to named answers.
        model: the part of it that goes to ONNX.
    """
    layers = [layer for layer in served.layers if layer is not model]
    found = [outside(layer) for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
    return [one for one in found if one is not None]


def outside(layer: keras.layers.Layer) -> Outside | None:
    """What a client does in place of a layer; None where there is nothing to do."""
    if isinstance(layer, Described):
        return layer.outside()
    return Outside(f"layer '{layer.name}' ({type(layer).__name__})")
