"""An application that reads streams: the last state of one LSTM, carried from chunk to chunk."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from apps.layers import LSTM
from apps.layers.pooling import LengthMask
from apps.text.sentiment import Sentiment

STATES = ("state_h", "state_c")


class Stream(Sentiment):
    """Which label a text carries, word by word."""

    name = "stream"

    def build(self) -> keras.Model:
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        assert isinstance(self.config.units, int)
        lstm = LSTM(self.config.units, return_state=True, name="lstm")
        mask = LengthMask(name="mask")(ids, lengths)
        _, hidden, _ = lstm(self.adapted["embedding"](ids), mask=mask)
        outputs = keras.layers.Dense(len(self.labels), name="logits")(hidden)
        return keras.Model({"ids": ids, "lengths": lengths}, outputs)

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        return {
            "ids": tf.TensorSpec((None, None), tf.int32, "ids"),
            "lengths": tf.TensorSpec((None,), tf.int32, "lengths"),
        }

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        return {name: tf.TensorSpec((None, self.config.units), tf.float32) for name in STATES}

    def step(self, *, ids: Any, lengths: Any, **states: Any) -> dict[str, Any]:
        """One answer a chunk, `(batch, 1, classes)`."""
        embedding, lstm, logits = (self.model.get_layer(n) for n in ("embedding", "lstm", "logits"))
        carried = [states[name] for name in STATES]
        mask = LengthMask()(ids, lengths)
        _, hidden, cell = lstm(embedding(ids), mask=mask, initial_state=carried)
        probabilities = tf.nn.softmax(logits(hidden))[:, None]
        steps = tf.ones_like(lengths)
        return {"probabilities": probabilities, "steps": steps, "state_h": hidden, "state_c": cell}
