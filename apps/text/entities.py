"""Entities: which spans of a sentence are names or quantities, and of what type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Baseline, Batches, Pace
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples
from apps.inputs.sentences import Sentences
from apps.layers.alternatives.stack import stack_of
from apps.layers.mixture import Mixture
from apps.layers.pooling import LengthMask
from apps.layers.token_features import UNKNOWN, TokenFeatures
from apps.layers.words import CharacterLSTM, ForgetRare, ListVectors
from apps.tasks.tagging import Tagging, TaggingConfig
from apps.text.known_names import PACKAGED, known_names
from apps.text.local_tagger import LocalAlone, fit_local_scores, read_by_local
from apps.text.pretrained import (
    Pretrained,
    gradual,
    read_pretrained,
    taken_stack,
    word_rows,
)
from apps.text.sample_news import sample_news
from apps.text.word_vectors import read_word_vectors

# Shares of LSTM and linear model that are tried on validation sentences.
_SHARES = ((1.0, 0.0), (1.0, 0.5), (0.75, 0.5), (0.5, 0.5), (0.5, 1.0), (0.0, 1.0))
_PARTS = ("lstm", "linear")


@dataclass(frozen=True)
class EntitiesConfig(StackConfig, TaggingConfig):
    """Hyperparameters of the entities model; `searched` ones are what tuning varies.

    `embeddings` is `random`, or a file of word vectors. `pretrained` names a run of `generation` of
    words, whose embedding is taken over and whose LSTMs read the sentence first (Peters et al.
    2017, "Semi-supervised sequence tagging with bidirectional language models"). Of a word,
    `characters` are read by an LSTM of `character_units` a direction. In training, a word that
    occurs `n` times is unknown with probability `forget / (forget + n)`. `linear` adds a linear
    model of each word and its neighbours, which is fitted first. `lists` is `names`, lists of names
    of persons, places and companies; a file of names and types; or none: both parts know what a
    word is in which list.
    """

    learning_rate: float = changed(2e-3)
    batch_size: int = changed(16)
    epochs: int = changed(20)
    averaging: float = changed(0.998)
    input_dropout: float = changed(0.5)
    output_dropout: float = changed(0.5)
    embedding: int = searched(100, low=1, high=4096, log=True, span=(32, 300))
    character_embedding: int = searched(32, low=1, high=512, log=True, span=(16, 64))
    character_units: int = searched(32, low=1, high=512, log=True, span=(16, 64))
    forget: float = searched(1.0, low=0.0, high=100.0, span=(0.25, 8.0))
    word_dropout: float = searched(0.05, low=0.0, high=0.9, span=(0.0, 0.3))
    casing: int = fixed(8, low=1, high=256)
    characters: int = fixed(20, low=2, high=200)
    vocabulary: int = fixed(100_000, low=1, high=10_000_000)
    embeddings: str = fixed("random")
    pretrained: str | None = fixed(None)
    linear: bool = fixed(True)
    lists: str | None = fixed(PACKAGED)
    list_width: int = fixed(4, low=1, high=256)


class Entities(Application):
    """Words, letters and case, a bidirectional LSTM over them, and a CRF over its outputs."""

    name = "entities"
    input = Sentences("text")
    task: Tagging = Tagging("spans", text="text")
    Config = EntitiesConfig
    config: EntitiesConfig
    language: Pretrained | None = None

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_news(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        small = {"units": 8, "embedding": 8, "character_units": 4, "character_embedding": 4}
        schedule = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
        return Tiny(cls.sample(0).select(range(120)), {**small, **schedule})

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        config, letters = self.config, self.config.tokens == "letters"
        rows: dict[str, int] = {}
        if config.pretrained:
            self.language = read_pretrained(config.pretrained)
            rows = word_rows(self.language, config.pretrained)
        tokens = TokenFeatures.adapt(
            examples["text"],
            config.vocabulary,
            config.characters,
            letters=letters,
            further=rows,
            lists=known_names(config.lists, examples["text"], letters=letters),
            name="tokens",
        )
        width = self.language.network.embedding if self.language else config.embedding
        draw = np.random.default_rng(self.seed).standard_normal((tokens.size, width))
        vectors = (draw / np.sqrt(width)).astype(np.float32)
        if self.language:
            known = [rows.get(word, UNKNOWN) for word in tokens.vocabulary]
            vectors[tokens.first_id :] = self.language.vectors[known]
            vectors[UNKNOWN] = self.language.vectors[UNKNOWN]
        if config.embeddings != "random":
            vectors = read_word_vectors(config.embeddings, tokens, vectors)
        embedding = keras.layers.Embedding(tokens.size, width, name="embedding")
        embedding.build()
        embedding.set_weights([vectors])
        layers: dict[str, keras.layers.Layer] = {"tokens": tokens, "embedding": embedding}
        if config.linear:
            tags = self.task.targets(examples)["tags"]
            layers["local"] = fit_local_scores(
                tokens, examples["text"], tags, len(self.task.tag_set), self.seed
            )
        return layers

    def build(self) -> keras.Model:
        config, seed, tokens = self.config, self.seed, self.adapted["tokens"]
        inputs = {
            "ids": keras.Input((None,), dtype="int32", name="ids"),
            "characters": keras.Input((None, config.characters), dtype="int32", name="characters"),
            "casing": keras.Input((None,), dtype="int32", name="casing"),
            "lengths": keras.Input((), dtype="int32", name="lengths"),
        }
        if tokens.lists:
            shape = (None, len(tokens.lists.lists))
            inputs["lists"] = keras.Input(shape, dtype="int32", name="lists")
        mask = LengthMask(name="mask")(inputs["ids"], inputs["lengths"])
        forget = ForgetRare(
            tokens.counts, tokens.first_id, UNKNOWN, config.forget, seed, name="forget_rare"
        )
        ids = forget(inputs["ids"])
        words = keras.layers.Dropout(
            config.word_dropout, noise_shape=(None, None, 1), seed=seed, name="word_dropout"
        )(self.adapted["embedding"](ids))
        letters = CharacterLSTM(
            len(tokens.alphabet) + 2,
            config.character_embedding,
            config.character_units,
            seed=seed,
            name="letters",
        )(inputs["characters"])
        casing = keras.layers.Embedding(tokens.casings, config.casing, name="casing_embedding")
        features = [words, letters, casing(inputs["casing"])]
        if self.language:
            read = taken_stack(self.language, config, seed, "language")
            features.append(read(words, mask=mask))
        if tokens.lists:
            features.append(ListVectors(config.list_width, name="lists_read")(inputs["lists"]))
        x = keras.layers.Concatenate(name="features")(features)
        x = stack_of(config, seed)(x, mask=mask)
        x = keras.layers.Dropout(config.output_dropout, seed=seed, name="output_dropout")(x)
        emissions = keras.layers.Dense(len(self.task.tag_set), name="emissions")(x)
        if config.linear:
            local = self.adapted["local"](*(inputs[name] for name in read_by_local(tokens)))
            # Learnt together, the LSTM would leave to the other what that knows by heart.
            emissions = Mixture((1.0, 0.0), name="mixture")([emissions, local])
        return keras.Model(inputs, self.adapted["crf"](emissions))

    def paces(self) -> Sequence[Pace]:
        if not self.language:
            return ()
        return gradual("language", len(self.language.network.units), ["embedding"])

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Weigh LSTM and linear model by F1 on validation sentences, or by likelihood if few."""
        if not self.config.linear:
            return
        mixture, crf = self.model.get_layer("mixture"), self.adapted["crf"]
        parts = dict(zip(_PARTS, mixture.input, strict=True))
        found = held_out(keras.Model(self.model.inputs, parts), self.task.calibration_units)
        enough = self.task.can_choose(found)

        def rank(shares: tuple[float, float]) -> float:
            batches = []
            for batch, logits in found:
                mixed = sum(s * logits[part] for s, part in zip(shares, _PARTS, strict=True))
                outputs = crf(tf.constant(mixed))
                batches.append((batch, {name: value.numpy() for name, value in outputs.items()}))
            if enough:
                return self.task.best_shift(batches)[1]
            return -sum(len(b["tags"]) * float(self.loss(b, outputs)) for b, outputs in batches)

        chosen = max(_SHARES, key=rank)
        mixture.shares.assign(chosen)
        environment.say(
            f"mixture: {chosen[0]:g} of the LSTM, {chosen[1]:g} of the linear model, by the "
            f"{'F1' if enough else 'likelihood'} of validation sentences"
        )

    def baselines(self) -> dict[str, Baseline]:
        naive = super().baselines()
        if self.config.linear:
            tokens, local = self.adapted["tokens"], self.adapted["local"]
            naive["linear_alone"] = LocalAlone("text", tokens, local, self.task.tag_set.legal)
        return naive
