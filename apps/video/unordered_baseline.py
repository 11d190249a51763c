"""What can be told from the frames of a clip without their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression

from apps.components import Baseline
from apps.data import Examples, Rows, dataset
from apps.inputs.clips import Clips

_CELLS = 8
_CLIPS = 16
_STRENGTH = 0.01
# Clips that the linear model learns from; more hardly change it.
_MOST = 5000


class FramesWithoutOrder(Baseline):
    """A linear model of how a clip's frames look: mean, spread and extremes of a coarse picture.

    Frames in any other order give the same answer. Where it is as good as the LSTM, the place was
    learnt, not the movement.

    Args:
        clips: the input, which decodes and keeps frames.
        labels: the classes, in the order of the model's logits.
        seed: draws the clips to learn from where there are very many.
    """

    def __init__(self, clips: Clips, labels: Sequence[str], seed: int) -> None:
        self.clips, self.labels, self.seed = clips, tuple(labels), seed

    def fit(self, examples: Examples) -> None:
        draw = np.random.default_rng(self.seed)
        examples = examples.select(np.sort(draw.permutation(len(examples))[:_MOST]))
        features = self._features(examples)
        self._mean, self._deviation = features.mean(0), features.std(0) + 1e-3
        index = {label: number for number, label in enumerate(self.labels)}
        truth = np.array([index[label] for label in examples["label"]])
        scaled = (features - self._mean) / self._deviation
        model = LogisticRegression(C=_STRENGTH, max_iter=500).fit(scaled, truth)
        weights, bias = model.coef_, model.intercept_
        if len(model.classes_) == 2:
            weights, bias = np.concatenate([-weights, weights]) / 2, np.array([-1, 1]) * bias / 2
        # A class of which no clip was drawn is never answered.
        self._weights = np.zeros((len(self.labels), features.shape[1]))
        self._bias = np.full(len(self.labels), -20.0)
        self._weights[model.classes_], self._bias[model.classes_] = weights, bias

    def predict(self, examples: Examples) -> np.ndarray:
        scaled = (self._features(examples) - self._mean) / self._deviation
        return scaled @ self._weights.T + self._bias

    def _features(self, examples: Examples) -> np.ndarray:
        """`(clips, features)` float64."""
        view = Rows(self.clips.tensors(examples))
        batches, found = view.sweep(_CLIPS), []
        # The pipeline decodes several batches at once.
        for arrays in dataset(view, batches):
            cells = _coarse(next(arrays[name].numpy() for name in view.columns))
            parts = (cells.mean(1), cells.std(1), cells.min(1), cells.max(1))
            found.append(np.concatenate(parts, 1))
        features = np.empty((len(view), found[0].shape[1]))
        features[np.concatenate([batch.rows for batch in batches])] = np.concatenate(found)
        return features

    def state(self) -> dict[str, np.ndarray]:
        names = ("mean", "deviation", "weights", "bias")
        return {name: getattr(self, f"_{name}") for name in names}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        for name, value in state.items():
            setattr(self, f"_{name}", value)


def _coarse(frames: np.ndarray) -> np.ndarray:
    """Pictures `(clips, time, side, side, 3)`, or joints, as a few numbers a frame."""
    if frames.dtype != np.uint8:
        return frames.reshape(*frames.shape[:2], -1)
    side = frames.shape[2]
    edges = np.linspace(0, side, _CELLS + 1).astype(int)[:-1]
    sums = np.add.reduceat(np.add.reduceat(frames.astype(np.float32), edges, 2), edges, 3)
    return sums.reshape(*frames.shape[:2], -1) * (_CELLS / side) ** 2 / 255
