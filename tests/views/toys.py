"""Small applications, one for each thing that a view carries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import catalogue
from apps.application import Application
from apps.components import Adaptation, Input, Task
from apps.configuration import ApplicationConfig, fixed
from apps.data import Column, Examples, Sequences, TokenStream, View
from apps.data.kind import Kind
from apps.data.raw import RawColumn
from apps.layers import LSTM
from apps.layers.pooling import LengthMask
from apps.report.quantities import Metric
from apps.report.sections import Section

WORDS = 6
START = 0


class Array(Kind):
    """Arrays of numbers, of any shape."""

    def parse(self, column: RawColumn) -> Sequence[np.ndarray]:
        return [np.asarray(value) for value in column.values]


@contextmanager
def catalogued(*kinds: type[Application]) -> Iterator[None]:
    """The applications in the catalogue, as one line each would put them there."""
    entries = {k.name: catalogue.Entry(f"{k.__module__}:{k.__name__}", "nothing") for k in kinds}
    catalogue.APPLICATIONS.update(entries)
    try:
        yield
    finally:
        for name in entries:
            del catalogue.APPLICATIONS[name]


class Ids(Input):
    """Ids of words, a sequence a row, in the column `ids`."""

    columns: Mapping[str, Column]

    def __init__(self) -> None:
        self.columns = {"ids": Column(Array())}

    def tensors(self, examples: Examples) -> dict[str, Any]:
        return {"ids": Sequences.from_rows(examples["ids"])}

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        return {
            "ids": keras.Input((None,), dtype="int32", name="ids"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        rows = Sequences.from_rows(examples["ids"])
        ids = rows.fetch(np.arange(len(rows)), int(rows.lengths.max()))
        return {"ids": ids, "lengths": rows.lengths.astype(np.int32)}

    def edge_cases(self) -> dict[str, np.ndarray]:
        return {"ids": np.ones((1, 1), np.int32), "lengths": np.ones(1, np.int32)}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        return [{"input": str(list(row))} for row in examples["ids"]]


class Judged(Task):
    """A task whose statistics are hits and numbers of answers."""

    metrics = (Metric("accuracy", "accuracy", "higher", rate=True),)
    objective = "accuracy"
    columns: Mapping[str, Column] = {}

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {"accuracy": float(statistics["hits"].sum() / max(statistics["all"].sum(), 1))}

    def shown(self, examples: Examples) -> list[Any]:
        return [None] * len(examples)

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return []


# Two sequences of their own lengths in one row, outputs for each step, and a model that learns
# from inputs which its answers do without.


class Reversal(Judged):
    """The words of `ids` backwards, then an end, in the column `target`."""

    def __init__(self) -> None:
        self.columns = {"target": Column(Array())}

    def targets(self, examples: Examples) -> dict[str, Any]:
        return {"target": Sequences.from_rows(examples["target"])}

    def loss(self, batch: Mapping[str, Any], outputs: tf.Tensor) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs)
        real = tf.sequence_mask(batch["target_lengths"], tf.shape(losses)[1], losses.dtype)
        return tf.reduce_sum(losses * real) / tf.reduce_sum(real)

    def answers(self, outputs: Any, inputs: Any) -> dict[str, Any]:
        return {"words": keras.ops.argmax(outputs, -1)}

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        target, lengths = batch["target"], batch["target_lengths"]
        real = np.arange(target.shape[1]) < lengths[:, None]
        said = answered.argmax(-1)[:, : target.shape[1]]
        said = np.pad(said, [(0, 0), (0, target.shape[1] - said.shape[1])], constant_values=-1)
        return {"hits": ((said == target) & real).sum(1), "all": lengths.astype(np.int64)}


@dataclass(frozen=True)
class TranslatorConfig(ApplicationConfig):
    """Steps that an answer has at most."""

    steps: int = fixed(5, low=1, high=100)


class Translator(Application):
    """An encoder and a decoder that is taught with the words that it should have said."""

    name = "translator"
    input = Ids()
    task = Reversal()
    Config = TranslatorConfig
    config: TranslatorConfig

    @classmethod
    def sample(cls, seed: int, rows: int = 200) -> Examples:
        draw = np.random.default_rng(seed)
        ids = [draw.integers(2, WORDS, draw.integers(1, 4)) for _ in range(rows)]
        columns = {"ids": ids, "target": [np.append(row[::-1], 1) for row in ids]}
        return Examples(columns, [f"row {i}" for i in range(rows)], "words")

    def build(self) -> keras.Model:
        said = keras.Input((None,), dtype="int32", name="said")
        self._embedding = keras.layers.Embedding(WORDS, 16, name="embedding")
        self._encoder = LSTM(32, return_state=True, name="encoder")
        self._decoder = LSTM(32, return_sequences=True, return_state=True, name="decoder")
        self._logits = keras.layers.Dense(WORDS, name="logits")
        inputs, states = self._encoded()
        taught, *_ = self._decoder(self._embedding(said), initial_state=states)
        self._answering = self._answers()
        return keras.Model({**inputs, "said": said}, self._logits(taught))

    def inference(self) -> keras.Model:
        return getattr(self, "_answering", self.model)

    def _encoded(self) -> tuple[dict[str, keras.KerasTensor], list[keras.KerasTensor]]:
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        mask = LengthMask()(ids, lengths)
        _, *states = self._encoder(self._embedding(ids), mask=mask)
        return {"ids": ids, "lengths": lengths}, states

    def _answers(self) -> keras.Model:
        """Each word from the one that was said before it."""
        inputs, states = self._encoded()
        words = keras.ops.expand_dims(keras.ops.zeros_like(inputs["lengths"]), 1)
        outputs = []
        for _ in range(self.config.steps):
            x, *states = self._decoder(self._embedding(words), initial_state=states)
            outputs.append(self._logits(x))
            words = keras.ops.cast(keras.ops.argmax(outputs[-1], -1), "int32")
        return keras.Model(inputs, keras.ops.concatenate(outputs, 1))

    def forward(self, batch: Mapping[str, Any]) -> Any:
        said = tf.pad(batch["target"], [[0, 0], [1, 0]], constant_values=START)[:, :-1]
        return super().forward({**batch, "said": said})


# Outputs that are several named tensors.


class Two(Judged):
    """Of each row the last word, and how long the row is."""

    def targets(self, examples: Examples) -> dict[str, Any]:
        last = np.array([row[-1] for row in examples["ids"]], np.int32)
        return {"word": last, "size": np.array([len(r) for r in examples["ids"]], np.float32)}

    def loss(self, batch: Mapping[str, Any], outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["word"], outputs["logits"])
        return tf.reduce_mean(losses) + tf.reduce_mean((outputs["size"] - batch["size"]) ** 2)

    def answers(self, outputs: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
        return {"word": keras.ops.argmax(outputs["logits"], -1), "size": outputs["size"]}

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        hits = answered["logits"].argmax(-1) == batch["word"]
        return {"hits": hits.astype(np.int64), "all": np.ones(len(hits), np.int64)}


class TwoHeads(Application):
    """One LSTM with two answers."""

    name = "two_heads"
    input = Ids()
    task = Two()
    Config = ApplicationConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return Translator.sample(seed).select(range(120))

    def build(self) -> keras.Model:
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        x = keras.layers.Embedding(WORDS, 8, name="embedding")(ids)
        x = LSTM(16, name="lstm")(x, mask=LengthMask(name="mask")(ids, lengths))
        logits = keras.layers.Dense(WORDS, name="words")(x)
        size = keras.ops.squeeze(keras.layers.Dense(1, name="sizes")(x), -1)
        return keras.Model({"ids": ids, "lengths": lengths}, {"logits": logits, "size": size})


# One long stream whose state is carried from window to window; rows without targets.

WINDOW, FILE = 3, 6


class NextWord(Judged):
    """The next word, of which only the one behind the window of its cause is counted."""

    def targets(self, examples: Examples) -> dict[str, Any]:
        return {}

    def loss(self, batch: Mapping[str, Any], outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], outputs["logits"])
        real = tf.sequence_mask(batch["lengths"], WINDOW, losses.dtype)
        # Over all rows, so that pieces of a batch add up to it whatever is empty in them.
        return tf.reduce_mean(losses * real)

    def answers(self, outputs: Mapping[str, Any], inputs: Any) -> dict[str, Any]:
        return {"word": keras.ops.argmax(outputs["logits"], -1)}

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        asked = (batch["target"] > 1) & (batch["ids"] == 1)
        hits = (answered["logits"].argmax(-1) == batch["target"]) & asked
        return {"hits": hits.sum(1), "all": asked.sum(1)}


class Reader(Application):
    """A language model of files whose last word is their first one, a window before."""

    name = "reader"
    input = Ids()
    task = NextWord()
    Config = ApplicationConfig

    @classmethod
    def sample(cls, seed: int, files: int = 200) -> Examples:
        draw = np.random.default_rng(seed)
        first = draw.integers(2, 4, files)
        rows = [np.array([word, *[1] * (FILE - 2), word]) for word in first]
        return Examples({"ids": rows}, [f"file {i}" for i in range(files)], "files")

    def view(
        self, units: Examples, *, targets: bool = True, training: Adaptation | None = None
    ) -> View:
        return TokenStream(Sequences.from_rows(units["ids"]), WINDOW, START)

    def build(self) -> keras.Model:
        ids = keras.Input((WINDOW,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        hidden = keras.Input((16,), name="state_hidden")
        cell = keras.Input((16,), name="state_cell")
        # Words that differ much leave traces that differ before anything is learnt.
        apart = keras.initializers.RandomNormal(stddev=1.0, seed=self.seed)
        x = keras.layers.Embedding(WORDS, 8, embeddings_initializer=apart, name="embedding")(ids)
        lstm = LSTM(16, return_sequences=True, return_state=True, name="lstm")
        mask = LengthMask(name="mask")(ids, lengths)
        x, h, c = lstm(x, initial_state=[hidden, cell], mask=mask)
        outputs = {"logits": keras.layers.Dense(WORDS, name="logits")(x)}
        inputs = {"ids": ids, "lengths": lengths, "state_hidden": hidden, "state_cell": cell}
        return keras.Model(inputs, {**outputs, "state_hidden": h, "state_cell": c})


class Forgetful(Reader):
    """The same without state: each window begins anew."""

    name = "forgetful"

    def view(
        self, units: Examples, *, targets: bool = True, training: Adaptation | None = None
    ) -> View:
        view = super().view(units, targets=targets, training=training)
        fetch = view.fetch
        view.fetch = lambda batch: fetch(  # type: ignore[method-assign]
            batch._replace(begins=np.ones(len(batch.rows), bool))
        )
        return view
