"""Word and character error rates of transcripts, and the alignments that they are counted in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rapidfuzz.distance import Levenshtein

from apps.layers.ctc.tokens import normalized

_KINDS = {
    "equal": "hit",
    "replace": "substitution",
    "delete": "deletion",
    "insert": "insertion",
}


@dataclass(frozen=True)
class Errors:
    """Counts of one alignment, or of several added up.

    Attributes:
        hits: units of the reference that were recognised.
        substitutions: those for which another one was answered.
        deletions: those for which none was answered.
        insertions: units answered beside the reference.
    """

    hits: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def reference(self) -> int:
        """Number of units in the reference."""
        return self.hits + self.substitutions + self.deletions

    @property
    def wrong(self) -> int:
        """Number of errors of all three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors per unit of the reference, a fraction that insertions can carry above 1.

        Of a reference without units it is the number of insertions, as jiwer has it.
        """
        return self.wrong / max(self.reference, 1)


@lru_cache(1 << 18)
def word_errors(reference: str, hypothesis: str) -> Errors:
    """Errors in words, the least that turn the reference into the hypothesis.

    Texts are compared in Unicode's form NFC, split at white space; case and punctuation count.
    """
    return _counts(normalized(reference).split(), normalized(hypothesis).split())


@lru_cache(1 << 18)
def character_errors(reference: str, hypothesis: str) -> Errors:
    """Errors in characters, the single spaces between words included."""
    return _counts(normalized(reference), normalized(hypothesis))


def total(errors: Iterable[Errors]) -> Errors:
    """The counts of several alignments added up."""
    hits = substitutions = deletions = insertions = 0
    for counts in errors:
        hits += counts.hits
        substitutions += counts.substitutions
        deletions += counts.deletions
        insertions += counts.insertions
    return Errors(hits, substitutions, deletions, insertions)


def rates(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Error rates of many utterances: all their errors over all units of their references.

    Args:
        pairs: reference and hypothesis of each.

    Returns:
        `wer` and `cer`, and the `substitutions`, `deletions` and `insertions` of words that the
        first of them is the sum of; fractions.
    """
    words = total(word_errors(*pair) for pair in pairs)
    spoken = max(words.reference, 1)
    return {
        "wer": words.rate,
        "cer": total(character_errors(*pair) for pair in pairs).rate,
        "substitutions": words.substitutions / spoken,
        "deletions": words.deletions / spoken,
        "insertions": words.insertions / spoken,
    }


def alignment(reference: str, hypothesis: str) -> list[tuple[str, str, str]]:
    """The words of both texts side by side.

    Returns:
        One triple a pair: "hit", "substitution", "deletion" or "insertion", the word of the
        reference and that of the hypothesis, "" where one side has none.
    """
    truth, answer = normalized(reference).split(), normalized(hypothesis).split()
    pairs = []
    for kind, places, answers in _blocks(truth, answer):
        for step in range(max(len(places), len(answers))):
            pairs.append(
                (
                    kind,
                    truth[places[step]] if places else "",
                    answer[answers[step]] if answers else "",
                )
            )
    return pairs


def _counts(reference: Sequence[str], hypothesis: Sequence[str]) -> Errors:
    counts = dict.fromkeys(_KINDS.values(), 0)
    for kind, places, answers in _blocks(reference, hypothesis):
        counts[kind] += max(len(places), len(answers))
    return Errors(*counts.values())


def _blocks(
    reference: Sequence[str], hypothesis: Sequence[str]
) -> Iterator[tuple[str, range, range]]:
    for block in Levenshtein.opcodes(reference, hypothesis):
        yield (
            _KINDS[block.tag],
            range(block.src_start, block.src_end),
            range(block.dest_start, block.dest_end),
        )
