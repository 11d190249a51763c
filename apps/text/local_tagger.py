"""A linear model of each token and its neighbours: fitted before the LSTM, and mixed with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from apps.components import Baseline
from apps.data import Examples, Sequences
from apps.layers.crf import viterbi
from apps.layers.local_scores import NOTHING, LocalScores
from apps.layers.token_features import UNKNOWN, TokenFeatures

_LARGEST, _ROWS_A_TOKEN = 2**16, 4
_STRENGTH = 0.3
_ITERATIONS = 100
# Half a minute's work; of more, a sample of sentences is taken.
_MOST_TOKENS = 250_000
# What a tag scores that the sample does not hold.
_ABSENT = -10.0


def fit_local_scores(
    tokens: TokenFeatures, texts: Sequence[str], tags: Sequences, count: int, seed: int
) -> LocalScores:
    """Fit a multinomial logistic regression of tags.

    Args:
        tokens: makes the tokens of the texts.
        texts: the training texts.
        tags: of each text.
        count: how many tags there are.
        seed: of the sample, where there is one.
    """
    draw = np.random.default_rng(seed)
    order = draw.permutation(len(texts))
    kept = np.sort(order[np.cumsum(tags.lengths[order]) <= max(_MOST_TOKENS, tags.lengths.max())])
    wanted = _ROWS_A_TOKEN * int(tags.lengths[kept].sum())
    layer = LocalScores(
        min(_LARGEST, 1 << wanted.bit_length()),
        count,
        TokenFeatures.first_id + sum(number > 1 for number in tokens.counts),
        UNKNOWN,
        name="local",
    )
    rows, truth = [], []
    for block in np.array_split(kept, -(-len(kept) // 512)):
        features = _features(layer, tokens, [texts[row] for row in block])
        lengths = tags.lengths[block]
        real = np.arange(features.shape[1])[None] < lengths[:, None]
        rows.append(features[real])
        truth.append(np.concatenate([tags[row] for row in block]))
    table, bias = _fitted(np.concatenate(rows), np.concatenate(truth), layer.size, count)
    layer.set(table, bias)
    return layer


def _fitted(
    features: np.ndarray, truth: np.ndarray, size: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Weights of each feature and tag, `(size, tags)` and `(tags,)`."""
    matrix = sparse.csr_matrix(
        (
            (features.ravel() != NOTHING).astype(np.float32),
            features.ravel(),
            np.arange(0, features.size + 1, features.shape[1]),
        ),
        shape=(len(features), size),
    )
    matrix.eliminate_zeros()
    model = LogisticRegression(C=_STRENGTH, max_iter=_ITERATIONS).fit(matrix, truth)
    table, bias = np.zeros((size, count)), np.full(count, _ABSENT)
    weights, offsets = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        weights, offsets = np.concatenate([-weights, weights]) / 2, np.array([-1, 1]) * offsets / 2
    table[:, model.classes_], bias[model.classes_] = weights.T, offsets
    return table, bias


def _features(layer: LocalScores, tokens: TokenFeatures, texts: Sequence[str]) -> np.ndarray:
    batch = tokens(tf.constant([str(text) for text in texts]))
    return layer.features(*(batch[name] for name in read_by_local(tokens))).numpy()


def read_by_local(tokens: TokenFeatures) -> tuple[str, ...]:
    """Names of the arrays that `LocalScores` takes, in its order."""
    return tuple(name for name in ("ids", "characters", "casing", "lists") if name in tokens.inputs)


class LocalAlone(Baseline):
    """The linear model without the LSTM; only legal sequences of tags count.

    Args:
        column: holds the texts.
        tokens, local: the layers.
        legal: as `apps.layers.crf.CRF` takes it.
    """

    def __init__(
        self, column: str, tokens: TokenFeatures, local: LocalScores, legal: np.ndarray
    ) -> None:
        self.column, self.tokens, self.local = column, tokens, local
        self.transitions = np.where(legal, 0, -1e9).astype(np.float32)

    def fit(self, examples: Examples) -> None:
        """Nothing: the layer is fitted already."""

    def predict(self, examples: Examples) -> np.ndarray:
        """Tags `(units, time)` int32, padded with 0."""
        texts = [str(text) for text in examples[self.column]]
        found = [self._tags(texts[start : start + 256]) for start in range(0, len(texts), 256)]
        longest = max(tags.shape[1] for tags in found)
        return np.concatenate([np.pad(t, [(0, 0), (0, longest - t.shape[1])]) for t in found])

    def _tags(self, texts: Sequence[str]) -> np.ndarray:
        batch = self.tokens(tf.constant(texts))
        scores = self.local(*(batch[name] for name in read_by_local(self.tokens)))
        transitions = np.repeat(self.transitions[None], len(texts), 0)
        return viterbi(scores, tf.constant(transitions), batch["lengths"]).numpy()

    def state(self) -> dict[str, np.ndarray]:
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Nothing: the layer is part of the model."""
