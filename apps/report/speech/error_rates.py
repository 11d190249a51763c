"""Word and character errors of transcripts, and the alignments in which they are counted."""

from __future__ import annotations

from itertools import zip_longest

import jiwer

from apps.layers.ctc.tokens import normalized

_KINDS = {
    "equal": "hit",
    "substitute": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}
_WORDS, _CHARACTERS = jiwer.process_words, jiwer.process_characters


def word_errors(reference: str, hypothesis: str) -> tuple[int, int, int, int]:
    """Hits, substitutions, deletions and insertions of words, with the fewest errors possible.

    Texts are compared in Unicode's form NFC, split at white space; case and punctuation count.
    """
    return _counts(_WORDS(normalized(reference), normalized(hypothesis)))


def character_errors(reference: str, hypothesis: str) -> tuple[int, int, int, int]:
    """The same for characters, including the single spaces between words."""
    return _counts(_CHARACTERS(normalized(reference), normalized(hypothesis)))


def alignment(reference: str, hypothesis: str) -> list[tuple[str, str, str]]:
    """The words of both texts side by side.

    Returns:
        One triple per pair: "hit", "substitution", "deletion" or "insertion", the word of the
        reference and that of the hypothesis, "" where one side has no word.
    """
    found = _WORDS(normalized(reference), normalized(hypothesis))
    truth, answer = found.references[0], found.hypotheses[0]
    return [
        (_KINDS[chunk.type], *pair)
        for chunk in found.alignments[0]
        for pair in zip_longest(
            truth[chunk.ref_start_idx : chunk.ref_end_idx],
            answer[chunk.hyp_start_idx : chunk.hyp_end_idx],
            fillvalue="",
        )
    ]


def _counts(found: jiwer.WordOutput | jiwer.CharacterOutput) -> tuple[int, int, int, int]:
    return found.hits, found.substitutions, found.deletions, found.insertions
