"""What stays outside an ONNX file: text before the model, names of classes after it.

ONNX has no strings worth the name. What a client must do in their place is written down so that a
program can carry it out: files beside the model, rules in the ONNX file's metadata.
"""

from __future__ import annotations

import keras

from apps.layers.outside import Described, Outside


def around(served: keras.Model, model: keras.Model) -> list[Outside]:
    """What is around the model on prepared tensors in the model that is served.

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
