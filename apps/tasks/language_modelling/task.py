"""Language modelling: how likely each token of a text is, and how a text goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from apps.components import Baseline, Task, Tensors
from apps.configuration import Options, fixed
from apps.data import Examples, Sequences
from apps.following import Follower
from apps.layers.language.generation import OPTIONS
from apps.layers.token_layer import PAD, UNKNOWN
from apps.report.quantities import Metric
from apps.report.sections import Section
from apps.tasks.language_modelling.follower import TextFollower
from apps.tasks.language_modelling.ngrams import NgramBaseline
from apps.tasks.language_modelling.sections import sections

# Of characters a longer context tells more than of words.
_ORDERS = {"char": 6, "bpe": 4, "word": 3}


@dataclass(frozen=True)
class Stop(Options):
    """Where a text ends.

    `stop` is a text that ends it and is no part of it, `\\n` in it being a line end.
    """

    stop: str | None = fixed(None)


class LanguageModelling(Task):
    """The next token, from the logarithms of the probabilities of those that came.

    Outputs are `log_probs` `(batch, time)` float32, of each target, and `states` `(batch, units)`,
    the states of all LSTMs side by side. The application's `adapt` makes the layers `tokens` and
    `continuation`, an `apps.layers.language.generation.Continuation` once the model is built.
    """

    metrics: ClassVar[tuple[Metric, ...]] = (
        Metric("perplexity", "perplexity", "lower"),
        Metric("nats_per_token", "nats per token", "lower", unit="nats"),
        Metric("nats_per_character", "nats per character", "lower", unit="nats"),
        Metric("unknown", "unknown tokens", "neither", rate=True),
    )
    objective = "nats_per_token"
    headline = "text"
    stream_options = Stop
    aligned = ("target",)

    def __init__(self) -> None:
        self.columns = {}

    def targets(self, examples: Examples) -> dict[str, Any]:
        return {"target": Sequences.from_rows(examples["ids"], np.int32)}

    def loss(self, batch: Tensors, outputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Nats of the real tokens over all places, so that pieces of a batch add up to it."""
        log_probs = outputs["log_probs"]
        real = tf.sequence_mask(batch["lengths"], tf.shape(log_probs)[1], log_probs.dtype)
        return -tf.reduce_mean(log_probs * real)

    def explained(self, outputs: Mapping[str, Any]) -> tf.Tensor:
        """The log probability of the text that was read."""
        return tf.reduce_sum(outputs["log_probs"])

    def answers(self, outputs: Mapping[str, Any], inputs: Tensors) -> dict[str, Any]:
        ids = inputs["ids"]
        last = keras.ops.take_along_axis(ids, inputs["lengths"][:, None] - 1, 1)[:, 0]
        options = {name: inputs[name] for name in OPTIONS}
        answer = self.adapted["continuation"](outputs["states"], last, options)
        read = inputs["target"] != PAD
        nats = keras.ops.where(read, keras.ops.round(-outputs["log_probs"], 4), 0.0)
        return {
            **answer,
            "prompt_nats": nats,
            "prompt_counts": keras.ops.sum(keras.ops.cast(read, "int32"), 1),
        }

    def statistics(
        self, batch: Mapping[str, np.ndarray], answered: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Of each window its nats, its tokens, their characters, and how many are unknown."""
        target, lengths = batch["target"], batch["lengths"]
        real = np.arange(target.shape[1]) < lengths[:, None]
        log_probs = np.asarray(answered["log_probs"], np.float64)[:, : target.shape[1]]
        return {
            "nats": -np.where(real, log_probs, 0.0).sum(1),
            "tokens": lengths.astype(np.int64),
            "characters": np.where(real, self._sizes[target], 0).sum(1),
            "unknown": (real & (target == UNKNOWN)).sum(1),
        }

    @property
    def _sizes(self) -> np.ndarray:
        """How many characters each token has."""
        return np.array([len(text) for text in self.adapted["tokens"].texts])

    def measure(self, statistics: Mapping[str, np.ndarray]) -> dict[str, float]:
        nats, tokens = statistics["nats"].sum(), max(int(statistics["tokens"].sum()), 1)
        unknown, characters = int(statistics["unknown"].sum()), int(statistics["characters"].sum())
        # What an unknown token stands for has no probability.
        spelt = characters > 0 and not unknown
        return {
            "perplexity": float(np.exp(min(nats / tokens, 700.0))),
            "nats_per_token": float(nats / tokens),
            "nats_per_character": float(nats / characters) if spelt else float("nan"),
            "unknown": unknown / tokens,
        }

    def baselines(self) -> dict[str, Baseline]:
        tokens, order = self.adapted["tokens"], _ORDERS[self.config.tokens]
        return {
            "unigram": NgramBaseline(tokens, 1),
            f"{order}-gram": NgramBaseline(tokens, order),
        }

    def shown(self, examples: Examples) -> list[Any]:
        return [""] * len(examples)

    def kept(self, answer: Mapping[str, Any], truth: Any) -> Mapping[str, Any]:
        """How surprising each token was."""
        return {"nats": [round(value, 3) for value in answer["prompt_nats"]]}

    def sections(self, rows: Sequence[Mapping[str, Any]]) -> list[Section]:
        return sections(rows)

    def follower(
        self, metadata: Mapping[str, Any], labels: Sequence[str], options: Any
    ) -> Follower:
        """The text as it comes."""
        stop = metadata["decoding"]["stop"] if options.stop is None else options.stop
        return TextFollower(stop.replace("\\n", "\n"))
