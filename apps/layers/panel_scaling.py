"""Numbers of series in units of the training rows, inside the graph and outside of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from apps.layers.outside import Outside
from apps.layers.untrained import Untrained

# A channel that hardly varies is only shifted.
_LEAST = 1e-12


@keras.saving.register_keras_serializable("apps")
class PanelScaling(Untrained):
    """Standardise raw numbers with means and deviations of the training rows.

    Differences are taken in float64, so that large numbers which vary little keep their digits.

    Args:
        channels: what the numbers are, as `apps.data.panels.series.Channels.to_dict` gives it.
        means: of each channel, by the name of the input that holds it.
        deviations: likewise; not 0.
        errors: of each target, the usual error of the value a season before in several series; 0
            where there is one series only.

    Call arguments:
        raw: float64 arrays by name, `(batch, …, channels)`.

    Returns:
        The same in float32, each channel with mean 0 and deviation 1 over the training rows.
    """

    def __init__(
        self,
        channels: Mapping[str, Any],
        means: Mapping[str, Sequence[float]],
        deviations: Mapping[str, Sequence[float]],
        errors: Sequence[float],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.channels = dict(channels)
        self.means = {name: [float(one) for one in values] for name, values in means.items()}
        self.deviations = {n: [float(one) for one in values] for n, values in deviations.items()}
        self.errors = [float(one) for one in errors]

    @classmethod
    def adapt(
        cls,
        channels: Mapping[str, Any],
        values: Mapping[str, np.ndarray],
        errors: Sequence[float] | np.ndarray,
        **kwargs: Any,
    ) -> PanelScaling:
        """The layer for training rows.

        Args:
            channels: what the numbers are.
            values: `(rows, channels)` float64 by name of the input; NaN counts as missing.
            errors: of each target, the usual error of the value a season before; 0 for one series.
        """
        means, deviations = {}, {}
        for name, rows in values.items():
            means[name] = np.nanmean(rows, 0).tolist() if rows.shape[1] else []
            spread = np.nanstd(rows, 0) if rows.shape[1] else np.zeros(0)
            least = _LEAST * np.maximum(1.0, np.abs(means[name])) if rows.shape[1] else spread
            deviations[name] = np.where(spread > least, spread, 1.0).tolist()
        return cls(channels, means, deviations, list(errors), **kwargs)

    def call(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: keras.ops.cast((value - self._mean(name)) / self._deviation(name), "float32")
            for name, value in raw.items()
        }

    def compute_output_spec(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: keras.KerasTensor(value.shape, dtype="float32") for name, value in raw.items()
        }

    def of(self, name: str, values: np.ndarray) -> np.ndarray:
        """What `call` makes of the raw numbers of one input, outside the graph."""
        return ((values - self._mean(name)) / self._deviation(name)).astype(np.float32)

    def restored(self, name: str, values: np.ndarray) -> np.ndarray:
        """Raw numbers of standardised ones, `(…, channels)`, in float64."""
        return np.asarray(values, np.float64) * self._deviation(name) + self._mean(name)

    def outside(self) -> Outside:
        """How raw numbers become what the model takes."""
        return Outside(
            "standardisation: of each channel subtract the metadata's 'means' and divide by its "
            "'deviations' before the model; a forecast is undone with those of 'series'",
            metadata={
                "means": json.dumps(self.means),
                "deviations": json.dumps(self.deviations),
                "channels": json.dumps(self.channels, ensure_ascii=False),
            },
        )

    def _mean(self, name: str) -> np.ndarray:
        return np.asarray(self.means[name], np.float64)

    def _deviation(self, name: str) -> np.ndarray:
        return np.asarray(self.deviations[name], np.float64)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "channels": self.channels,
            "means": self.means,
            "deviations": self.deviations,
            "errors": self.errors,
        }
