"""Tagging: typed spans in each unit, from a linear-chain CRF over its tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.components import Baseline, Batches, Task, Tensors
from apps.configuration import ApplicationConfig, fixed
from apps.data import Examples, Sequences
from apps.data.kinds.spans import spans as spans_column
from apps.data.tagged.schemes import TokenSpan
from apps.errors import UserError
from apps.layers.crf import CRF, log_likelihood, viterbi
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.tagging.alignment import aligned, token_spans
from apps.tasks.tagging.answers import SpanAnswers
from apps.tasks.tagging.mentions import Mentions
from apps.tasks.tagging.sections import tagging_sections
from apps.tasks.tagging.tag_set import TagSet

_MISSED, _INVENTED, _FOUND = range(3)
# What is tried as the weight of O, in nats, and how many spans it takes to choose one.
_WEIGHTS = np.arange(-1.0, 5.01, 0.5)
_SPANS_TO_CHOOSE_BY = 100


@dataclass(frozen=True)
class TaggingConfig(ApplicationConfig):
    """Hyperparameters of every application that tags.

    `tokens` is `words`, or `letters` where names begin or end within words. `scheme` is that of the
    tags which the model chooses among, whatever the data are written in.
    """

    tokens: str = fixed("words", choices=("words", "letters"))
    scheme: str = fixed("BIOES", choices=("IOB2", "BIOES"))


class Tagging(Task):
    """Typed spans, from the outputs of a `CRF` layer.

    An application's `build` ends in the layer `crf` that the task makes.

    Args:
        column: holds the spans.
        text: the column of the texts that they lie in.
    """

    metrics = (
        Metric("f1", "F1 of spans", "higher", rate=True),
        Metric("precision", "precision of spans", "higher", rate=True),
        Metric("recall", "recall of spans", "higher", rate=True),
        Metric("sentences", "sentences without an error", "higher", rate=True),
    )
    objective = "f1"
    headline = "spans"
    aligned = ("tags",)
    config: TaggingConfig

    def __init__(self, column: str = "spans", text: str = "text") -> None:
        self.column, self.text = column, text
        self.columns = {column: spans_column()}

    @property
    def tag_set(self) -> TagSet:
        """The tags that the model chooses among."""
        return self.adapted["answers"].tag_set

    @property
    def _letters(self) -> bool:
        return self.config.tokens == "letters"

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Widen spans to whole tokens; refuse to learn from rows without any span."""
        found = aligned(examples, self.text, self.column, letters=self._letters)
        if learning and not any(found[self.column]):
            raise UserError(
                f"{examples.source}: no row has a span; give rows in which something is marked"
            )
        return found

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        """Take the types of the training rows' spans."""
        types = sorted({kind for row in examples[self.column] for _, _, kind in row})
        answers = SpanAnswers(types, self.config.scheme, name="answers")
        return {"answers": answers, "crf": CRF(answers.tag_set.legal, name="crf")}

    def metadata(self) -> dict[str, Any]:
        return {"types": list(self.tag_set.types)}

    def targets(self, examples: Examples) -> dict[str, Any]:
        encode = self.tag_set.encode
        rows = [encode(spans, max(len(words), 1)) for words, spans in self._sentences(examples)]
        return {"tags": Sequences.from_rows(rows)}

    @property
    def calibration_units(self) -> int:
        return 5000

    def calibrate(self, batches: Batches) -> None:
        """Choose how much less likely O becomes, so that F1 is highest.

        Trained where most words are outside, a CRF finds too little (Minkov, Wang, Tomasic & Cohen
        2006, "NER systems that suit user's preferences: adjusting the recall-precision trade-off
        for entity extraction").
        """
        if self.can_choose(batches):
            crf, shift = self.adapted["crf"], np.zeros(len(self.tag_set), np.float32)
            shift[0], _ = self.best_shift(batches)
            crf.shift.assign(crf.shift + shift)

    def can_choose(self, batches: Batches) -> bool:
        """Whether units hold enough spans to choose anything by F1."""
        found = (len(self.tag_set.found(one["tags"], one["lengths"])) for one, _ in batches)
        return sum(found) >= _SPANS_TO_CHOOSE_BY

    def best_shift(self, batches: Batches) -> tuple[float, float]:
        """What to add to the emissions of O, and the F1 that it gives.

        Each value counts with its neighbours, since one alone may be luck.
        """
        reached = [self._f1(batches, weight) for weight in _WEIGHTS]
        smooth = np.convolve(np.pad(reached, 1, "edge"), np.ones(3) / 3, "valid")
        best = int(smooth.argmax())
        return -float(_WEIGHTS[best]), float(smooth[best])

    def _f1(self, batches: Batches, weight: float) -> float:
        """F1 if O were less likely by a weight."""
        counts = np.zeros(3, np.int64)
        for batch, outputs in batches:
            emissions = outputs["emissions"].copy()
            emissions[:, :, 0] -= weight
            found = self.statistics(batch, {**outputs, "emissions": emissions})
            counts += found["spans"].sum((0, 1))
        return _rates(counts)["f1"]

    def _sentences(self, examples: Examples) -> Iterator[tuple[list[str], list[TokenSpan]]]:
        spans = examples.columns.get(self.column)
        return token_spans(examples[self.text], spans, letters=self._letters)

    def loss(self, batch: Tensors, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Mean over sentences of the negative log-likelihood of their tags, in nats."""
        # A type that the model does not have cannot be likely; its words count as outside.
        tags = tf.where(batch["tags"] < len(self.tag_set), batch["tags"], 0)
        emissions, transitions = (
            tf.cast(outputs[name], tf.float32) for name in ("emissions", "transitions")
        )
        return -tf.reduce_mean(log_likelihood(emissions, transitions, tags, batch["lengths"]))

    def explained(self, outputs: Any) -> tf.Tensor:
        """The largest emission of each token, summed."""
        return super().explained(outputs["emissions"])

    def answers(self, outputs: Any, inputs: Tensors) -> dict[str, Any]:
        where = {name: inputs[name] for name in ("lengths", "starts", "ends")}
        return self.adapted["answers"]({**outputs, **where})

    @cached_property
    def _viterbi(self) -> Any:
        """The best tags as one graph for batches of any size."""
        size = len(self.tag_set)
        return tf.function(
            viterbi,
            input_signature=[
                tf.TensorSpec([None, None, size], tf.float32),
                tf.TensorSpec([None, size + 1, size + 1], tf.float32),
                tf.TensorSpec([None], tf.int32),
            ],
        )

    def statistics(self, batch: Mapping[str, np.ndarray], answered: Any) -> dict[str, np.ndarray]:
        """Of each unit, `(units, types + 1, 3)` int32: spans missed, invented and found, by type.

        The last type stands for all that the model does not know.

        Args:
            batch: with `tags` and `lengths`.
            answered: the model's outputs, or the tags of a baseline.
        """
        lengths = batch["lengths"]
        if isinstance(answered, Mapping):
            given = (answered["emissions"], answered["transitions"], lengths)
            answered = self._viterbi(*map(tf.constant, given)).numpy()
        truth, said = (
            {tuple(span) for span in self.tag_set.found(tags, lengths).tolist()}
            for tags in (batch["tags"], answered)
        )
        counts = np.zeros((len(lengths), len(self.tag_set.types) + 1, 3), np.int32)
        for which, spans in ((_MISSED, truth - said), (_INVENTED, said - truth)):
            for row, _, _, kind in spans:
                counts[row, kind, which] += 1
        for row, _, _, kind in truth & said:
            counts[row, kind, _FOUND] += 1
        return {"spans": counts}

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        counts = statistics["spans"]
        wrong = counts[:, :, :_FOUND].sum((1, 2))
        return {
            **_rates(counts.sum((0, 1))),
            "sentences": float((wrong == 0).mean()) if len(wrong) else float("nan"),
        }

    def by_class(self, statistics: Mapping[str, np.ndarray]) -> dict[str, dict[str, float]]:
        """F1, precision and recall of each type, and how many spans of it there are."""
        counts = statistics["spans"].sum(0)
        names = [*self.tag_set.types, "(other)"]
        return {
            name: {**_rates(row), "spans": int(row[_MISSED] + row[_FOUND])}
            for name, row in zip(names, counts, strict=True)
            if row.any()
        }

    def baselines(self) -> dict[str, Baseline]:
        return {"mentions": Mentions(self._sentences, self.tag_set)}

    def shown(self, examples: Examples) -> list[Any]:
        return [[list(span) for span in row] for row in examples[self.column]]

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return tagging_sections(rows, self.tag_set.types)


def _rates(counts: np.ndarray) -> dict[str, float]:
    """F1, precision and recall; 0 where there was nothing right to divide."""
    missed, invented, found = (int(count) for count in counts)
    return {
        "f1": 2 * found / max(2 * found + missed + invented, 1),
        "precision": found / max(found + invented, 1),
        "recall": found / max(found + missed, 1),
    }
