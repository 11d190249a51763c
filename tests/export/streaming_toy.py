"""An application that reads streams: the last state of one LSTM, carried from chunk to chunk."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import tensorflow as tf

from apps.layers import LSTM
from apps.layers.pooling import LengthMask
from apps.tasks.classification import ClassAnswers
from apps.text.sentiment import Sentiment


class Stream(Sentiment):
    """Which label a text carries, word by word."""

    name: ClassVar[str] = "stream"

    def build(self) -> keras.Model:
        units = self.config.units
        assert isinstance(units, int)
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        self.embedding = keras.layers.Embedding(self.words.size, 4, name="embedding")
        self.lstm = LSTM(units, return_state=True, name="lstm")
        self.dense = keras.layers.Dense(len(self.labels), name="logits")
        mask = LengthMask(name="mask")(ids, lengths)
        _, hidden, _ = self.lstm(self.embedding(ids), mask=mask)
        outputs = self.dense(hidden)
        self.model = keras.Model({"ids": ids, "lengths": lengths}, outputs, name="tensors")
        return self.model

    def adopt(self, served: keras.Model) -> None:
        super().adopt(served)
        self.embedding, self.lstm, self.dense = (
            self.model.get_layer(name) for name in ("embedding", "lstm", "logits")
        )

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        state = tf.TensorSpec((None, self.config.units), tf.float32)
        return {
            "ids": tf.TensorSpec((None, None), tf.int32),
            "lengths": tf.TensorSpec((None,), tf.int32),
            "state_h": tf.TensorSpec(state.shape, tf.float32, "state_h"),
            "state_c": tf.TensorSpec(state.shape, tf.float32, "state_c"),
        }

    def step(self, *, ids: Any, lengths: Any, state_h: Any, state_c: Any) -> dict[str, Any]:
        mask = LengthMask()(ids, lengths)
        states = [state_h, state_c]
        _, hidden, cell = self.lstm(self.embedding(ids), mask=mask, initial_state=states)
        answers = ClassAnswers(self.labels)(self.dense(hidden))
        return {**answers, "state_h": hidden, "state_c": cell}
