"""Hyperparameters of connectionist temporal classification and its decoders."""

from __future__ import annotations

from dataclasses import dataclass

from apps.configuration import ApplicationConfig, fixed

DECODERS = ("ngram", "beam", "greedy")
TRANSCRIPTS = "transcripts"


@dataclass(frozen=True)
class CtcConfig(ApplicationConfig):
    """Hyperparameters of every application that transcribes.

    `tokens` are characters or byte pairs, of the latter at most `pieces`. `beam` is the number of
    prefixes that a search keeps. `language` names an ARPA file; where it is `transcripts`, an
    n-gram model of so high an `order` is estimated from the training transcripts. Its weight and
    the bonus for every word are chosen on validation rows unless given.
    """

    tokens: str = fixed("characters", choices=("characters", "pieces"))
    pieces: int = fixed(200, low=2, high=10_000)
    decoder: str = fixed("ngram", choices=DECODERS)
    beam: int = fixed(32, low=1, high=1024)
    language: str = fixed(TRANSCRIPTS)
    order: int = fixed(3, low=1, high=6)
    language_weight: float | None = fixed(None, low=0.0, high=10.0)
    word_insertion_bonus: float | None = fixed(None, low=-20.0, high=20.0)
