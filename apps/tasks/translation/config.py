"""Hyperparameters of translation: loss, search, what it copies."""

from __future__ import annotations

from dataclasses import dataclass

from apps.configuration import ApplicationConfig, fixed, searched


@dataclass(frozen=True)
class TranslationTaskConfig(ApplicationConfig):
    """Hyperparameters of every application that translates.

    `label_smoothing` is the share of each target's probability that goes to all pieces alike. The
    search keeps `beam` hypotheses, of which `n_best` are answered, `beam` at most; log
    probabilities are divided by `((5 + length) / 6) ** length_penalty`, which is chosen on
    validation rows unless given, and `coverage_penalty` weighs what is left untranslated. Texts are
    cut behind `max_tokens` pieces.
    """

    label_smoothing: float = searched(0.1, low=0.0, high=0.9, span=(0.0, 0.3))
    beam: int = fixed(5, low=1, high=1024)
    n_best: int = fixed(1, low=1, high=1024)
    length_penalty: float | None = fixed(None, low=0.0, high=10.0)
    coverage_penalty: float = fixed(0.0, low=0.0, high=10.0)
    max_tokens: int = fixed(200, low=2, high=10_000)
