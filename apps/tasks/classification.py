"""Classification: one label for each unit."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.components import Baseline, Task, Tensors
from apps.configuration import Options, fixed
from apps.data import Examples
from apps.data.columns import quoted
from apps.data.kinds.label import label as label_column
from apps.errors import UserError
from apps.following import Follower
from apps.layers.outside import Outside
from apps.report.calibration import expected_calibration_error
from apps.report.quantities import Metric
from apps.report.sections import Section, calibration, confusion, examples_table
from apps.signatures import CLASSIFY, Signature
from apps.tasks.detection import DetectionFollower, Detector

# A report needs no more of an answer, and a thousand classes would fill a disk.
_MOST_PROBABILITIES = 20


@keras.saving.register_keras_serializable("apps")
class ClassAnswers(keras.layers.Layer):
    """Logits `(batch, classes)` to named answers.

    `label` is `(batch,)` string; `labels` string and `probabilities` float32 are
    `(batch, classes)`, so that a client knows which class each number is of.

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

    def outside(self) -> Outside:
        """The names of the classes."""
        return Outside(
            "names of classes: a softmax over 'outputs' gives one probability for each of the "
            "metadata's 'labels'",
            metadata={"labels": json.dumps(self.labels, ensure_ascii=False)},
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("dtype", None)
        return {**config, "labels": list(self.labels)}


class Majority(Baseline):
    """Answers every row with the class frequencies of the training rows.

    Args:
        column: holds the labels.
        labels: the names of the classes, in the order of the logits.
    """

    def __init__(self, column: str, labels: Sequence[str]) -> None:
        self.column, self.labels = column, tuple(labels)
        self.frequencies = np.zeros(len(labels))

    def fit(self, examples: Examples) -> None:
        counts = Counter(examples[self.column])
        self.frequencies = np.array([counts[label] for label in self.labels]) / len(examples)

    def predict(self, examples: Examples) -> np.ndarray:
        return np.log(np.tile(np.maximum(self.frequencies, 1e-12), (len(examples), 1)))

    def state(self) -> dict[str, np.ndarray]:
        return {"frequencies": self.frequencies}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        self.frequencies = state["frequencies"]


@dataclass(frozen=True)
class Decisions(Options):
    """How posteriors of a stream become decisions.

    `smooth_ms` is the time over which they are averaged, `on` the average at which a class is
    decided, `off` the one below which it may be decided again, `refractory_ms` the least time
    between two decisions. `all` also prints the background's classes.
    """

    on: float = fixed(0.7, low=0.0, high=1.0)
    off: float = fixed(0.4, low=0.0, high=1.0)
    smooth_ms: float = fixed(100.0, low=0.0, high=60_000.0)
    refractory_ms: float = fixed(300.0, low=0.0, high=600_000.0)
    all: bool = fixed(False)


class Classification(Task):
    """One label for each unit, from logits `(batch, classes)`.

    Args:
        column: holds the labels.
        background: classes that are decided in a stream but not printed, such as silence.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("accuracy", "accuracy", "higher", rate=True),
        Metric("f1", "F1", "higher", rate=True),
        Metric("cross_entropy", "cross-entropy", "lower", unit="nats"),
        Metric("calibration_error", "calibration error", "lower", rate=True),
    )
    objective = "accuracy"
    headline = "probabilities"
    stream_options = Decisions

    def __init__(self, column: str = "label", background: Sequence[str] = ()) -> None:
        self.column = self.stratify = column
        self.background = tuple(background)
        self.columns = {column: label_column()}

    @property
    def labels(self) -> tuple[str, ...]:
        return self.adapted["answers"].labels

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Refuse one class only, and labels that the model does not know."""
        found = sorted(set(examples[self.column]))
        if learning and len(found) < 2:
            raise UserError(
                f"{examples.source}: every row has the label '{found[0]}'; "
                "give examples of at least two labels"
            )
        if not learning:
            known = set(self.labels)
            for row, label in enumerate(examples[self.column]):
                if label not in known:
                    raise UserError(
                        f"{examples.places[row]}: label '{label}' was not in the training data "
                        f"(known: {quoted(self.labels)}); correct it, or train with examples of it"
                    )
        return examples

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        """Take the labels of the training rows as classes, numbers first, in their order."""
        labels = sorted(set(examples[self.column]), key=_natural)
        return {"answers": ClassAnswers(labels, name="answers")}

    def targets(self, examples: Examples) -> dict[str, Any]:
        index = {label: i for i, label in enumerate(self.labels)}
        return {"target": np.array([index[label] for label in examples[self.column]], np.int32)}

    def loss(self, batch: Tensors, outputs: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(outputs, tf.float32)
        return tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(batch["target"], logits)
        )

    def answers(self, outputs: Any, inputs: Tensors) -> dict[str, Any]:
        return self.adapted["answers"](outputs)

    def statistics(
        self, batch: Mapping[str, np.ndarray], answered: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Of each unit its class, the likeliest one, and the logarithms of both probabilities."""
        truth = batch["target"]
        log_probabilities = answered - _log_sum_exp(answered)
        rows, predicted = np.arange(len(truth)), answered.argmax(-1)
        return {
            "truth": truth,
            "predicted": predicted.astype(np.int32),
            "log_probability": log_probabilities[rows, truth],
            "confidence": np.exp(log_probabilities.max(-1)),
        }

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        truth, predicted = statistics["truth"], statistics["predicted"]
        classes, hit = len(self.labels), truth == predicted
        right = np.bincount(truth[hit], minlength=classes)
        support = np.bincount(truth, minlength=classes)
        guessed = np.bincount(predicted, minlength=classes)
        present = support > 0
        f1 = 2 * right / np.maximum(guessed + support, 1)
        return {
            "accuracy": float(right.sum() / max(len(truth), 1)),
            "f1": float(f1[present].mean()) if present.any() else 0.0,
            "cross_entropy": float(-statistics["log_probability"].mean()),
            "calibration_error": expected_calibration_error(statistics["confidence"], hit),
        }

    def baselines(self) -> dict[str, Baseline]:
        return {"majority": Majority(self.column, self.labels)}

    def shown(self, examples: Examples) -> list[Any]:
        return list(examples[self.column])

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """The answer with the likeliest classes only, and the true one, where there are many."""
        probabilities = answer["probabilities"]
        if len(probabilities) <= _MOST_PROBABILITIES:
            return answer
        likeliest = sorted(probabilities, key=probabilities.__getitem__, reverse=True)
        kept = dict.fromkeys([*likeliest[:_MOST_PROBABILITIES], truth])
        return {**answer, "probabilities": {label: probabilities[label] for label in kept}}

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        truth = [row["truth"] for row in rows]
        answered = [row["label"] for row in rows]
        confidence = np.array([row["probabilities"][row["label"]] for row in rows])
        hit = np.array([said == true for said, true in zip(answered, truth, strict=True)], bool)
        return [
            confusion(self.labels, truth, answered),
            calibration(confidence, hit, len(self.labels)),
            examples_table(rows),
        ]

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Decisions
    ) -> Follower:
        """Lines of what a `Detector` decides, the background's only if asked for."""
        settings = options.to_dict()
        hidden = () if settings.pop("all") else self.background
        try:
            detector = Detector(
                labels, metadata["step_seconds"], background=self.background, **settings
            )
        except ValueError as error:
            raise UserError(f"--on, --off: {error}") from None
        return DetectionFollower(detector, hidden)

    def named(self, answers: dict[str, Any]) -> dict[str, Any]:
        """A step's answers with `labels` `(batch, classes)`, the names of the classes."""
        shape = [tf.shape(answers["steps"])[0], len(self.labels)]
        return {**answers, "labels": tf.broadcast_to(self.labels, shape)}

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """`classify`, which takes serialised `tf.Example` where raw input is one value a unit.

        It gives `classes` string and `scores` float32, `(batch, classes)`.
        """
        if any(spec.shape.rank != 1 for spec in serving.inputs.values()):
            return {}
        features = {
            name: tf.io.FixedLenFeature((), spec.dtype) for name, spec in serving.inputs.items()
        }

        def classify(inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            values = tf.io.parse_example(inputs, features)
            answers = serving.call(*(values[name] for name in serving.inputs))
            return {"classes": answers["labels"], "scores": answers["probabilities"]}

        def example(inputs: Tensors, answers: Tensors) -> tuple[Tensors, Tensors]:
            rows = zip(*inputs.values(), strict=True)
            made = [_serialised(dict(zip(inputs, row, strict=True))) for row in rows]
            scores = {"classes": answers["labels"], "scores": answers["probabilities"]}
            return {"inputs": np.array(made, object)}, scores

        spec = tf.TensorSpec((None,), tf.string, name="inputs")
        return {"classify": Signature({"inputs": spec}, classify, CLASSIFY, example)}


def _serialised(row: Mapping[str, Any]) -> bytes:
    features = tf.train.Features(feature={name: _feature(value) for name, value in row.items()})
    return tf.train.Example(features=features).SerializeToString()


def _feature(value: Any) -> tf.train.Feature:
    if isinstance(value, str):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
    if np.asarray(value).dtype.kind in "iu":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[float(value)]))


def _log_sum_exp(logits: np.ndarray) -> np.ndarray:
    peak = logits.max(-1, keepdims=True)
    return peak + np.log(np.exp(logits - peak).sum(-1, keepdims=True))


def _natural(label: str) -> tuple[int, float, str]:
    """Sort key that puts labels that are finite numbers first and in numeric order."""
    try:
        number = float(label)
    except ValueError:
        number = math.nan
    # NaN compares as neither smaller nor larger, which leaves the order to chance.
    return (0, number, label) if math.isfinite(number) else (1, 0.0, label)
