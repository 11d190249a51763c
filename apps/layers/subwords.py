"""Raw text to pieces of words and back, inside the graph and outside it."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps.errors import UserError
from apps.layers.byte_pairs import MARK, UNTEACHABLE, learn
from apps.layers.outside import Outside
from apps.layers.piece_merging import PieceMerging
from apps.layers.token_layer import (
    BEGIN,
    END,
    FIRST_ID,
    LINE_START,
    REPLACEMENT,
    UNKNOWN,
    TokenLayer,
)
from apps.layers.unicode_form import compose, composed

if TYPE_CHECKING:
    from sentencepiece import SentencePieceProcessor

# A longer word is read in parts; scripts that write no spaces have sentences of fewer letters.
LONGEST = 100

_WORD = re.compile(f" [^ \n]{{0,{LONGEST - 1}}}|[^ \n]{{1,{LONGEST}}}|\n")
# White space as Python's `str.split` knows it, in RE2's syntax.
_SPACES = r"[\t-\r\x{1c}-\x{1f}\x{85}\pZ]+"
_FEWEST_CHARACTERS = 1


@keras.saving.register_keras_serializable("apps")
class Subwords(TokenLayer):
    """Texts to ids of byte pairs, and ids to texts.

    A piece never reaches across a space; the space before a word belongs to its first piece, and
    each line that is not empty counts as if a space stood before it. Texts are in NFC. Id 0 is
    padding, 1 what holds no known character, as many in a row as a word has, 2 and 3 are for begin
    and end. Called with ids `(batch, time)` int32, the layer gives texts `(batch,)` string;
    `replaced` `(batch, time)` string then says what stands for each unknown id.

    Args:
        model: the SentencePiece model, serialised, in base64.
        exact: keep white space to the letter, a line end being a piece of its own; else single
            spaces between words.
        ends: whether each text gets the id 3 behind it.
        max_tokens: a longer text is cut behind so many ids, the last of which is kept free for the
            end; None for any length.

    Call arguments:
        given: texts `(batch,)` string.

    Returns:
        `ids` `(batch, time)` int32, with at least one step, and `lengths` `(batch,)` int32; and of
        each character that is not known, `unknown` `(batch, characters, 2)` int32 with place of
        its id in the row and code point, and how many there are, `unknown_lengths` `(batch,)`.
    """

    first_id = FIRST_ID
    # The space before a word belongs to its first piece, a line's first word having one too.
    spaced = True

    def __init__(
        self,
        model: str,
        *,
        exact: bool = False,
        ends: bool = False,
        max_tokens: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.model, self.exact, self.ends, self.max_tokens = model, exact, ends, max_tokens
        count = self._splitter.get_piece_size()
        pieces = [self._splitter.id_to_piece(number) for number in range(1, count)]
        pieces = [piece.replace(MARK, " ") for piece in pieces]
        self.texts = ("", REPLACEMENT, "", "", *pieces, *(["\n"] if exact else []))
        self._ids = {piece: number for number, piece in enumerate(self.texts) if number > END}
        with tf.init_scope():
            self._merging = PieceMerging(self._ids, UNKNOWN, LONGEST)
            self._tables = [self._merging.letters, self._merging.joined]
        self._known: dict[str, tuple[int, ...]] = {}

    @property
    def size(self) -> int:
        """Number of distinct ids."""
        return len(self.texts)

    @classmethod
    def adapt(cls, texts: Iterable[str], size: int, **kwargs: Any) -> Self:
        """Learn pieces from texts.

        Args:
            texts: the training texts.
            size: largest number of ids; at most half of them are single characters, the most
                frequent ones.
            **kwargs: arguments of the class.

        Raises:
            UserError: no text has a letter.
        """
        words: Counter[str] = Counter()
        for text in texts:
            words.update(_words(text, exact=kwargs.get("exact", False)))
        letters: Counter[str] = Counter()
        for word, times in words.items():
            for letter in word:
                letters[letter] += times
        for kept_apart in (" ", "\n", *UNTEACHABLE):
            letters.pop(kept_apart, None)
        if not letters:
            raise UserError("no text has a letter to learn; give texts with words in them")
        most = max(_FEWEST_CHARACTERS, size // 2)
        ranked = sorted(letters, key=lambda letter: (-letters[letter], letter))[:most]
        foreign = re.compile(f"[^{re.escape(''.join(ranked))} ]+")
        learnt: Counter[str] = Counter()
        for word, times in words.items():
            for part in foreign.split(word):
                if part:
                    learnt[part.replace(" ", MARK)] += times
        # SentencePiece's own unknown piece and the space must fit in beside the letters.
        wanted = max(size - FIRST_ID - bool(kwargs.get("exact")) + 1, len(ranked) + 2)
        model = base64.b64encode(learn(learnt, wanted)).decode()
        return cls(model, **kwargs)

    def call(self, given: tf.Tensor, replaced: tf.Tensor | None = None) -> Any:
        if given.dtype != tf.string:
            return self._texts(given, replaced)
        texts = compose(tf.strings.unicode_transcode(given, "UTF-8", "UTF-8", errors="replace"))
        if not self.exact:
            texts = tf.strings.strip(tf.strings.regex_replace(texts, _SPACES, " "))
        texts = tf.strings.regex_replace(texts, LINE_START, r"\1 \2")
        return self._merging(texts, END if self.ends else None, self.max_tokens)

    def _texts(self, ids: tf.Tensor, replaced: tf.Tensor | None) -> tf.Tensor:
        pieces = tf.gather(tf.constant(self.texts), ids)
        if replaced is not None:
            pieces = tf.where(ids == UNKNOWN, replaced, pieces)
        joined = tf.strings.reduce_join(pieces, -1)
        if self.exact:
            return tf.strings.regex_replace(joined, r"(^|\n) ", r"\1")
        # A model may say spaces that no text has.
        return tf.strings.strip(tf.strings.regex_replace(joined, " +", " "))

    def compute_output_spec(self, given: keras.KerasTensor, replaced: Any = None) -> Any:
        batch = given.shape[0]
        if given.dtype != "string":
            return keras.KerasTensor(given.shape[:-1], dtype="string")
        return {
            **super().compute_output_spec(given),
            "unknown": keras.KerasTensor((batch, None, 2), dtype="int32"),
            "unknown_lengths": keras.KerasTensor((batch,), dtype="int32"),
        }

    def encode(self, text: str) -> list[int]:
        """Ids of one text, with the end behind it if `ends`."""
        ids = [number for word in _words(text, exact=self.exact) for number in self._word(word)]
        return self._cut(ids)

    def _cut(self, ids: list[int]) -> list[int]:
        ends = [END] if self.ends else []
        most = len(ids) if self.max_tokens is None else self.max_tokens - len(ends)
        return [*ids[:most], *ends]

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in one array, and the offset at which each text begins, then the total."""
        found, lengths = [], np.zeros(len(texts) + 1, np.int64)
        for row, text in enumerate(texts):
            ids = np.array(self.encode(text), np.int32)
            found.append(ids)
            lengths[row + 1] = len(ids)
        return np.concatenate([np.zeros(0, np.int32), *found]), np.cumsum(lengths)

    def flat_unknown(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """What the call gives as `unknown`, of all texts in one array, and offsets as of `flat`."""
        rows: list[tuple[int, int]] = []
        offsets = np.zeros(len(texts) + 1, np.int64)
        for row, text in enumerate(texts):
            place = 0
            for word in _words(text, exact=self.exact):
                ids = self._word(word)
                if UNKNOWN in ids:
                    at = [place + i for i, number in enumerate(ids) if number == UNKNOWN]
                    runs = self._strangers.findall(word)
                    rows += [(a, ord(c)) for a, run in zip(at, runs, strict=True) for c in run]
                place += len(ids)
            if self.max_tokens is not None:
                most = self.max_tokens - self.ends
                while len(rows) > offsets[row] and rows[-1][0] >= most:
                    rows.pop()
            offsets[row + 1] = len(rows)
        return np.array(rows, np.int32).reshape(-1, 2), offsets

    def decode(self, ids: Iterable[int], replaced: Iterable[str] = ()) -> str:
        """The text that ids stand for; `replaced` has one text for each unknown id."""
        texts = iter(replaced)
        pieces = [
            next(texts, REPLACEMENT) if number == UNKNOWN else self.texts[number] for number in ids
        ]
        text = "".join(pieces)
        return re.sub(r"(^|\n) ", r"\1", text) if self.exact else re.sub(" +", " ", text).strip(" ")

    @cached_property
    def _strangers(self) -> re.Pattern[str]:
        """Runs of characters that no piece has."""
        known = "".join(re.escape(piece) for piece in self._ids if len(piece) == 1)
        return re.compile(f"[^{known}]+")

    @cached_property
    def _splitter(self) -> SentencePieceProcessor:
        from sentencepiece import SentencePieceProcessor

        return SentencePieceProcessor(model_proto=base64.b64decode(self.model))

    def _word(self, word: str) -> tuple[int, ...]:
        found = self._known.get(word)
        if found is None:
            if word == "\n":
                found = (self._ids.get(word, UNKNOWN),)
            # SentencePiece reads some characters, and its own symbols, as something else.
            elif UNTEACHABLE & set(word) or "<" in word:
                found = tuple(self._merging.word(word))
            else:
                pieces = self._splitter.encode(word.replace(" ", MARK))
                found = tuple(piece + FIRST_ID - 1 if piece else UNKNOWN for piece in pieces)
            self._known[word] = found
        return found

    def outside(self) -> Outside:
        """The pieces, and how a text becomes ids."""
        rules = {
            "pieces": list(self.texts),
            "unknown_id": UNKNOWN,
            "begin_id": BEGIN,
            "end_id": END,
            "ends": self.ends,
            "max_tokens": self.max_tokens,
            "white_space": "exact" if self.exact else "single",
            "form": "NFC",
        }
        return Outside(
            "text to ids: a space goes before each line; within a word, the two neighbours whose "
            "join has the lowest id in the metadata's 'subwords' are joined until none has one",
            metadata={"subwords": json.dumps(rules, ensure_ascii=True)},
        )

    def get_config(self) -> dict[str, Any]:
        names = ("model", "exact", "ends", "max_tokens")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _words(text: str, *, exact: bool) -> list[str]:
    """The words of a text, each with the space before it."""
    text = composed(text)
    if not exact:
        text = " ".join(text.split())
    return _WORD.findall(re.sub(LINE_START, r"\1 \2", text))
