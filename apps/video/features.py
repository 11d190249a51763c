"""Features of frames, computed once by a network that does not learn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from apps.components import Shortcut
from apps.data import Rows, View
from apps.inputs.pictures import ClipFrames
from apps.layers.video.backbone import FrameBackbone

FEATURES = "features"
# At once, which bounds memory: a frame's activations take tens of megabytes.
_FRAMES = 16


def features_shortcut(model: keras.Model, layers: Sequence[str]) -> Shortcut:
    """A way around a backbone: from the features of frames as it is to the outputs.

    Args:
        model: takes `frames`; its layers `drawn`, `augmentation`, `motion` and `encoder` make a
            vector of each frame but the first, which depends on that frame alone.
        layers: names of the layers after them.
    """
    encoder: FrameBackbone = model.get_layer("encoder")
    features = keras.Input((None, encoder.width), name=FEATURES)
    x = model.get_layer("drawn")(features)[:, 1:]
    for name in layers:
        x = model.get_layer(name)(x)
    digest, of = encoder.digest(), _features_of(model)

    def view(rows: View) -> View:
        assert isinstance(rows, Rows)
        columns = dict(rows.columns)
        frames = columns.pop("frames")
        assert isinstance(frames, ClipFrames)
        return Rows({FEATURES: frames.features(encoder.width, digest, of), **columns})

    return Shortcut(keras.Model({FEATURES: features}, x), view)


def _features_of(model: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from `(count, size, size, 3)` uint8 to `(count, width)`, for any thread."""
    augmentation, motion, encoder = map(model.get_layer, ("augmentation", "motion", "encoder"))
    spec = tf.TensorSpec((None, *model.input["frames"].shape[2:]), tf.uint8)

    @tf.function(input_signature=[spec])
    def some(frames: tf.Tensor) -> tf.Tensor:
        x = augmentation(tf.concat([frames[:1], frames], 0)[None])
        return encoder(motion(x))[0]

    def of(frames: np.ndarray) -> np.ndarray:
        parts = [frames[first : first + _FRAMES] for first in range(0, len(frames), _FRAMES)]
        return np.concatenate([some(part).numpy() for part in parts])

    return of
