"""The models that the serving benchmark compares: ours, and stock Keras with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from apps.layers import LSTMStack
from apps.run import Run


class StockStack(keras.layers.Layer):
    """`LSTMStack` without dropout, made of `keras.layers.LSTM`."""

    def __init__(self, ours: LSTMStack) -> None:
        super().__init__(name=ours.name)
        self.supports_masking = True
        self.levels: list[keras.layers.Layer] = []
        for units in ours.units:
            layer: keras.layers.Layer = keras.layers.LSTM(units, return_sequences=True)
            self.levels.append(keras.layers.Bidirectional(layer) if ours.bidirectional else layer)

    def call(self, sequences: Any, mask: Any = None, training: bool = False) -> Any:
        for layer in self.levels:
            sequences = layer(sequences, mask=mask, training=training)
        return sequences


def with_stock_lstm(model: keras.Model) -> keras.Model:
    """The same layers and weights, every `LSTMStack` replaced by stock Keras layers."""

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, LSTMStack):
            return StockStack(layer)
        return layer.__class__.from_config(layer.get_config())

    stock = keras.models.clone_model(model, clone_function=clone)
    stock.set_weights(model.get_weights())
    return stock


def export_stock(run: Run, folder: Path) -> Path:
    """Write a run's weights as stock Keras's own `model.export` does.

    Args:
        run: a finished sentiment run.
        folder: the version's folder; it must not exist.

    Returns:
        The folder.
    """
    application = run.application
    raw = application.input.raw_inputs()
    logits = with_stock_lstm(application.model)(application.input.prepare(raw))
    served = keras.Model(raw, application.task.answers(logits, {}), name="stock")
    served.export(folder, verbose=False)
    return folder
