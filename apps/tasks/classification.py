"""What applications share that answer with a label: loss, metrics, majority baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from apps.application import Application, Baseline
from apps.data.columns import quoted
from apps.errors import UserError
from apps.report.calibration import expected_calibration_error
from apps.report.sections import Section, calibration, confusion, examples_table
from apps.signatures import Signature, classify_signature

if TYPE_CHECKING:
    from apps.data import Examples

_EXCERPT = 600


@keras.saving.register_keras_serializable("apps")
class ClassAnswers(keras.layers.Layer):
    """Logits `(batch, classes)` to named answers.

    `label` is `(batch,)` string; `labels` string and `probabilities` float32 are
    `(batch, classes)`, so that whoever reads an answer knows which class each number is of.

    Args:
        labels: the names of the classes, in the order of the logits.
    """

    def __init__(self, labels: Sequence[str], **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.labels = tuple(labels)

    def call(self, logits: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = tf.nn.softmax(tf.cast(logits, tf.float32))
        labels = tf.constant(self.labels)
        return {
            "label": tf.gather(labels, tf.argmax(probabilities, -1)),
            "labels": tf.broadcast_to(labels, tf.shape(probabilities)),
            "probabilities": probabilities,
        }

    def compute_output_spec(self, logits: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        return {
            "label": keras.KerasTensor(logits.shape[:1], dtype="string"),
            "labels": keras.KerasTensor(logits.shape, dtype="string"),
            "probabilities": keras.KerasTensor(logits.shape, dtype="float32"),
        }

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("dtype", None)
        return {**config, "labels": list(self.labels)}


class Majority(Baseline):
    """Answers every row with the class frequencies of the training rows."""

    def __init__(self, labels: Sequence[str]) -> None:
        self.labels = tuple(labels)
        self.frequencies = np.zeros(len(labels))

    def fit(self, examples: Examples) -> None:
        counts = Counter(examples["label"])
        self.frequencies = np.array([counts[label] for label in self.labels]) / len(examples)

    def predict(self, examples: Examples) -> np.ndarray:
        return np.log(np.tile(np.maximum(self.frequencies, 1e-12), (len(examples), 1)))

    def state(self) -> dict[str, np.ndarray]:
        return {"frequencies": self.frequencies}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.frequencies = state["frequencies"]


class Classifier(Application):
    """An application whose model gives logits over labels found in the column `label`."""

    metrics = ("accuracy", "f1", "cross_entropy", "calibration_error")
    objective = "accuracy"
    stratify = "label"

    def check_labels(self, examples: Examples, *, learning: bool) -> None:
        """Refuse one class only, and labels that the model does not know.

        Args:
            examples: the rows, empty inputs already dropped.
            learning: whether the labels are being learnt from these rows.

        Raises:
            UserError: with the source, the row and the remedy.
        """
        found = sorted(set(examples["label"]))
        if learning and len(found) < 2:
            raise UserError(
                f"{examples.source}: every row has the label '{found[0]}'; "
                "give examples of at least two labels"
            )
        if not learning:
            for row, label in enumerate(examples["label"]):
                if label not in self.labels:
                    raise UserError(
                        f"{examples.places[row]}: label '{label}' was not in the training data "
                        f"(known: {quoted(self.labels)}); correct it, or train with examples of it"
                    )

    def learn_labels(self, examples: Examples) -> None:
        """Take the sorted labels of the training rows as classes."""
        self.labels = tuple(sorted(set(examples["label"]), key=_natural))

    def truth(self, examples: Examples) -> np.ndarray:
        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[label] for label in examples["label"]], np.int32)

    def loss(self, batch: Mapping[str, tf.Tensor], outputs: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(outputs, tf.float32)
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], logits)
        )

    def measure(self, truth: np.ndarray, outputs: np.ndarray) -> dict[str, float]:
        log_probabilities = outputs - _log_sum_exp(outputs)
        predicted = outputs.argmax(-1)
        classes = outputs.shape[-1]
        counts = np.bincount(truth * classes + predicted, minlength=classes**2)
        table = counts.reshape(classes, classes)
        hits, present = table.diagonal(), table.sum(1) > 0
        f1 = 2 * hits / np.maximum(table.sum(0) + table.sum(1), 1)
        return {
            "accuracy": float(hits.sum() / max(len(truth), 1)),
            "f1": float(f1[present].mean()) if present.any() else 0.0,
            "cross_entropy": float(-log_probabilities[np.arange(len(truth)), truth].mean()),
            "calibration_error": expected_calibration_error(np.exp(log_probabilities), truth),
        }

    def baselines(self) -> dict[str, Baseline]:
        return {"majority": Majority(self.labels)}

    def answers(self, outputs: np.ndarray) -> list[dict[str, Any]]:
        probabilities = np.exp(outputs - _log_sum_exp(outputs))
        return [
            {
                "label": self.labels[int(row.argmax())],
                "probabilities": {
                    name: round(float(p), 6) for name, p in zip(self.labels, row, strict=True)
                },
            }
            for row in probabilities
        ]

    def signatures(self) -> dict[str, Signature]:
        return {**super().signatures(), "classify": classify_signature(self)}

    def predictions(self, examples: Examples, outputs: np.ndarray) -> list[dict[str, Any]]:
        rows = zip(
            examples.places,
            examples[self.inputs[0]],
            examples["label"],
            self.answers(outputs),
            strict=True,
        )
        return [
            {"place": place, "input": str(given)[:_EXCERPT], "truth": truth, **answer}
            for place, given, truth, answer in rows
        ]

    def sections(self, predictions: Sequence[Mapping[str, Any]]) -> list[Section]:
        truth = [row["truth"] for row in predictions]
        index = {label: i for i, label in enumerate(self.labels)}
        probabilities = np.array(
            [[row["probabilities"][label] for label in self.labels] for row in predictions]
        ).reshape(-1, len(self.labels))
        return [
            confusion(self.labels, truth, [row["label"] for row in predictions]),
            calibration(probabilities, np.array([index[label] for label in truth], np.int64)),
            examples_table(predictions),
        ]


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    peak = logits.max(-1, keepdims=True)
    return peak + np.log(np.exp(logits - peak).sum(-1, keepdims=True))


def _natural(label: str) -> tuple[int, float, str]:
    """Sort key that puts labels that are numbers first and in numeric order."""
    try:
        return (0, float(label), label)
    except ValueError:
        return (1, 0.0, label)
