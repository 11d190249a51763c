"""The joints of a body over time as a model takes them, in place of pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from apps.data.videos.pose import Pose
from apps.errors import UserError
from apps.inputs.pictures import DRAWN_FROM
from apps.layers.video.joints import JointSampler
from apps.signatures import Signature

_DOT = 2


class Joints:
    """Sequences of joints as `joints` `(batch, frames, joints, dims)` float32.

    Args:
        sampler: says how many moments of a sequence are taken.
    """

    def __init__(self, sampler: JointSampler) -> None:
        self._sampler = sampler

    def tensors(self, poses: Sequence[Pose], *, drawn: bool) -> dict[str, Any]:
        """The model's input for some sequences; more moments if some of them are drawn."""
        frames = self._sampler.frames
        taken = slice(None) if drawn else slice(DRAWN_FROM // 2, None, DRAWN_FROM)
        found = [self._checked(pose).sampled(DRAWN_FROM * frames)[taken] for pose in poses]
        shape = (len(range(DRAWN_FROM * frames)[taken]), self._sampler.joints, self._sampler.dims)
        return {"joints": np.stack(found) if found else np.zeros((0, *shape), np.float32)}

    def _checked(self, pose: Pose) -> Pose:
        wanted = (self._sampler.joints, self._sampler.dims)
        if (pose.joints, pose.dims) != wanted:
            raise UserError(
                f"{pose.path}: {pose.joints} joints of {pose.dims} coordinates, where others have "
                f"{wanted[0]} of {wanted[1]}; write all files by one pose estimator"
            )
        return pose

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        """Joints at any number of moments."""
        shape = (None, self._sampler.joints, self._sampler.dims)
        joints = keras.Input(shape, dtype="float32", name="joints")
        return {"joints": joints, "lengths": keras.Input((), dtype="int32", name="lengths")}

    def edge_cases(self) -> dict[str, np.ndarray]:
        """No moment at all, one moment, noise, all joints in one place."""
        frames = self._sampler.frames
        found = np.zeros((4, frames, self._sampler.joints, self._sampler.dims), np.float32)
        found[1, 0] = 1.0
        found[2] = np.random.default_rng(0).normal(0, 100, found.shape[1:])
        return {"joints": found, "lengths": np.array([0, 1, frames, frames], np.int32)}

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """None but that for raw input."""
        return {}

    def metadata(self) -> dict[str, Any]:
        """What a client must know to write joints."""
        return {"joints": self._sampler.joints, "dims": self._sampler.dims}


def raw_joints(poses: Sequence[Pose], metadata: Mapping[str, Any]) -> np.ndarray:
    """Joints as a client sends them, `(sequences, frames, joints, dims)` float32."""
    shape = (metadata["frames"], metadata["joints"], metadata["dims"])
    found = np.zeros((len(poses), *shape), np.float32)
    for row, pose in enumerate(poses):
        found[row] = pose.sampled(metadata["frames"])
    return found


def drawn_joints(pose: Pose, count: int, size: int) -> np.ndarray:
    """Joints as white dots on black, `(count, size, size, 3)` uint8."""
    moments = pose.sampled(count)[..., :2]
    low, high = moments.min((0, 1)), moments.max((0, 1))
    scale = (size - 4 * _DOT) / max(float((high - low).max()), 1e-9)
    places = np.rint((moments - low) * scale).astype(int) + _DOT
    pictures = np.zeros((count, size, size, 3), np.uint8)
    for picture, dots in zip(pictures, places, strict=True):
        for x, y in dots:
            picture[max(y - _DOT, 0) : y + _DOT, max(x - _DOT, 0) : x + _DOT] = 255
    return pictures
