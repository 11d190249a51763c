"""Byte pairs: pieces of words, learnt by merging the most frequent pair of neighbours."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

# SentencePiece reads the first as a space, the second as its unknown piece, and cuts at the third;
# a tab ends a word in what it is given.
UNTEACHABLE = frozenset("\u2581\u2585\0\t")
# How SentencePiece writes a space.
MARK = "\u2581"
# Id of its unknown piece.
UNKNOWN = 0


def learn(words: Mapping[str, int], size: int) -> bytes:
    """Learn byte pairs (Sennrich et al. 2016, "Neural machine translation of rare words with
    subword units", section 3.2).

    Args:
        words: how often each occurs; pieces do not reach across words. None may have a character of
            `UNTEACHABLE`, but `MARK` in front may stand for the space before a word.
        size: largest number of pieces, the unknown one and all characters included.

    Returns:
        The SentencePiece model, serialised. Piece 0 is the unknown one; the others stand in the
        order in which they are merged, then come the characters.
    """
    from sentencepiece import SentencePieceTrainer

    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=_lines(words),
        input_format="tsv",
        model_writer=model,
        model_type="bpe",
        vocab_size=size,
        hard_vocab_limit=False,
        character_coverage=1.0,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        split_by_unicode_script=False,
        split_by_number=False,
        max_sentence_length=1 << 20,
        unk_id=UNKNOWN,
        bos_id=-1,
        eos_id=-1,
        pad_id=-1,
        num_threads=1,
        minloglevel=2,
    )
    return model.getvalue()


def _lines(words: Mapping[str, int]) -> Iterable[str]:
    return (f"{word}\t{words[word]}" for word in sorted(words))
