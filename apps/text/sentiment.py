"""Sentiment: which label a text carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from apps import environment
from apps.application import Application, Tiny
from apps.components import Adaptation, Baseline, Batches, Pace
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples, Sequences
from apps.data.kept import kept
from apps.inputs.texts import Texts
from apps.layers.alternatives.stack import stack_of
from apps.layers.bounded_tokens import BoundedTokens
from apps.layers.mixture import Mixture
from apps.layers.pooling import LengthMask, MaxMeanPooling, MeanPooling
from apps.layers.sequence_stack import SequenceStack
from apps.layers.text import WordIds
from apps.tasks.classification import Classification
from apps.text.bag_of_words import BagOfWords
from apps.text.cooccurrence import cooccurrence_vectors
from apps.text.document_part import fit_documents
from apps.text.naive_bayes import NgramsAlone, fit_ngrams
from apps.text.pretrained import Pretrained, gradual, read_pretrained, taken_stack
from apps.text.sample_reviews import sample_reviews
from apps.text.word_vectors import read_word_vectors

# From so many validation rows on, LSTM and linear model are added up as they were trained to be,
# unless one of them alone is better; the weights of fewer rows, and of parts that learnt apart, are
# fitted. More than most are not asked.
_MANY, _MOST = 2_000, 5_000
_PARTS = ("lstm", "linear")
# Of training texts; IMDB has ten times as many.
_FEW_LETTERS = 3_000_000
# A few thousand sentences are soon learnt by heart; an average of the weights is steadier.
_FOR_FEW = {"updates": 750, "averaging": 0.99}


@dataclass(frozen=True)
class SentimentConfig(StackConfig):
    """Hyperparameters of the sentiment model; `searched` ones are what tuning varies.

    The embedding starts from co-occurrence in the training texts, from random numbers, or from a
    file of word vectors: `embeddings` is `texts`, `random` or a path. `pretrained` names a run of
    `generation` whose tokens, embedding and LSTMs are taken over, and learn later and more slowly
    than what is above them. A linear model of n-grams of up to `ngrams` words, with at most
    `ngram_weights` weights, is fitted first; the LSTM `learns` the rest that it leaves, or alone,
    and then their answers are averaged: by default alone where it is pretrained.
    """

    learning_rate: float = changed(3e-3)
    embedding: int = searched(128, low=1, high=4096, log=True, span=(32, 256))
    word_dropout: float = searched(0.1, low=0.0, high=0.9, span=(0.0, 0.4))
    ngrams: int = fixed(3, low=0, high=5)
    ngram_weights: int = fixed(2**23, low=1, high=2**30)
    learns: str = fixed("auto", choices=("auto", "rest", "alone"))
    vocabulary: int = fixed(50_000, low=1, high=10_000_000)
    max_tokens: int = fixed(1024, low=2, high=100_000)
    embeddings: str = fixed("texts")
    pretrained: str | None = fixed(None)


class Sentiment(Application):
    """Word embeddings, a bidirectional LSTM over all words, maximum and mean over its states."""

    name = "sentiment"
    input: Texts = Texts("text")
    task: Classification = Classification("label")
    Config = SentimentConfig
    config: SentimentConfig
    language: Pretrained | None = None
    # What the linear parts count in a sum of theirs.
    _factors: Mapping[str, float] = {}

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_reviews(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        small = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
        return Tiny(cls.sample(0).select(range(120)), {"units": 8, "embedding": 8, **small})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        few = sum(map(len, units["text"])) < _FEW_LETTERS
        return _FOR_FEW if few else {}

    def adapt(self, examples: Examples) -> Adaptation:
        config, texts = self.config, examples["text"]
        words: Any
        if config.pretrained:
            self.language = read_pretrained(config.pretrained)
            words = BoundedTokens(self.language.tokens, config.max_tokens, name="words")
            ids, offsets = words.flat(texts)
        else:
            words, ids, offsets = self._words(texts)
        vectors = self._first_vectors(words, ids, offsets)
        layers: dict[str, keras.layers.Layer] = {
            "words": words,
            "embedding": _embedding(vectors, "embedding"),
        }
        targets, columns = self.task.targets(examples)["target"], {}
        self._factors, ngrams = {}, None
        if config.ngrams:
            ngrams = fit_ngrams(
                ids,
                offsets,
                targets,
                order=config.ngrams,
                most_weights=config.ngram_weights,
                seed=self.seed,
            )
            layers["ngrams"], self._factors["ngrams"] = ngrams.layer, 1.0
        vectors_of_documents = self.language.documents if self.language else None
        if vectors_of_documents is not None:
            documents = fit_documents(
                vectors_of_documents, ids, offsets, targets, ngrams, seed=self.seed
            )
            layers["documents"] = _embedding(documents.table, "documents", trainable=False)
            self._factors = documents.factors
        elif self.language:
            environment.say(
                f"pretrained={config.pretrained}: holds no document vectors, which help to tell "
                "what a text is about; a run that is trained anew has them"
            )
        if ngrams:
            columns["correction"] = self._factors["ngrams"] * ngrams.correction
        tensors = {"ids": Sequences(ids, offsets)}
        return Adaptation(layers, columns=columns, tensors=tensors)

    def _words(self, texts: Sequence[str]) -> tuple[WordIds, np.ndarray, np.ndarray]:
        """The vocabulary of training texts, and their ids as `WordIds.flat` gives them."""
        size, most = self.config.vocabulary, self.config.max_tokens

        def learn() -> dict[str, np.ndarray]:
            words = WordIds.adapt(texts, size, most, name="words")
            ids, offsets = words.flat(texts)
            # Words hold no line ends.
            lines = np.frombuffer("\n".join(words.vocabulary).encode(), np.uint8)
            return {"vocabulary": lines, "ids": ids, "offsets": offsets}

        found = kept(learn, "words", texts, size, most)
        vocabulary = found["vocabulary"].tobytes().decode()
        words = WordIds(vocabulary.split("\n") if vocabulary else [], most, name="words")
        return words, found["ids"], found["offsets"]

    def _first_vectors(self, words: Any, ids: np.ndarray, offsets: np.ndarray) -> np.ndarray:
        """What the embedding starts from, `(ids, embedding)` float32, rows of length about 1."""
        config, size = self.config, words.size
        if self.language:
            return self.language.vectors
        draw = np.random.default_rng(self.seed).standard_normal((size, config.embedding))
        random = (draw / np.sqrt(config.embedding)).astype(np.float32)
        if config.embeddings == "random":
            return random
        if config.embeddings == "texts":
            return cooccurrence_vectors(
                ids, offsets, size, config.embedding, first_id=WordIds.first_id, seed=self.seed
            )
        return read_word_vectors(config.embeddings, words, random)

    def build(self) -> keras.Model:
        config, seed = self.config, self.seed
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        mask = LengthMask(name="mask")(ids, lengths)
        x = self.adapted["embedding"](ids)
        x = keras.layers.Dropout(
            config.word_dropout, noise_shape=(None, None, 1), seed=seed, name="word_dropout"
        )(x)
        x = MaxMeanPooling(name="pooling")(self._stack()(x, mask=mask), mask=mask)
        x = keras.layers.Dropout(config.output_dropout, seed=seed, name="output_dropout")(x)
        logits = keras.layers.Dense(len(self.labels), name="logits")(x)
        linear = []
        if "ngrams" in self.adapted:
            linear.append(self.adapted["ngrams"](ids, lengths))
        if "documents" in self.adapted:
            linear.append(MeanPooling(name="about")(self.adapted["documents"](ids), mask=mask))
        if linear:
            known = Mixture(tuple(self._factors.values()), name="linear")(linear)
            alone = self._learns_alone
            first = (0.5, 0.5) if alone else (1.0, 1.0)
            logits = Mixture(first, apart=alone, name="mixture")([logits, known])
        return keras.Model({"ids": ids, "lengths": lengths}, logits)

    def _stack(self) -> SequenceStack:
        """The stack of LSTMs: a fresh one, or that of the language model."""
        if not self.language:
            return stack_of(self.config, self.seed)
        return taken_stack(self.language, self.config, self.seed, "lstm")

    def paces(self) -> Sequence[Pace]:
        if not self.language:
            return ()
        return gradual("lstm", len(self.language.network.units), ["embedding"])

    def forward(self, batch: Mapping[str, Any]) -> Any:
        """Logits of the LSTM alone, or as if the linear part had not been fitted to the row."""
        logits = super().forward(batch)
        if not self.config.ngrams or self._learns_alone:
            return logits
        return logits + batch["correction"]

    @property
    def _learns_alone(self) -> bool:
        """Whether the LSTM learns as if there were no linear part."""
        learns = self.config.learns
        return bool(self.config.pretrained) if learns == "auto" else learns == "alone"

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Weigh LSTM and linear model, so that neither spoils what the other knows alone."""
        if not self._factors:
            return
        mixture = self.model.get_layer("mixture")
        parts = dict(zip(_PARTS, mixture.input, strict=True))
        found = held_out(keras.Model(self.model.inputs, parts), _MOST)
        logits = np.stack([np.concatenate([out[part] for _, out in found]) for part in _PARTS])
        targets = np.concatenate([batch["target"] for batch, _ in found])
        fitted = self._learns_alone or len(targets) < _MANY
        shares = mixture.choose(logits.astype(np.float64), targets, fitted=fitted)
        environment.say(
            f"mixture: {shares[0]:.2f} of the LSTM, {shares[1]:.2f} of the linear model of "
            f"{' and '.join(self._factors)}, by the cross-entropy of {len(targets)} validation rows"
        )

    def baselines(self) -> dict[str, Baseline]:
        naive = {**super().baselines(), "bag_of_words": BagOfWords(self.labels, self.seed)}
        if self.config.ngrams:
            naive["ngrams_alone"] = NgramsAlone(self.adapted["words"], self.adapted["ngrams"])
        return naive


def _embedding(table: np.ndarray, name: str, *, trainable: bool = True) -> keras.layers.Embedding:
    layer = keras.layers.Embedding(*table.shape, trainable=trainable, name=name)
    layer.build()
    layer.set_weights([table])
    return layer
