"""BLEU and chrF of any sentences, from counts that are kept of each."""

from __future__ import annotations

import functools

import numpy as np
from sacrebleu.metrics import BLEU, CHRF


@functools.cache
def _bleu() -> BLEU:
    return BLEU()


@functools.cache
def _chrf() -> CHRF:
    return CHRF()


def bleu_counts(reference: str, translation: str) -> np.ndarray:
    """What BLEU needs of a sentence: both lengths, then right and all n-grams of each order."""
    found = _bleu().corpus_score([translation], [[reference]])
    return np.array([found.sys_len, found.ref_len, *found.counts, *found.totals], np.int64)


def bleu(counts: np.ndarray) -> float:
    """Corpus BLEU, 0 to 100, of sentences' counts `(sentences, …)`.

    Papineni et al. 2002, "Bleu: a method for automatic evaluation of machine translation", as
    sacreBLEU computes it by default (Post 2018, "A call for clarity in reporting BLEU scores").
    """
    sums = [int(value) for value in counts.sum(0)]
    order = (len(sums) - 2) // 2
    found = BLEU.compute_bleu(
        correct=sums[2 : 2 + order],
        total=sums[2 + order :],
        sys_len=sums[0],
        ref_len=sums[1],
        smooth_method="exp",
    )
    return float(found.score)


def signature() -> str:
    """sacreBLEU's signature of the figure."""
    _bleu().corpus_score(["a"], [["a"]])
    return str(_bleu().get_signature())


def chrf_counts(reference: str, translation: str) -> np.ndarray:
    """What chrF needs of a sentence: n-grams of translation and reference, and shared ones."""
    metric = _chrf()
    return np.array(metric._extract_corpus_statistics([translation], [[reference]])[0], np.int64)


def chrf(counts: np.ndarray) -> float:
    """Corpus chrF, 0 to 100 (Popović 2015), of sentences' counts `(sentences, …)`."""
    return float(_chrf()._compute_f_score([int(value) for value in counts.sum(0)]))
