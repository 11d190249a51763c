"""Text as characters or words whose ids can be turned back into the text."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.token_layer import (
    BEGIN,
    FIRST_ID,
    LINE_START,
    PAD,
    REPLACEMENT,
    UNKNOWN,
    TokenLayer,
)
from apps.layers.unicode_form import compose, composed
from apps.threads import in_threads

_VOCABULARY = "vocabulary.txt"
# A character without meaning, which marks where a token begins.
_MARKER = "\ue000"
_BLOCK = 1 << 18
# A text whose words are parted by spaces has few marks that stand right behind a word.
_GLUED = re.compile(r"\w[,;:!?)\"](?=\s)|\w\.(?=\s+[A-Z])")
_MOST_GLUED = 0.02
# In RE2's syntax. Every character of a text belongs to one token.
_MARKS = (
    r" ?(?:[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}]"
    r"|[\pL\pM\pN]+(?:['\x{2019}][\pL\pM\pN]+)*|[^\pL\pM\pN\s])|\s"
)
_SPACES = r"\n|[^\s]+"


class TextTokens(TokenLayer):
    """Texts `(batch,)` string to `{"ids": (batch, time) int32, "lengths": (batch,) int32}`.

    Texts are in NFC, and their lines end at "\\n". Id 0 is padding, 1 any token outside the
    vocabulary, 2 and 3 stand for begin and end, which no text holds.

    Args:
        vocabulary: the tokens, the most frequent first; token `i` gets id `i + 4`.
    """

    first_id = FIRST_ID
    unknown = REPLACEMENT
    # Whether the space before a word belongs to it, a line's first word having one too.
    spaced = False

    def __init__(self, vocabulary: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.texts = ("", self.unknown, "", "", *map(self.spelt, self.vocabulary))

    def spelt(self, token: str) -> str:
        """What a token adds to a text."""
        return token

    @property
    def size(self) -> int:
        """Number of distinct ids."""
        return FIRST_ID + len(self.vocabulary)

    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids of texts that are valid UTF-8 and in NFC."""
        raise NotImplementedError

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        valid = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
        ids = self._ids(tf.strings.regex_replace(compose(valid), "\r\n?", "\n"))
        return {"ids": ids.to_tensor(PAD), "lengths": tf.cast(ids.row_lengths(), tf.int32)}

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in one array, and the offset at which each text begins, then the total."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "vocabulary": self.vocabulary}

    def _outside(self, rules: dict[str, Any]) -> Outside:
        # A line end cannot stand in a file of lines.
        listed = [json.dumps(token, ensure_ascii=False) for token in self.vocabulary]
        ids = {"first_id": FIRST_ID, "pad_id": PAD, "unknown_id": UNKNOWN, "begin_id": BEGIN}
        return Outside(
            f"text to ids: {_VOCABULARY} holds the tokens in the order of their ids, as JSON "
            "strings, the metadata's 'tokens' the rules by which a text becomes tokens",
            files={_VOCABULARY: "".join(f"{token}\n" for token in listed)},
            metadata={"tokens": json.dumps({**rules, **ids, "vocabulary": _VOCABULARY})},
        )


@keras.saving.register_keras_serializable("apps")
class CharacterTokens(TextTokens):
    """Characters as tokens."""

    def __init__(self, vocabulary: Sequence[str], **kwargs: Any) -> None:
        super().__init__(vocabulary, **kwargs)
        codes = np.array([ord(one) for one in self.vocabulary], np.int32)
        numbers = np.arange(FIRST_ID, self.size, dtype=np.int32)
        order = np.argsort(codes)
        self._codes, self._numbers = codes[order], numbers[order]
        with tf.init_scope():
            self._table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(tf.constant(codes), tf.constant(numbers)),
                default_value=UNKNOWN,
            )

    @classmethod
    def adapt(cls, texts: Iterable[str], size: int, **kwargs: Any) -> Self:
        """Take the most frequent characters of some texts, at most `size`."""
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(_one_form(text))
        ranked = sorted(counts, key=lambda one: (-counts[one], one))
        return cls(ranked[:size], **kwargs)

    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._table.lookup(tf.strings.unicode_decode(texts, "UTF-8"))

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        # The graph takes ten times as long.
        found = [np.zeros(0, np.int32)]
        for text in texts:
            codes = np.frombuffer(_one_form(text).encode("utf-32-le"), np.int32)
            place = np.minimum(np.searchsorted(self._codes, codes), len(self._codes) - 1)
            found.append(np.where(self._codes[place] == codes, self._numbers[place], UNKNOWN))
        return np.concatenate(found), np.cumsum([len(ids) for ids in found])

    def outside(self) -> Outside:
        """The characters."""
        return self._outside({"tokens": "characters", "form": "NFC"})


@keras.saving.register_keras_serializable("apps")
class WordTokens(TextTokens):
    """Words and punctuation marks as tokens.

    Args:
        vocabulary: the tokens, the most frequent first.
        between: `spaces`: words are what stands between spaces, line ends are tokens, and other
            white space is lost; `marks`: words, every other mark or symbol, and every character of
            scripts without spaces are tokens, each with the space before it, and nothing is lost.
        lower: whether texts are lower-cased.
    """

    unknown = " <unk>"
    spaced = True

    def __init__(
        self, vocabulary: Sequence[str], between: str = "marks", lower: bool = False, **kwargs: Any
    ) -> None:
        self.between, self.lower = between, lower
        super().__init__(vocabulary, **kwargs)
        with tf.init_scope():
            self._table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(self.vocabulary, tf.string),
                    tf.range(FIRST_ID, self.size, dtype=tf.int32),
                ),
                default_value=UNKNOWN,
            )

    @classmethod
    def adapt(
        cls, texts: Sequence[str], size: int, between: str = "", lower: bool = False, **kwargs: Any
    ) -> Self:
        """Take the most frequent tokens of some texts, at most `size`.

        Args:
            texts: the training texts.
            size: of the vocabulary.
            between: as in the class; found out by whether marks stand apart from words if empty.
            lower: as in the class.
        """
        between = between or parted_by(texts)
        counts: Counter[bytes] = Counter()

        def counted(blocks: list[str]) -> Counter[bytes]:
            tokens = split(tf.constant(blocks), between, lower).flat_values
            words, _, times = tf.unique_with_counts(tokens)
            return Counter(dict(zip(words.numpy().tolist(), times.numpy().tolist(), strict=True)))

        for found in in_threads(counted, _batches(texts)[0]):
            counts.update(found)
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([word.decode() for word in ranked[:size]], between, lower, **kwargs)

    def spelt(self, token: str) -> str:
        return token if self.between == "marks" or token == "\n" else f" {token}"

    def _ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return self._table.lookup(split(texts, self.between, self.lower))

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in one array, and the offset at which each text begins, then the total."""
        found, lengths = [np.zeros(0, np.int32)], np.zeros(len(texts) + 1, np.int64)
        batches, rows = _batches(texts)
        for ids, sizes in in_threads(self._batch_ids, batches):
            found.append(ids)
            at = rows[: len(sizes)]
            del rows[: len(sizes)]
            np.add.at(lengths, np.array(at, np.int64) + 1, sizes)
        return np.concatenate(found), np.cumsum(lengths)

    def _batch_ids(self, blocks: list[str]) -> tuple[np.ndarray, np.ndarray]:
        """The ids of some blocks, and how many each has."""
        ids = self._ids(tf.constant(blocks))
        return ids.flat_values.numpy(), ids.row_lengths().numpy()

    def outside(self) -> Outside:
        """The tokens, and the rules by which a text becomes tokens."""
        pattern = _MARKS if self.between == "marks" else _SPACES
        rules = {"tokens": "words", "between": self.between, "pattern": pattern}
        return self._outside({**rules, "lower_case": self.lower, "form": "NFC"})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "between": self.between, "lower": self.lower}


def split(texts: tf.Tensor, between: str, lower: bool) -> tf.RaggedTensor:
    """The tokens of texts that are valid UTF-8 and in NFC, `(batch, None)` string."""
    if lower:
        texts = tf.strings.lower(texts, encoding="utf-8")
    texts = tf.strings.regex_replace(texts, _MARKER, REPLACEMENT)
    if between == "marks":
        texts = tf.strings.regex_replace(texts, LINE_START, r"\1 \2")
        marked = tf.strings.regex_replace(texts, _MARKS, _MARKER + r"\0")
    else:
        marked = tf.strings.regex_replace(texts, _SPACES, _MARKER + r"\0")
        marked = tf.strings.regex_replace(marked, r"[^\S\n]+", "")
    # Before the first token stands nothing.
    return tf.strings.split(marked, _MARKER)[:, 1:]


def parted_by(texts: Iterable[str]) -> str:
    """What parts the words of some texts: `spaces` where marks stand apart too, else `marks`."""
    words = glued = 0
    for text in texts:
        head = text[:_BLOCK]
        words += len(head.split())
        glued += len(_GLUED.findall(head))
        if words > _BLOCK:
            break
    return "spaces" if glued <= _MOST_GLUED * words else "marks"


def _batches(texts: Sequence[str]) -> tuple[Iterator[list[str]], list[int]]:
    """Blocks of texts, many at a time; of each that was given out, the number of its text."""
    rows: list[int] = []

    def batches() -> Iterator[list[str]]:
        batch: list[str] = []
        size = 0
        for row, text in enumerate(texts):
            for block in _blocks(text):
                batch.append(block)
                rows.append(row)
                size += len(block)
                if size >= _BLOCK:
                    yield batch
                    batch, size = [], 0
        if batch:
            yield batch

    return batches(), rows


def _blocks(text: str) -> Iterable[str]:
    """A text in NFC in parts of whole lines, longer lines cut at a space where there is one."""
    text, start = _one_form(text), 0
    while len(text) - start > _BLOCK:
        end = text.rfind("\n", start, start + _BLOCK) + 1
        if end <= start:
            end = text.rfind(" ", start + 1, start + _BLOCK)
        if end <= start:
            end = start + _BLOCK
        yield text[start:end]
        # What begins a line gets a space.
        start = end + (text[end] == " " and text[end - 1] != "\n")
    if start < len(text):
        yield text[start:]


def _one_form(text: str) -> str:
    return composed(text.replace("\r\n", "\n").replace("\r", "\n"))
