"""Tokens that a transcript is spelt with: characters, or pieces of words."""

from __future__ import annotations

import base64
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from apps.errors import UserError
from apps.layers.byte_pairs import UNTEACHABLE, learn

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

BLANK, SPACE = 0, 1

# Log probability of what cannot happen: finite, so that float32 holds sums of thousands of them.
IMPOSSIBLE = -1e9

KINDS = ("characters", "pieces")
PIECES = 200

_RESERVED = 2


def normalized(text: str) -> str:
    """A transcript in Unicode's form NFC with single spaces between its words."""
    return " ".join(unicodedata.normalize("NFC", text).split())


class Tokens:
    """The alphabet of a CTC model: the blank, the space between words, and what words are made of.

    Pieces are byte pairs (Sennrich et al. 2016, "Neural machine translation of rare words with
    subword units", section 3.2) learnt within words, so that none crosses a space. Every character
    of the training transcripts is a piece too.

    Args:
        texts: what each token stands for; the first is the blank, "", the second the space.
        model: the SentencePiece model that splits words, serialised; empty for characters.
    """

    def __init__(self, texts: Sequence[str], model: bytes = b"") -> None:
        if tuple(texts[:_RESERVED]) != ("", " ") or len(set(texts)) < len(texts):
            raise ValueError("tokens are the blank '', the space ' ', and distinct texts")
        self.texts = tuple(texts)
        self.model = model
        self._ids = {text: token for token, text in enumerate(self.texts) if token != BLANK}

    @classmethod
    def adapt(
        cls, transcripts: Iterable[str], kind: str = "characters", size: int = PIECES
    ) -> Self:
        """Build the tokens from the training transcripts, in the case they are written in.

        Args:
            transcripts: the texts.
            kind: "characters" or "pieces".
            size: largest number of tokens of the kind "pieces", blank and space included; all
                characters become tokens.

        Raises:
            UserError: no transcript has a character, or `size` is too small for pieces.
        """
        if kind not in KINDS:
            raise UserError(f"tokens {kind}: no such kind; known: {', '.join(KINDS)}")
        words: Counter[str] = Counter()
        for transcript in transcripts:
            words.update(normalized(transcript).split())
        if kind == "pieces":
            words = Counter({word: n for word, n in words.items() if not UNTEACHABLE & set(word)})
        characters = set("".join(words))
        if not characters:
            raise UserError("no transcript has a letter to learn; give rows with a transcript")
        if kind == "pieces":
            return cls._pieces(words, len(characters), size)
        return cls(["", " ", *sorted(characters)])

    @classmethod
    def _pieces(cls, words: Counter[str], characters: int, size: int) -> Self:
        from sentencepiece import SentencePieceProcessor

        least = characters + _RESERVED
        if size < least:
            raise UserError(
                f"pieces {size}: too few for the {characters} different characters of the "
                f"transcripts; give {least} or more, or take characters as tokens"
            )
        model = learn(words, size - 1)  # SentencePiece does not have our space token
        splitter = SentencePieceProcessor(model_proto=model)
        pieces = [splitter.id_to_piece(piece) for piece in range(1, splitter.get_piece_size())]
        return cls(["", " ", *pieces], model)

    @property
    def kind(self) -> str:
        """What words consist of: "characters" or "pieces"."""
        return "pieces" if self.model else "characters"

    def __len__(self) -> int:
        """Number of tokens, the blank included."""
        return len(self.texts)

    def encode(self, text: str, unknown: str = "drop") -> list[int]:
        """Token ids of a transcript, without blanks.

        Args:
            text: the transcript.
            unknown: what to do with characters that have no token: "drop" or "error".

        Raises:
            UserError: there are such characters and `unknown` is "error".
        """
        text = normalized(text)
        if unseen := self.unseen(text):
            if unknown == "error":
                raise UserError(
                    f"transcript '{text}': {unseen[0]!r} is in no training transcript; remove it "
                    "or train on transcripts that have it"
                )
            text = normalized("".join(c for c in text if c in self._ids))
        ids: list[int] = []
        for word in text.split():
            ids += (SPACE, *self._word(word)) if ids else self._word(word)
        return ids

    def unseen(self, text: str) -> str:
        """The characters of a text that have no token, in order."""
        return "".join(c for c in normalized(text) if c not in self._ids and c != " ")

    def spell(self, word: str) -> list[int] | None:
        """Token ids of one word; None if a character has no token or the text is not one word."""
        word = unicodedata.normalize("NFC", word)
        if word.split() != [word] or any(c not in self._ids for c in word):
            return None
        return list(self._word(word))

    def text(self, ids: Iterable[int]) -> str:
        """The text that token ids stand for, single spaces between its words."""
        return " ".join("".join(self.texts[token] for token in ids).split())

    def to_config(self) -> dict[str, Any]:
        """JSON values from which `from_config` builds equal tokens."""
        return {"texts": list(self.texts), "model": base64.b64encode(self.model).decode()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Build tokens from what `to_config` returned."""
        return cls(config["texts"], base64.b64decode(config["model"]))

    @cached_property
    def _splitter(self) -> SentencePieceProcessor:
        from sentencepiece import SentencePieceProcessor

        return SentencePieceProcessor(model_proto=self.model)

    def _word(self, word: str) -> tuple[int, ...]:
        if self.model:
            pieces = self._splitter.encode(word)
            if BLANK not in pieces:
                return tuple(piece + 1 for piece in pieces)
        # SentencePiece reads words such as "<unk>" as its own symbols.
        return tuple(self._ids[character] for character in word)
