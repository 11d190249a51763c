"""Translation: what a text is in another language."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Adaptation, Batches
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples
from apps.inputs.text_pairs import TextPairs
from apps.layers.alternatives.stack import stack_of
from apps.layers.attention_decoder import AttentionDecoder
from apps.layers.piece_vectors import PieceVectors
from apps.layers.pooling import LengthMask
from apps.layers.subwords import Subwords
from apps.tasks.translation import Translation as TranslationTask
from apps.tasks.translation import TranslationTaskConfig, scores
from apps.tasks.translation.task import begun
from apps.text.copied_words import with_copied_words
from apps.text.sample_translations import sample_translations

# 29,000 pairs of short sentences have 4 million letters, for which 4,000 pieces do well.
_FEWEST_PIECES, _MOST_PIECES = 100, 16_000
_FEW_LETTERS = 100_000
# The first of equals wins, and so many rows choose among them.
_PENALTIES = (1.0, 0.5, 1.5, 2.0)
_CALIBRATION_ROWS = 2000


@dataclass(frozen=True)
class TranslationConfig(StackConfig, TranslationTaskConfig):
    """Hyperparameters of the translation model; `searched` ones are what tuning varies.

    `vocabulary` byte pairs are learnt from both sides together, fewer or more where there is less
    or more text. `units` are those of a direction of
    the encoder, `decoder_units` those of the decoder's two LSTMs. `word_dropout` hides whole pieces
    in training. Of `copies` of the pairs, a word becomes one that is unknown on both sides.
    """

    learning_rate: float = changed(3e-3)
    batch_size: int = changed(64, span=(32, 128))
    epochs: int = changed(30)
    patience: int = changed(8)
    averaging: float = changed(0.998)
    units: int | tuple[int, ...] = changed(192, span=(128, 512))
    input_dropout: float = changed(0.15)
    weight_dropout: float = changed(0.1)
    layer_dropout: float = changed(0.2)
    output_dropout: float = changed(0.25)
    decoder_units: int = searched(320, low=1, high=4096, log=True, span=(192, 1024))
    embedding: int = searched(192, low=1, high=4096, log=True, span=(128, 512))
    word_dropout: float = searched(0.05, low=0.0, high=0.9, span=(0.0, 0.3))
    vocabulary: int = searched(4000, low=8, high=1_000_000, log=True, span=(2000, 16000))
    copies: float = fixed(0.01, low=0.0, high=1.0)


class Translation(Application):
    """An LSTM encoder in both directions, and a decoder of two LSTMs with attention between."""

    name = "translation"
    input: TextPairs = TextPairs("source", "target")
    task: TranslationTask = TranslationTask("target", "source")
    Config = TranslationConfig
    config: TranslationConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_translations(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        small = {"units": 8, "decoder_units": 12, "embedding": 8, "vocabulary": 120, "beam": 2}
        schedule = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01, "averaging": 0.0}
        return Tiny(cls.sample(0).select(range(120)), {**small, **schedule})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        """As many pieces as there are texts to learn them from."""
        letters = sum(len(text) for name in ("source", "target") for text in units[name])
        pieces = round(2 * math.sqrt(letters), -2 if letters > _FEW_LETTERS else -1)
        return {"vocabulary": int(min(max(pieces, _FEWEST_PIECES), _MOST_PIECES))}

    def adapt(self, examples: Examples) -> Adaptation:
        config = self.config
        texts = [*examples[self.input.column], *examples[self.task.column]]
        pieces = Subwords.adapt(
            texts, config.vocabulary, ends=True, max_tokens=config.max_tokens, name="pieces"
        )
        names = (self.input.column, self.task.column)
        training = with_copied_words(examples, names, config.copies, self.seed)
        return Adaptation({"pieces": pieces}, training=training)

    def build(self) -> keras.Model:
        config = self.config
        widths = config.units if isinstance(config.units, tuple) else (config.units,)
        size = self.adapted["pieces"].size
        self.adapted["vectors"] = PieceVectors(
            size,
            config.embedding,
            config.input_dropout,
            config.word_dropout,
            self.seed,
            name="vectors",
        )
        self.adapted["decoder"] = AttentionDecoder(
            size,
            config.embedding,
            widths[-1] * (1 + config.bidirectional),
            config.decoder_units,
            input_dropout=config.input_dropout,
            word_dropout=config.word_dropout,
            layer_dropout=config.layer_dropout,
            weight_dropout=config.weight_dropout,
            output_dropout=config.output_dropout,
            beam=config.beam,
            n_best=min(config.n_best, config.beam),
            length_penalty=1.0 if config.length_penalty is None else config.length_penalty,
            coverage_penalty=config.coverage_penalty,
            longest=config.max_tokens,
            seed=self.seed,
            name="decoder",
        )
        ids = keras.Input((None,), dtype="int32", name="ids")
        lengths = keras.Input((), dtype="int32", name="lengths")
        said = keras.Input((None,), dtype="int32", name="said")
        mask = LengthMask(name="mask")(ids, lengths)
        decoder, seed = self.adapted["decoder"], self.seed + 1000
        vectors, table = self.adapted["vectors"](ids)
        memory = stack_of(config, seed, input_dropout=0.0, name="encoder")(vectors, mask=mask)
        memory = keras.layers.Dropout(
            config.layer_dropout, noise_shape=(None, 1, None), seed=seed, name="memory_dropout"
        )(memory)
        inputs = {"ids": ids, "lengths": lengths}
        self._answering = keras.Model(inputs, decoder(ids, lengths, memory, table))
        return keras.Model({**inputs, "said": said}, decoder(ids, lengths, memory, table, said))

    def inference(self) -> keras.Model:
        return getattr(self, "_answering", self.model)

    def forward(self, batch: Mapping[str, Any]) -> Any:
        return super().forward({**batch, "said": begun(batch["target"])})

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """From here on the beam is as wide as it was set; until then search was greedy."""
        decoder, task = self.adapted["decoder"], self.task
        decoder.search_for_good()

        def bleu(penalty: float) -> float:
            decoder.search_for_good(penalty)
            found = held_out(self.inference(), _CALIBRATION_ROWS)
            counts = [task.statistics(b, task.provisional(o).texts)["bleu"] for b, o in found]
            return scores.bleu(np.concatenate(counts))

        if self.config.length_penalty is None:
            best = max(_PENALTIES, key=bleu)
            decoder.search_for_good(best)
            environment.say(f"length penalty {best:g}, of {_PENALTIES}: the highest BLEU")

    def track(self, example: Examples) -> dict[str, Any]:
        """What each piece of the answer to one text attends to."""
        pieces, model = self.adapted["pieces"], self.inference()
        prepared = pieces(tf.constant([example[self.input.column][0]]))
        found = model({name: prepared[name] for name in ("ids", "lengths")}, training=False)
        table = tf.convert_to_tensor(self.adapted["vectors"].table)
        said = tf.transpose(found["pieces"], [0, 2, 1])[:, :1]
        weights = self.adapted["decoder"].attention(
            said, prepared["lengths"], found["memory"], table
        )
        ids = said.numpy()[0, 0]
        return {
            "source_pieces": [pieces.texts[one] or "end" for one in prepared["ids"].numpy()[0]],
            "target_pieces": [pieces.texts[one] for one in ids if one],
            "attention": weights.numpy()[0, 0, ids > 0].round(3).tolist(),
        }
