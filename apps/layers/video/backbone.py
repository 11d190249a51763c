"""A convolutional network that others trained on photographs, over each frame."""

from __future__ import annotations

import hashlib
import importlib
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.errors import UserError, cause_of
from apps.layers.video.frame_by_frame import FrameByFrame

# Modules and classes of `keras.applications`.
BACKBONES = {
    "mobilenet_v2": ("mobilenet_v2", "MobileNetV2"),
    "mobilenet_v3_small": ("mobilenet_v3", "MobileNetV3Small"),
    "efficientnet_b0": ("efficientnet", "EfficientNetB0"),
    "resnet50": ("resnet", "ResNet50"),
    "xception": ("xception", "Xception"),
}
SMALLEST = 32
FINE_TUNING = ("no", "last", "all")
IMAGENET = "imagenet"


@keras.saving.register_keras_serializable("apps")
class FrameBackbone(FrameByFrame):
    """Features of each frame from a network of `keras.applications`, whose last layer is left out.

    Batch normalisation stays as it was trained, also where the weights are tuned further: the
    frames of a clip are too alike to learn from them what frames in general are like.

    Args:
        backbone: one of `BACKBONES`.
        size: height and width of a frame, pixels; at least 32 (71 for `xception`).

    Call arguments:
        steps: `(batch, time, size, size, channels)`; the first three channels lie about 0, within
            about ±2, as `FrameMotion` gives them.

    Returns:
        `(batch, time, width)`.
    """

    def __init__(self, backbone: str, size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone, self.size = backbone, size
        module, name = BACKBONES[backbone]
        self._module = importlib.import_module(f"keras.applications.{module}")
        make = getattr(importlib.import_module("keras.applications"), name)
        self._make = lambda weights: make(
            include_top=False, weights=weights, input_shape=(size, size, 3), pooling="avg"
        )
        self.network = self._make(None)
        self.width = int(self.network.output.shape[-1])

    def load(self, weights: str) -> None:
        """Take trained weights.

        Args:
            weights: `imagenet`, which is fetched unless it was fetched before, or a file of weights
                that Keras wrote of this network without its last layer.

        Raises:
            UserError: they cannot be had, or are those of another network.
        """
        file = Path(weights).expanduser()
        if weights != IMAGENET and not file.is_file():
            raise UserError(f"weights={weights}: no such file; correct the path")
        try:
            # Keras warns of each layer that a file of another network lacks, and then fails.
            with warnings.catch_warnings(action="ignore"):
                if weights == IMAGENET:
                    self.network.set_weights(self._make(IMAGENET).get_weights())
                else:
                    self.network.load_weights(file)
        # Keras, h5py and urllib raise errors of many kinds without a common base.
        except Exception as error:
            remedy = "give a file that Keras wrote of it with include_top=False: weights=FILE"
            if weights == IMAGENET:
                remedy = f"without a network, {remedy}"
            raise UserError(
                f"weights={weights}: cannot be had for backbone={self.backbone} "
                f"({cause_of(error)}); {remedy}"
            ) from None

    def learn(self, fine_tune: str) -> None:
        """Say which layers learn: one of `FINE_TUNING`, `last` meaning the last third of them."""
        self.trainable = fine_tune != "no"
        if fine_tune == "last":
            layers = self.network.layers
            for layer in layers[: len(layers) * 2 // 3]:
                layer.trainable = False

    def digest(self) -> str:
        """Names the network and its weights: 16 hexadecimal digits."""
        found = hashlib.sha256(self.backbone.encode())
        for weights in self.network.get_weights():
            found.update(np.ascontiguousarray(weights).data)
        return found.hexdigest()[:16]

    def build(self, shape: Any) -> None:
        """The network has its weights already."""

    def call(self, steps: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(steps)
        pixels = 255 * tf.clip_by_value(0.5 + steps[..., :3] / 4, 0.0, 1.0)
        pixels = tf.reshape(pixels, [-1, self.size, self.size, 3])
        features = self.network(self._module.preprocess_input(pixels), training=False)
        return tf.reshape(features, [shape[0], shape[1], self.width])

    def compute_output_spec(self, steps: Any) -> keras.KerasTensor:
        return keras.KerasTensor((*steps.shape[:2], self.width), dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "backbone": self.backbone, "size": self.size}
