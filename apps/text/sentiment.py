"""Sentiment: which label a text carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.application import Baseline
from apps.configuration import ApplicationConfig, fixed, searched
from apps.data import Column, Examples, Prepared, RaggedRows
from apps.errors import UserError
from apps.layers import LSTMStack
from apps.layers.pooling import LengthMask, MaxMeanPooling
from apps.layers.text import WordIds
from apps.tasks.classification import ClassAnswers, Classifier
from apps.text.bag_of_words import BagOfWords
from apps.text.cooccurrence import cooccurrence_vectors
from apps.text.naive_bayes import NgramsAlone, fit_ngrams
from apps.text.sample_reviews import sample_reviews
from apps.text.word_vectors import read_word_vectors


@dataclass(frozen=True)
class SentimentConfig(ApplicationConfig):
    """Hyperparameters of the sentiment model; `searched` ones are what tuning varies."""

    learning_rate: float = searched(3e-3, low=1e-5, high=1e-1, log=True, span=(3e-4, 1e-2))
    depth: int = searched(1, low=1, high=4, span=(1, 3))
    units: int | tuple[int, ...] = searched(
        128, low=1, high=4096, log=True, per="depth", span=(32, 256)
    )
    bidirectional: bool = searched(True, choices=(False, True))
    embedding: int = searched(128, low=1, high=4096, log=True, span=(32, 256))
    word_dropout: float = searched(0.1, low=0.0, high=0.9, span=(0.0, 0.4))
    input_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6))
    layer_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6), when=("depth", 2))
    weight_dropout: float = searched(0.2, low=0.0, high=0.9, span=(0.0, 0.6))
    output_dropout: float = searched(0.4, low=0.0, high=0.9, span=(0.0, 0.7))
    ngrams: int = fixed(3, low=0, high=5)
    ngram_weights: int = fixed(2**23, low=1, high=2**30)
    vocabulary: int = fixed(50_000, low=1, high=10_000_000)
    max_tokens: int = fixed(1024, low=2, high=100_000)
    embeddings: str = fixed("texts")


class Sentiment(Classifier):
    """Word embeddings, a bidirectional LSTM over all words, maximum and mean over its states."""

    name = "sentiment"
    columns: ClassVar = {
        "text": Column.text(),
        "label": Column.label(),
        "group": Column.group(required=False),
    }
    inputs = ("text",)
    Config = SentimentConfig
    config: SentimentConfig
    _learnt_from: Examples | None = None

    # Reading and checking examples

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_reviews(seed)

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        rows = [row for row, text in enumerate(examples["text"]) if text.strip()]
        if not rows:
            raise UserError(
                f"{examples.source}: every text is empty; give texts with words in them"
            )
        kept = examples.select(rows)
        if "label" in kept:
            self.check_labels(kept, learning=learning)
        return kept

    # What is learnt from data before training

    def learn(self, examples: Examples) -> None:
        self.learn_labels(examples)
        config = self.config
        self.words = WordIds.learn(
            examples["text"], config.vocabulary, config.max_tokens, name="words"
        )
        self._learnt_from = examples
        self._learnt_ids = ids, offsets = self.words.flat(examples["text"])
        self._vectors = self._first_vectors(ids, offsets)
        if config.ngrams:
            self._ngrams = fit_ngrams(
                ids,
                offsets,
                self.truth(examples),
                order=config.ngrams,
                most_weights=config.ngram_weights,
                seed=self.seed,
            )

    def _first_vectors(self, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """What the embedding starts from, `(ids, embedding)` float32, rows of length about 1."""
        config, size = self.config, self.words.size
        draw = np.random.default_rng(self.seed).standard_normal((size, config.embedding))
        random = (draw / np.sqrt(config.embedding)).astype(np.float32)
        if config.embeddings == "random":
            return random
        if config.embeddings == "texts":
            first = WordIds.first_id
            return cooccurrence_vectors(
                ids, offsets, size, config.embedding, first_id=first, seed=self.seed
            )
        return read_word_vectors(config.embeddings, self.words, random)

    def prepare(self, examples: Examples, *, targets: bool = True) -> Prepared:
        known = examples is self._learnt_from
        flat = self._learnt_ids if known else self.words.flat(examples["text"])
        rows = {"ids": RaggedRows(*flat)}
        if not targets:
            return Prepared.of(rows)
        values = {"target": self.truth(examples)}
        if self.config.ngrams:
            nothing = np.zeros((len(examples), len(self.labels)), np.float32)
            values["correction"] = self._ngrams.correction if known else nothing
        return Prepared.of(rows, **values)

    # The Keras model

    def build(self) -> keras.Model:
        config = self.config
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        mask = LengthMask(name="mask")(ids, lengths)
        embedding = keras.layers.Embedding(self.words.size, config.embedding, name="embedding")
        x = embedding(ids)
        embedding.set_weights([self._vectors])
        x = keras.layers.Dropout(
            config.word_dropout, noise_shape=(None, None, 1), seed=self.seed, name="word_dropout"
        )(x)
        stack = LSTMStack(
            units=config.units,
            depth=config.depth,
            bidirectional=config.bidirectional,
            input_dropout=config.input_dropout,
            dropout=config.layer_dropout,
            weight_dropout=config.weight_dropout,
            return_sequences=True,
            seed=self.seed,
            name="lstm",
        )
        pooled = MaxMeanPooling(name="pooling")(stack(x, mask=mask), mask=mask)
        pooled = keras.layers.Dropout(config.output_dropout, seed=self.seed, name="output_dropout")(
            pooled
        )
        logits = keras.layers.Dense(len(self.labels), name="logits")(pooled)
        if config.ngrams:
            logits += self._ngrams.layer(ids, lengths)
        self.model = keras.Model({"ids": ids, "lengths": lengths}, logits, name="tensors")
        return self.model

    # Loss and metrics

    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        if self.config.ngrams:
            outputs += batch["correction"]
        return super().loss(batch, outputs)

    # The naive baseline that it must beat

    def baselines(self) -> dict[str, Baseline]:
        naive = {**super().baselines(), "bag_of_words": BagOfWords(self.labels, self.seed)}
        if self.config.ngrams:
            naive["ngrams_alone"] = NgramsAlone(self.words, self.model.get_layer("ngrams"))
        return naive

    # Serving signatures

    def raw_inputs(self) -> dict[str, Any]:
        return {"text": keras.Input((), dtype="string", name="text")}

    def unusual(self) -> dict[str, np.ndarray]:
        return {"text": np.array(["", "  \n", "Ünïcödé – 日本語 🙂 <br/>'\u200b\ufeff"], object)}

    def serve(self, *, text: Any) -> dict[str, Any]:
        return ClassAnswers(self.labels, name="answers")(self.model(self.words(text)))

    def adopt(self, served: keras.Model) -> None:
        self.words = served.get_layer("words")
        self.model = served.get_layer("tensors")
        self.labels = served.get_layer("answers").labels
