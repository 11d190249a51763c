"""Translation: what a text is in another language."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.components import Baseline, Task, Tensors
from apps.data import Examples, Sequences
from apps.data.kinds.side import sides
from apps.layers.attention_decoder import AttentionDecoder
from apps.layers.copying import Copying
from apps.layers.subwords import Subwords
from apps.layers.token_layer import BEGIN
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.translation import scores
from apps.tasks.translation.baselines import Copy, WordDictionary
from apps.tasks.translation.config import TranslationTaskConfig
from apps.tasks.translation.sections import translation_sections


class Answered(NamedTuple):
    """What a model says of a batch.

    Attributes:
        texts: `(batch,)`.
        memory: the encoder's states, from which follows how likely the reference is.
    """

    texts: Sequence[Any] | np.ndarray
    memory: np.ndarray


class Translation(Task):
    """A text in another language, from the outputs of an `AttentionDecoder`.

    An application makes the layers `pieces`, a `Subwords`, `vectors`, `PieceVectors`, and
    `decoder`; its model gives logits `(batch, target, pieces)` in training.

    Args:
        target: column of the translations.
        source: column of the texts to translate, which the baselines read.
    """

    metrics = (
        Metric("bleu", "BLEU (0 to 100)", "higher"),
        Metric("chrf", "chrF (0 to 100)", "higher"),
        Metric("nats_per_token", "nats per piece of the reference", "lower"),
        Metric("perplexity", "perplexity per piece", "lower"),
    )
    objective = "bleu"
    alike = "target"
    headline = "text"
    config: TranslationTaskConfig

    def __init__(self, target: str = "target", source: str = "source") -> None:
        self.column, self.source = target, source
        self.columns = {target: sides(source, target)[target]}

    @property
    def pieces(self) -> Subwords:
        """What texts consist of."""
        return self.adapted["pieces"]

    @property
    def decoder(self) -> AttentionDecoder:
        """What the answers come from."""
        return self.adapted["decoder"]

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """All rows; says by which definition they will be measured."""
        if not learning:
            environment.say(f"BLEU is that of sacreBLEU: {scores.signature()}")
        return examples

    def adapt(self, examples: Examples) -> Mapping[str, keras.layers.Layer]:
        return {"copying": Copying(name="copying")}

    def targets(self, examples: Examples) -> dict[str, Any]:
        return {"target": Sequences(*self.pieces.flat(examples[self.column]))}

    def truth(self, examples: Examples) -> np.ndarray:
        return np.array(examples[self.column], object)

    def loss(self, batch: Tensors, outputs: tf.Tensor) -> tf.Tensor:
        """Cross-entropy a piece, with label smoothing (Szegedy et al. 2016, section 7)."""
        target, share = batch["target"], self.config.label_smoothing
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target, outputs)
        if share:
            # The loss of a piece drawn from all alike is its own one, less what its logit is above
            # the mean.
            above = tf.gather(outputs, target, batch_dims=2) - tf.reduce_mean(outputs, 2)
            losses += share * above
        real = tf.sequence_mask(batch["target_lengths"], tf.shape(losses)[1], losses.dtype)
        return tf.reduce_sum(losses * real) / tf.reduce_sum(real)

    def explained(self, outputs: Any) -> tf.Tensor:
        """The score of the best translation."""
        return tf.reduce_sum(outputs["scores"][:, 0])

    def answers(self, outputs: Any, inputs: Tensors) -> dict[str, Any]:
        """Texts, the best first, and which piece of the source each of the best stands for."""
        found, pieces = self.adapted["copying"](outputs, inputs), self.pieces
        texts = pieces(found["ids"], replaced=found["replaced"])
        answers = {
            "text": texts[:, 0],
            "score": outputs["scores"][:, 0],
            "cut": keras.ops.logical_or(
                outputs["cut"][:, 0] > 0, inputs["lengths"] >= self.config.max_tokens
            ),
            "alignment_target": pieces(found["target"], replaced=found["target_replaced"]),
            "alignment_source": pieces(found["source"], replaced=found["source_replaced"]),
            "alignment_weight": found["weight"],
            "alignment_counts": found["counts"],
        }
        if self.config.n_best > 1:
            answers |= {"texts": texts, "scores": outputs["scores"]}
        return answers

    def answered(self, outputs: Any, answer: Callable[[], Mapping[str, np.ndarray]]) -> Answered:
        return Answered(answer()["text"], outputs["memory"])

    def provisional(self, outputs: Any) -> Answered:
        """The same without what unknown pieces stand for."""
        texts = [self.pieces.decode(ids) for ids in outputs["pieces"][:, :, 0].tolist()]
        return Answered(texts, outputs["memory"])

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """Of each unit what BLEU and chrF count, and the reference's pieces and their nats."""
        lengths = batch["target_lengths"].astype(np.float64)
        nats = np.full(len(lengths), math.nan)
        texts = answered
        if isinstance(answered, Answered):
            texts = answered.texts
            given = (batch["target"], batch["target_lengths"], batch["lengths"], answered.memory)
            nats = self._nats(*map(tf.constant, given)).numpy().astype(np.float64)
        said = [text.decode() if isinstance(text, bytes) else str(text) for text in texts]
        pairs = list(zip(batch["truth"], said, strict=True))
        return {
            "bleu": np.stack([scores.bleu_counts(*pair) for pair in pairs]),
            "chrf": np.stack([scores.chrf_counts(*pair) for pair in pairs]),
            "nats": nats,
            "tokens": lengths,
        }

    @cached_property
    def _nats(self) -> Callable[..., tf.Tensor]:
        def nats(
            target: tf.Tensor, counts: tf.Tensor, lengths: tf.Tensor, memory: tf.Tensor
        ) -> Any:
            said = begun(target)
            memory = memory[:, : tf.reduce_max(lengths)]
            table = tf.convert_to_tensor(self.adapted["vectors"].table)
            logits, _ = self.decoder.teach(said, lengths, memory, table)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(target, logits)
            real = tf.sequence_mask(counts, tf.shape(losses)[1], losses.dtype)
            return tf.reduce_sum(losses * real, 1)

        ids, rows = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None], tf.int32)
        memory = tf.TensorSpec([None, None, self.decoder.memory], tf.float32)
        return tf.function(nats, input_signature=[ids, rows, rows, memory])

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """BLEU and chrF of the corpus; likelihood over every piece of every reference once."""
        nats = float(statistics["nats"].sum() / max(statistics["tokens"].sum(), 1.0))
        return {
            "bleu": scores.bleu(statistics["bleu"]),
            "chrf": scores.chrf(statistics["chrf"]),
            "nats_per_token": nats,
            "perplexity": math.exp(min(nats, 700.0)),
        }

    def metadata(self) -> dict[str, Any]:
        return {"bleu_signature": scores.signature()}

    def baselines(self) -> dict[str, Baseline]:
        return {
            "copy": Copy(self.source),
            "word_dictionary": WordDictionary(self.source, self.column, self.seed),
        }

    def shown(self, examples: Examples) -> list[Any]:
        return list(examples[self.column])

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return translation_sections(rows)


def begun(target: tf.Tensor) -> tf.Tensor:
    """What has been said before each piece of a target, `(batch, time)` int32."""
    return tf.pad(target, [[0, 0], [1, 0]], constant_values=BEGIN)[:, :-1]
