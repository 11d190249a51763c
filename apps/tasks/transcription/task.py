"""Transcription: the text of a recording, by connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.components import Baseline, Batches, Task, Tensors
from apps.data import Examples
from apps.data.kinds.text import transcript
from apps.errors import UserError
from apps.following import Follower
from apps.layers.ctc import Decoder, ctc_loss, steps_needed
from apps.layers.ctc.posteriors import RealSteps, real_steps
from apps.layers.ctc.tokens import Tokens, normalized
from apps.layers.ctc.transcripts import Transcripts
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.report.speech.error_rates import character_errors, word_errors
from apps.report.speech.sections import transcription_sections
from apps.tasks.transcription.config import CtcConfig
from apps.tasks.transcription.decoders import choose_weights, new_decoder, plain_decoder
from apps.tasks.transcription.frequent_transcript import MostFrequentTranscript
from apps.tasks.transcription.live import TranscriptFollower


class CtcTranscription(Task):
    """The text of each unit, from the outputs of a `Posteriors` layer `(batch, steps, tokens)`.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks". An application's `adapt` calls `decoding`, once it knows how
    long a step of its model is.

    Args:
        column: holds the transcripts.
    """

    metrics = (
        Metric("wer", "word error rate", "lower", rate=True),
        Metric("cer", "character error rate", "lower", rate=True),
        Metric("substitutions", "words replaced, of those spoken", "lower", rate=True),
        Metric("deletions", "words left out, of those spoken", "lower", rate=True),
        Metric("insertions", "words put in, of those spoken", "lower", rate=True),
    )
    objective = "wer"
    headline = "text"
    passed_over = "without a transcript"
    config: CtcConfig

    def __init__(self, column: str = "transcript") -> None:
        self.column = column
        self.columns = {column: transcript()}

    @property
    def tokens(self) -> Tokens:
        """What the outputs stand for."""
        return self.adapted["transcripts"].tokens

    def decoding(self, examples: Examples, step_seconds: float) -> dict[str, keras.layers.Layer]:
        """The layers behind the model: tokens and decoder of the training transcripts.

        Args:
            examples: the training units.
            step_seconds: seconds from one step of the outputs to the next.
        """
        texts, config = examples[self.column], self.config
        tokens = Tokens.adapt(texts, kind=config.tokens, size=config.pieces)
        return {
            "transcripts": Transcripts(tokens, step_seconds, name="transcripts"),
            "decoder": new_decoder(config, tokens, texts),
        }

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        spoken = [row for row, text in enumerate(examples[self.column]) if text.strip()]
        if not spoken:
            raise UserError(
                f"{examples.source}: every transcript is empty; give what is said in each recording"
            )
        return examples.select(spoken)

    def targets(self, examples: Examples) -> dict[str, Any]:
        encoded = [self.tokens.encode(text) for text in examples[self.column]]
        counts = np.array([len(ids) for ids in encoded], np.int32)
        labels = np.zeros((len(encoded), max(1, *counts)), np.int32)
        for row, ids in zip(labels, encoded, strict=True):
            row[: len(ids)] = ids
        return {"labels": labels, "label_lengths": counts}

    def tell_of_impossible_rows(self, targets: Mapping[str, Any], steps: np.ndarray) -> None:
        """Say how many transcripts are longer than their recordings allow.

        Args:
            targets: as `targets` gives them.
            steps: `(units,)`, steps of each unit's outputs.
        """
        labels, counts = targets["labels"], targets["label_lengths"]
        needed = steps_needed(tf.constant(labels), tf.constant(counts)).numpy()
        lacking = int((needed > steps).sum())
        if lacking:
            environment.say(
                f"{lacking} of {len(counts)} transcripts have more letters than their recording "
                "has steps: they add nothing to the loss; check that they belong together"
            )

    def truth(self, examples: Examples) -> np.ndarray:
        return np.array([normalized(text) for text in examples[self.column]], object)

    def loss(self, batch: Tensors, outputs: tf.Tensor) -> tf.Tensor:
        losses, possible = ctc_loss(
            batch["labels"], batch["label_lengths"], outputs, real_steps(outputs)
        )
        rows = tf.reduce_sum(tf.cast(possible, tf.float32))
        return tf.reduce_sum(losses) / tf.maximum(rows, 1.0)

    def answers(self, outputs: Any, inputs: Tensors) -> dict[str, Any]:
        return self._decoded(self.adapted["decoder"], outputs)

    def _decoded(self, decoder: Decoder, outputs: Any) -> dict[str, Any]:
        return self.adapted["transcripts"](decoder(outputs, RealSteps()(outputs)))

    def answered(self, outputs: Any, answer: Callable[[], Mapping[str, np.ndarray]]) -> np.ndarray:
        return answer()["text"]

    def provisional(self, outputs: Any) -> np.ndarray:
        """Texts by greedy search, which takes no time beside an epoch."""
        return self._plain["greedy"](outputs)

    def decoders(self) -> dict[str, Callable[[Any], np.ndarray]]:
        """What the model says without a language model."""
        return {kind: one for kind, one in self._plain.items() if kind != self.config.decoder}

    @cached_property
    def _plain(self) -> dict[str, Callable[[Any], np.ndarray]]:
        """Texts by the searches that know no language model, each traced once."""
        kinds = ("greedy", "beam")
        return {kind: self._texts(plain_decoder(kind, self.config.beam)) for kind in kinds}

    def _texts(self, decoder: Decoder) -> Callable[[Any], np.ndarray]:
        decode = self._traced(lambda outputs: self._decoded(decoder, outputs)["text"])
        return lambda outputs: decode(tf.constant(outputs)).numpy()

    @cached_property
    def decode(self) -> Callable[[Any], dict[str, tf.Tensor]]:
        """`answers` as one graph for outputs of any length: op by op a search takes seconds."""
        return self._traced(lambda outputs: self.answers(outputs, {}))

    def _traced(self, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        spec = tf.TensorSpec((None, None, len(self.tokens)), tf.float32)
        return tf.function(function, input_signature=[spec])

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """Of each unit hits, substitutions, deletions and insertions, `(units, 4)` int64."""
        texts = [text.decode() if isinstance(text, bytes) else text for text in answered]
        pairs = list(zip(batch["truth"], texts, strict=True))
        return {
            "words": np.array([word_errors(*pair) for pair in pairs], np.int64),
            "characters": np.array([character_errors(*pair) for pair in pairs], np.int64),
        }

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """All errors over all units of the references; without any, the number of insertions."""
        words, characters = (statistics[name].sum(0) for name in ("words", "characters"))
        spoken = max(int(words[:3].sum()), 1)
        substitutions, deletions, insertions = (int(count) for count in words[1:])
        return {
            "wer": (substitutions + deletions + insertions) / spoken,
            "cer": int(characters[1:].sum()) / max(int(characters[:3].sum()), 1),
            "substitutions": substitutions / spoken,
            "deletions": deletions / spoken,
            "insertions": insertions / spoken,
        }

    def calibrate(self, batches: Batches) -> None:
        said = {"truth": np.concatenate([batch["truth"] for batch, _ in batches])}

        def wrong() -> float:
            texts = [self.decode(outputs)["text"].numpy() for _, outputs in batches]
            return self.measure(self.statistics(said, np.concatenate(texts)))["wer"]

        choose_weights(self.config, self.adapted["decoder"], wrong)

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Any
    ) -> Follower:
        return TranscriptFollower(metadata["step_seconds"])

    def baselines(self) -> dict[str, Baseline]:
        return {"most_frequent_transcript": MostFrequentTranscript(self.column)}

    def shown(self, examples: Examples) -> list[Any]:
        return [normalized(text) for text in examples[self.column]]

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return transcription_sections(rows)
