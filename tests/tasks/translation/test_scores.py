"""BLEU and chrF from counts equal what the library computes of texts."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from apps.tasks.translation import scores

TRUTH = ["Ein Hund läuft durch den Park.", "Hallo Welt!", "Zwei Männer stehen dort.", "日本語"]
SAID = ["Der Hund läuft im Park.", "", "Zwei Männer sitzen dort.", "日本"]


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [2, 2, 0], [1]])
def test_figures_of_any_sentences_are_those_of_the_library(rows: list[int]) -> None:
    truth, said = [TRUTH[row] for row in rows], [SAID[row] for row in rows]
    pairs = list(zip(truth, said, strict=True))
    bleu = scores.bleu(np.stack([scores.bleu_counts(*pair) for pair in pairs]))
    chrf = scores.chrf(np.stack([scores.chrf_counts(*pair) for pair in pairs]))
    assert bleu == pytest.approx(sacrebleu.corpus_bleu(said, [truth]).score)
    assert chrf == pytest.approx(sacrebleu.corpus_chrf(said, [truth]).score)


def test_the_signature_is_the_default_one() -> None:
    assert scores.signature().startswith("nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:")
