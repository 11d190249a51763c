"""Text inside the graph: raw strings to word ids."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.layers.outside import Outside
from apps.layers.rewrites import python_rewrites
from apps.layers.token_layer import TokenLayer
from apps.layers.unicode_form import compose, composed
from apps.sampling import rows_within
from apps.threads import in_threads

PAD, UNKNOWN = 0, 1
_VOCABULARY = "vocabulary.txt"
_RESERVED = 2
# About 9 million words of English: 25,000 reviews of 230 words have 33 million characters.
_MOST_CHARACTERS = 50_000_000

# Replacements in a lower-cased text before it is split at white space, in RE2's syntax.
REWRITES = (
    (r"</?[a-z][^<>]{0,80}>|[\pZ]", " "),
    (r"[\x{2018}\x{2019}]", "'"),
    (r"([^\pL\pM\pN\s']|[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}])", r" \1 "),
    (r"(^|[^\pL\pN])'+|'+([^\pL\pN]|$)", r"\1 ' \2"),
)


@keras.saving.register_keras_serializable("apps")
class WordIds(TokenLayer):
    """Texts `(batch,)` string to `{"ids": (batch, time) int32, "lengths": (batch,) int32}`.

    Composes letters and marks (NFC), lower-cases, drops HTML tags, and splits at white space,
    around every punctuation mark and symbol, and around every character of scripts written without
    spaces. Bytes that are not UTF-8 become the replacement character. Id 0 is padding and 1 any
    word outside the vocabulary. A text without words becomes one unknown word, because recurrent
    kernels need at least one step.

    Args:
        vocabulary: the words, the most frequent first; word `i` gets id `i + 2`.
        max_tokens: a longer text keeps its first and last `max_tokens / 2` words.
    """

    def __init__(self, vocabulary: Sequence[str], max_tokens: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.vocabulary = list(vocabulary)
        self.max_tokens = max_tokens
        with tf.init_scope():
            self._table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(
                    tf.constant(self.vocabulary, tf.string),
                    tf.range(_RESERVED, _RESERVED + len(self.vocabulary), dtype=tf.int32),
                ),
                default_value=UNKNOWN,
            )

    first_id = _RESERVED

    @property
    def size(self) -> int:
        """Number of distinct ids."""
        return _RESERVED + len(self.vocabulary)

    @classmethod
    def adapt(cls, texts: Sequence[str], size: int, max_tokens: int, **kwargs: Any) -> Self:
        """Build the vocabulary from the most frequent words of some texts.

        Args:
            texts: the training texts; a sample is drawn of more than 50 million characters.
            size: largest number of words to keep.
            max_tokens: as in the class.
        """
        sizes = np.fromiter(map(len, texts), np.int64, len(texts))
        chosen = rows_within(sizes, _MOST_CHARACTERS, 0)
        if len(chosen) < len(texts):
            environment.say(f"vocabulary from {len(chosen):,} of {len(texts):,} texts")
        counts: Counter[bytes] = Counter()
        for words, times in in_threads(_counted, _blocks([texts[row] for row in chosen])):
            counts.update(dict(zip(words.tolist(), times.tolist(), strict=True)))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        return cls([word.decode() for word, _ in ranked[:size]], max_tokens, **kwargs)

    def ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Word ids without padding, `(batch, None)` int32; no row is empty."""
        return self._ids(split_words(texts))

    def _ids(self, words: tf.RaggedTensor) -> tf.RaggedTensor:
        words = tf.cond(
            tf.reduce_max(words.row_lengths()) > self.max_tokens,
            lambda: tf.concat(
                [words[:, : -(-self.max_tokens // 2)], _tail(words, self.max_tokens)], axis=1
            ),
            lambda: words,
        )
        ids = self._table.lookup(words)
        filler = tf.fill([ids.nrows()], UNKNOWN)
        empty = tf.cast(ids.row_lengths() == 0, tf.int64)
        return tf.concat(
            [ids, tf.RaggedTensor.from_row_lengths(filler[: tf.reduce_sum(empty)], empty)], 1
        )

    def words_of(self, text: str) -> list[str]:
        """The words of a text that have an id each."""
        words = [word.decode() for word in split_words(tf.constant([text]))[0].numpy()]
        head, most = -(-self.max_tokens // 2), self.max_tokens
        if len(words) > most:
            words = [*words[:head], *words[len(words) - most // 2 :]]
        return words or [""]

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ids = self.ragged(texts)
        return {"ids": ids.to_tensor(PAD), "lengths": tf.cast(ids.row_lengths(), tf.int32)}

    def flat(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in one array, and the offset at which each text begins, then the total."""
        values, lengths = [np.zeros(0, np.int32)], [np.zeros(1, np.int64)]

        def block_ids(block: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
            ids = self._ids(_split(tf.constant(block)))
            return ids.flat_values.numpy(), ids.row_lengths().numpy()

        for block_values, block_lengths in in_threads(block_ids, _blocks(texts)):
            values.append(block_values)
            lengths.append(block_lengths)
        return np.concatenate(values), np.cumsum(np.concatenate(lengths))

    def outside(self) -> Outside:
        """The vocabulary, and the rules by which a text becomes ids."""
        rules = {
            "vocabulary": _VOCABULARY,
            "first_id": self.first_id,
            "pad_id": PAD,
            "unknown_id": UNKNOWN,
            "form": "NFC",
            "lower_case": True,
            "rewrites": python_rewrites(REWRITES),
            "split": r"[ \t\n\v\f\r]+",
            "first_tokens": -(-self.max_tokens // 2),
            "last_tokens": self.max_tokens // 2,
        }
        return Outside(
            f"text to ids: {_VOCABULARY} holds the words in the order of their ids, the metadata's "
            "'words' the rules by which a text becomes words",
            files={_VOCABULARY: "".join(f"{word}\n" for word in self.vocabulary)},
            metadata={"words": json.dumps(rules, ensure_ascii=True)},
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "vocabulary": self.vocabulary,
            "max_tokens": self.max_tokens,
        }


def split_words(texts: tf.Tensor) -> tf.RaggedTensor:
    """Lower-cased words and punctuation marks of each text, `(batch, None)` string."""
    return _split(compose(tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")))


def _split(texts: tf.Tensor) -> tf.RaggedTensor:
    """The same for texts that are valid UTF-8 and in NFC."""
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, replacement in REWRITES:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return tf.strings.split(texts)


def _tail(words: tf.RaggedTensor, max_tokens: int) -> tf.RaggedTensor:
    """The last `max_tokens // 2` words of each text, fewer where the head already holds them."""
    lengths = words.row_lengths()
    head = tf.cast(-(-max_tokens // 2), tf.int64)
    start = tf.maximum(head, lengths - max_tokens // 2)
    position = tf.ragged.range(lengths)
    return tf.ragged.boolean_mask(words, position >= start[:, None])


def _counted(block: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The distinct words of some texts, and how often each occurs."""
    words, _, times = tf.unique_with_counts(_split(tf.constant(block)).flat_values)
    return words.numpy(), times.numpy()


def _blocks(texts: Sequence[str], size: int = 1024) -> Iterable[Sequence[str]]:
    """Texts in NFC, which Python makes many times faster than the graph does."""
    for start in range(0, len(texts), size):
        yield [composed(text) for text in texts[start : start + size]]
