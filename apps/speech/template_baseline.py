"""The baselines of keyword models: nearest templates, and a linear model of mean spectra."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from sklearn.linear_model import LogisticRegression

from apps import environment
from apps.components import Baseline
from apps.sampling import rows_within, with_each_label

if TYPE_CHECKING:
    from apps.data import Examples
    from apps.data.recordings.clip import Clip

_BANDS = 24
_CEPSTRA = 13
_FRAMES = 40
_STRAY = 8
_MOST_TEMPLATES = 400
_PAIRS_AT_ONCE = 4000
# Recordings whose mean spectra the linear model learns from: a minute or two of work.
_MOST_ROWS = 10_000
# Training rows times templates; as a rule there are a tenth as many rows to answer.
_MOST_DISTANCES = 8_000_000


class _Clips(Baseline):
    """A baseline over clips at one sampling rate.

    Args:
        labels: the classes, in the order of the model's logits.
        sample_rate: in Hz; clips are resampled to it.
        seed: seeds random choices.
    """

    def __init__(self, labels: Sequence[str], sample_rate: int, seed: int) -> None:
        self.labels = tuple(labels)
        self.sample_rate = sample_rate
        self.seed = seed

    def _truth(self, examples: Examples) -> np.ndarray:
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[label] for label in examples["label"]], np.int32)

    def _log_spectra(self, clip: Clip) -> np.ndarray:
        return log_spectra(clip.at(self.sample_rate), self.sample_rate)


class TemplateBaseline(_Clips):
    """The nearest of a few templates per class by dynamic time warping over cepstra.

    Every clip is cut to its loud part and stretched to a common length before it is warped (Myers,
    Rabiner & Rosenberg 1980), in a band about the diagonal (Sakoe & Chiba 1978). The logit of a
    class is the negative distance to its nearest template, scaled so that the templates themselves,
    each left out in turn, get the best cross-entropy.

    Args:
        labels: the classes, in the order of the model's logits.
        sample_rate: in Hz; clips are resampled to it.
        seed: chooses the templates.
        most: templates per class; fewer where there are many classes or very many rows.
    """

    def __init__(self, labels: Sequence[str], sample_rate: int, seed: int, most: int = 10) -> None:
        super().__init__(labels, sample_rate, seed)
        self.most = max(1, min(most, _MOST_TEMPLATES // len(self.labels)))

    def fit(self, examples: Examples) -> None:
        truth = self._truth(examples)
        draw = np.random.default_rng(self.seed)
        most = max(1, min(self.most, _MOST_DISTANCES // (len(examples) * len(self.labels))))
        chosen = np.concatenate(
            [draw.permutation(np.flatnonzero(truth == i))[:most] for i in np.unique(truth)]
        )
        self._classes = truth[chosen]
        self._templates = self._cepstra(examples.select(chosen))
        apart = warped_distances(self._templates, self._templates)
        np.fill_diagonal(apart, np.inf)
        self._farthest = np.asarray(apart[np.isfinite(apart)].max(initial=1.0), np.float32)
        self._scale = self._best_scale(self._nearest(apart), self._classes)

    def predict(self, examples: Examples) -> np.ndarray:
        distances = warped_distances(self._cepstra(examples), self._templates)
        return -self._scale * self._nearest(distances)

    def state(self) -> dict[str, np.ndarray]:
        return {
            "templates": self._templates,
            "classes": self._classes,
            "farthest": self._farthest,
            "scale": self._scale,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._templates, self._classes = state["templates"], state["classes"]
        self._farthest, self._scale = state["farthest"], state["scale"]

    def _cepstra(self, examples: Examples) -> np.ndarray:
        """`(rows, frames, cepstra)` float32 of the loud part, zero mean, equal length."""
        clips = [_stretched(_cepstra(self._log_spectra(clip))) for clip in examples["audio"]]
        return np.array(clips, np.float32).reshape(-1, _FRAMES, _CEPSTRA)

    def _nearest(self, distances: np.ndarray) -> np.ndarray:
        """Distance to each class, `(rows, classes)`; a class without a template is farthest."""
        nearest = np.full((len(distances), len(self.labels)), np.inf, np.float32)
        for i in np.unique(self._classes):
            nearest[:, i] = distances[:, self._classes == i].min(1)
        return np.where(np.isfinite(nearest), nearest, self._farthest)

    def _best_scale(self, nearest: np.ndarray, truth: np.ndarray) -> np.ndarray:
        spread = max(float(nearest.std()), 1e-6)
        scales = np.geomspace(0.1, 30.0, 25) / spread
        logits = -scales[:, None, None] * (nearest - nearest.min(1, keepdims=True))
        chances = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        likelihoods = chances[:, np.arange(len(truth)), truth].mean(-1)
        return np.asarray(scales[likelihoods.argmax()], np.float32)


class SpectrumBaseline(_Clips):
    """Logistic regression on mean and deviation of log-mel spectra over time (scikit-learn)."""

    def fit(self, examples: Examples) -> None:
        drawn = rows_within(np.ones(len(examples), np.int64), _MOST_ROWS, self.seed)
        if len(drawn) < len(examples):
            drawn = with_each_label(drawn, examples["label"])
            environment.say(f"mean spectra of {len(drawn):,} of {len(examples):,} recordings")
            examples = examples.select(drawn)
        truth = self._truth(examples)
        features = self._features(examples)
        self._mean = features.mean(0)
        self._scale = features.std(0) + 1e-3
        regression = LogisticRegression(C=1.0, max_iter=500, random_state=self.seed)
        regression.fit((features - self._mean) / self._scale, truth)
        weights, bias = regression.coef_, regression.intercept_
        if len(regression.classes_) == 2:
            weights = np.vstack([-weights / 2, weights / 2])
            bias = np.concatenate([-bias / 2, bias / 2])
        self._weights = np.zeros((features.shape[1], len(self.labels)), np.float32)
        self._bias = np.full(len(self.labels), bias.min() - 10, np.float32)
        self._weights[:, regression.classes_], self._bias[regression.classes_] = weights.T, bias

    def predict(self, examples: Examples) -> np.ndarray:
        features = (self._features(examples) - self._mean) / self._scale
        return features @ self._weights + self._bias

    def state(self) -> dict[str, np.ndarray]:
        return {
            "mean": self._mean,
            "scale": self._scale,
            "weights": self._weights,
            "bias": self._bias,
        }

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self._mean, self._scale = state["mean"], state["scale"]
        self._weights, self._bias = state["weights"], state["bias"]

    def _features(self, examples: Examples) -> np.ndarray:
        """`(rows, 2 · bands)` float32."""
        spectra = (self._log_spectra(clip) for clip in examples["audio"])
        rows = [np.concatenate([frames.mean(0), frames.std(0)]) for frames in spectra]
        return np.array(rows, np.float32).reshape(-1, 2 * _BANDS)


def log_spectra(samples: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel spectra of windows of 32 ms, one every 16 ms.

    Args:
        samples: `(samples,)` float32 in [-1, 1]; an empty array counts as silence.
        rate: in Hz.

    Returns:
        `(frames, bands)` float32, the natural logarithm of power, at least one frame.
    """
    window, hop = int(0.032 * rate), int(0.016 * rate)
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    frames = sliding_window_view(padded, window)[::hop] * np.hanning(window).astype(np.float32)
    power = np.abs(fft.rfft(frames, axis=-1)) ** 2
    return np.log(power @ _mel_bands(rate, window) + 1e-6).astype(np.float32)


def warped_distances(clips: np.ndarray, templates: np.ndarray) -> np.ndarray:
    """Distance of every clip from every template along the cheapest path of time warping.

    Steps are (1, 0), (0, 1) and (1, 1); a diagonal step counts twice, so that all paths have the
    same length (Sakoe & Chiba 1978, table I, symmetric, P = 0).

    Args:
        clips: `(rows, frames, features)` float32.
        templates: `(templates, frames, features)` float32.

    Returns:
        `(rows, templates)` float32, the mean Euclidean distance along the path.
    """
    together = max(1, _PAIRS_AT_ONCE // max(len(templates), 1))
    parts = [
        _warped(clips[first : first + together], templates)
        for first in range(0, len(clips), together)
    ]
    return np.concatenate(parts) if parts else np.zeros((0, len(templates)), np.float32)


def _warped(clips: np.ndarray, templates: np.ndarray) -> np.ndarray:
    frames = clips.shape[1]
    product = np.einsum("ntf,msf->tsnm", clips, templates, optimize=True)
    squares = (clips**2).sum(-1).T[:, None, :, None] + (templates**2).sum(-1).T[None, :, None, :]
    local = np.sqrt(np.maximum(squares - 2 * product, 0))
    # Costs of three anti-diagonals, indexed by the frame of the clip; infinite outside the band.
    shape = (frames + 1, len(clips), len(templates))
    before, last = np.full(shape, np.inf, np.float32), np.full(shape, np.inf, np.float32)
    last[1] = local[0, 0] * 2
    for diagonal in range(1, 2 * frames - 1):
        first = max(0, diagonal - frames + 1, -((_STRAY - diagonal) // 2))
        i = np.arange(first, min(frames - 1, diagonal, (diagonal + _STRAY) // 2) + 1)
        here = local[i, diagonal - i]
        current = np.full(shape, np.inf, np.float32)
        straight = np.minimum(last[i], last[i + 1]) + here
        current[i + 1] = np.minimum(straight, before[i] + 2 * here)
        before, last = last, current
    return last[frames] / (2 * frames)


def _cepstra(spectra: np.ndarray) -> np.ndarray:
    """Cepstra of the frames between the first and the last loud one, with zero mean."""
    loudness = spectra.max(1)
    floor = max(np.quantile(loudness, 0.1), loudness.max() - 9.0)
    loud = np.flatnonzero(loudness > floor + 0.25 * (loudness.max() - floor))
    part = spectra[loud[0] : loud[-1] + 1] if loud.size else spectra
    cepstra = fft.dct(part, norm="ortho", axis=-1)[:, :_CEPSTRA]
    return cepstra - cepstra.mean(0)


def _stretched(frames: np.ndarray) -> np.ndarray:
    places = np.linspace(0, len(frames) - 1, _FRAMES)
    below = np.minimum(places.astype(int), max(len(frames) - 2, 0))
    above = np.minimum(below + 1, len(frames) - 1)
    share = (places - below)[:, None]
    return frames[below] * (1 - share) + frames[above] * share


def _mel_bands(rate: int, window: int) -> np.ndarray:
    """Triangles of equal width on the mel scale, `(frequencies, bands)` float32."""
    hertz = np.fft.rfftfreq(window, 1 / rate)
    mel = 2595 * np.log10(1 + hertz / 700)
    centres = np.linspace(0, mel[-1], _BANDS + 2)
    rising = (mel[:, None] - centres[:-2]) / np.diff(centres[:-1])
    falling = (centres[2:] - mel[:, None]) / np.diff(centres[1:])
    return np.maximum(0, np.minimum(rising, falling)).astype(np.float32)
