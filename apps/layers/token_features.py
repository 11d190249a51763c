"""Raw texts to all that a tagger reads of their tokens, inside the graph."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

import keras
import numpy as np
import tensorflow as tf

from apps.layers.outside import Outside
from apps.layers.phrases import Phrases
from apps.layers.tokenization import Tokens, tokenized
from apps.layers.unicode_form import compose

PAD, UNKNOWN = 0, 1
_RESERVED = 2
_VOCABULARY, _ALPHABET, _PHRASES = "vocabulary.txt", "characters.txt", "lists.tsv"
# Large blocks suit short texts.
_BLOCK, _LARGE_BLOCK = 1024, 2**15
# Ids of casing; 0 is padding.
_NO_LETTERS, _NUMBER, _LOWER, _UPPER, _CAPITAL, _MIXED = range(1, 7)


@keras.saving.register_keras_serializable("apps")
class TokenFeatures(keras.layers.Layer):
    """Texts `(batch,)` string to arrays with an entry for each token.

    A word's id is that of its composed, lower-cased form with every digit as 0; its characters keep
    their case. Where tokens begin and end is told in code points of the text as it was sent. A
    text without tokens becomes one unknown word of no length, because recurrent kernels need at
    least one step.

    Args:
        vocabulary: the words, the most frequent first; word `i` gets id `i + 2`.
        alphabet: the characters, the most frequent first; character `i` gets id `i + 2`.
        counts: how often the training texts hold each word.
        characters: of a longer word the first and the last half of so many are read.
        letters: whether every letter is a token of its own.
        lists: arguments of `Phrases`: lists of names to look for; None for none.
    """

    casings = _MIXED + 1
    first_id = _RESERVED

    def __init__(
        self,
        vocabulary: Sequence[str],
        alphabet: Sequence[str],
        counts: Sequence[int],
        characters: int,
        *,
        letters: bool = False,
        lists: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.vocabulary, self.alphabet = list(vocabulary), list(alphabet)
        self.counts, self.characters, self.letters = list(counts), characters, letters
        with tf.init_scope():
            self._words = _table(self.vocabulary, tf.string)
            self._points = _table([ord(character) for character in self.alphabet], tf.int32)
            self.lists = Phrases(**lists) if lists else None
            self._phrases = self.lists.table if self.lists else None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the arrays with an entry for each token."""
        names = ("ids", "characters", "casing", "starts", "ends")
        return (*names, "lists") if self.lists else names

    @property
    def size(self) -> int:
        """Number of distinct ids of words."""
        return _RESERVED + len(self.vocabulary)

    @classmethod
    def adapt(
        cls,
        texts: Sequence[str],
        size: int,
        characters: int,
        *,
        letters: bool,
        further: Iterable[str] = (),
        **kwargs: Any,
    ) -> Self:
        """Take words and characters of some texts.

        Args:
            texts: the training texts.
            size: largest number of words to keep, the most frequent ones.
            characters: as in the class.
            letters: as in the class.
            further: words that are known besides, as a vocabulary spells them; the texts hold them
                no time.
        """
        words: Counter[bytes] = Counter()
        points: Counter[int] = Counter()
        for block in _blocks(texts):
            spelt = _spelt(tokenized(block, letters=letters))
            words.update(_folded(spelt).numpy().tolist())
            points.update(tf.strings.unicode_decode(spelt, "UTF-8").flat_values.numpy().tolist())
        ranked = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:size]
        new = dict.fromkeys(word.encode() for word in further)
        known = {word for word, _ in ranked}
        ranked += [(word, 0) for word in new if word not in known]
        alphabet = sorted(points, key=lambda point: (-points[point], point))
        return cls(
            [word.decode() for word, _ in ranked],
            [chr(point) for point in alphabet],
            [count for _, count in ranked],
            characters,
            letters=letters,
            **kwargs,
        )

    def ragged(self, texts: tf.Tensor) -> dict[str, tf.RaggedTensor]:
        """`inputs` by name, `(texts, None)` int32, some with one axis more; no row is empty.

        Args:
            texts: `(texts,)` string.
        """
        tokens = tokenized(texts, letters=self.letters)
        spelt = _spelt(tokens)
        words = _folded(spelt)
        flat = {
            "ids": self._words.lookup(words),
            "characters": self._characters(spelt),
            "casing": _casing(spelt),
            "starts": tokens.starts.flat_values,
            "ends": tokens.ends.flat_values,
        }
        if self.lists:
            flat["lists"] = self.lists.codes(words, tokens.starts.value_rowids())
        empty = tf.cast(tokens.starts.row_lengths() == 0, tf.int64)
        rest = {
            name: tf.RaggedTensor.from_row_lengths(
                tf.fill(
                    [tf.reduce_sum(empty), *values.shape[1:]], UNKNOWN if name == "ids" else PAD
                ),
                empty,
            )
            for name, values in flat.items()
        }
        return {
            name: tf.concat([tokens.starts.with_values(values), rest[name]], 1)
            for name, values in flat.items()
        }

    def call(self, texts: tf.Tensor) -> dict[str, tf.Tensor]:
        ragged = self.ragged(texts)
        lengths = tf.cast(ragged["ids"].row_lengths(), tf.int32)
        return {**{name: rows.to_tensor(PAD) for name, rows in ragged.items()}, "lengths": lengths}

    def compute_output_spec(self, texts: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        batch = texts.shape[0]
        specs = {
            name: keras.KerasTensor((batch, None, *self._width(name)), dtype="int32")
            for name in self.inputs
        }
        return {**specs, "lengths": keras.KerasTensor((batch,), dtype="int32")}

    def flat(self, texts: Sequence[str]) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """`inputs` of all texts end to end, and the offset where each text begins, then the total.

        Args:
            texts: any number of them.
        """
        parts: dict[str, list[np.ndarray]] = {name: [] for name in self.inputs}
        lengths = [np.zeros(1, np.int64)]
        for block in _blocks(texts):
            ragged = self.ragged(block)
            lengths.append(ragged["ids"].row_lengths().numpy())
            for name, rows in ragged.items():
                parts[name].append(rows.flat_values.numpy())
        return {
            name: np.concatenate(found) if found else np.zeros((0, *self._width(name)), np.int32)
            for name, found in parts.items()
        }, np.cumsum(np.concatenate(lengths))

    def _width(self, name: str) -> tuple[int, ...]:
        """The axes of an array behind that of the tokens."""
        if name == "lists" and self.lists:
            return (len(self.lists.lists),)
        return (self.characters,) if name == "characters" else ()

    def _characters(self, spelt: tf.Tensor) -> tf.Tensor:
        """Ids of the characters of each word, `(words, characters)` int32, padded at the end."""
        points = tf.strings.unicode_decode(spelt, "UTF-8")
        ids = points.with_values(self._points.lookup(points.flat_values))
        head = -(-self.characters // 2)
        start = tf.maximum(ids.row_lengths() - self.characters // 2, head)
        long = tf.ragged.boolean_mask(ids, tf.ragged.range(ids.row_lengths()) >= start[:, None])
        both = tf.concat([ids[:, :head], long], 1)
        return tf.ensure_shape(
            both.to_tensor(PAD, shape=[None, self.characters]), [None, self.characters]
        )

    def outside(self) -> Outside:
        """The words, the characters, and the rules by which a text becomes ids."""
        rules = {
            "vocabulary": _VOCABULARY,
            "alphabet": _ALPHABET,
            "first_id": _RESERVED,
            "pad_id": PAD,
            "unknown_id": UNKNOWN,
            "form": "NFC",
            "lower_case": True,
            "digits_as": "0",
            "characters": self.characters,
            "casing": ["pad", "no letters", "number", "lower", "upper", "capital", "mixed"],
            "letters": self.letters,
        }
        files = {
            _VOCABULARY: "".join(f"{word}\n" for word in self.vocabulary),
            _ALPHABET: "".join(f"{character}\n" for character in self.alphabet),
        }
        more = ""
        if self.lists:
            files[_PHRASES] = self.lists.lines
            rules |= {
                "phrases": _PHRASES,
                "lists": self.lists.lists,
                "list_codes": ["in no phrase", "begins a phrase", "goes on with one"],
                "longest_phrase": self.lists.longest,
            }
            more = (
                f"; {_PHRASES} holds phrases of such words, and behind a tab the numbers of the "
                "lists that they are in: for each token and list, whether it begins a phrase or "
                "goes on with one; a phrase within a longer one of its list does not count"
            )
        return Outside(
            f"text to tokens to ids: {_VOCABULARY} and {_ALPHABET} hold words and characters in "
            f"the order of their ids, the metadata's 'tokens' the rules{more}",
            files=files,
            metadata={"tokens": json.dumps(rules, ensure_ascii=True)},
        )

    def get_config(self) -> dict[str, Any]:
        names = ("vocabulary", "alphabet", "counts", "characters", "letters")
        lists = self.lists.to_dict() if self.lists else None
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "lists": lists}


def folded_tokens(texts: Sequence[str], *, letters: bool) -> Iterator[tuple[list[str], np.ndarray]]:
    """The words of each text as a vocabulary spells them, and where they stand.

    Args:
        texts: any number of them.
        letters: as in `TokenFeatures`.

    Yields:
        For each text its words, and `(words, 2)` int32, start and end of each in code points.
    """
    for block in _blocks(texts):
        tokens = tokenized(block, letters=letters)
        words = tokens.starts.with_values(_folded(_spelt(tokens)))
        spans = tf.stack([tokens.starts.flat_values, tokens.ends.flat_values], 1)
        offsets = tokens.starts.row_splits.numpy()
        flat, places = words.flat_values.numpy(), spans.numpy()
        for start, stop in itertools.pairwise(offsets):
            yield [word.decode() for word in flat[start:stop]], places[start:stop]


def folded_phrases(texts: Sequence[str], *, letters: bool) -> list[str]:
    """Each text as the words of a vocabulary with spaces between.

    Args:
        texts: any number of them.
        letters: as in `TokenFeatures`.
    """
    found: list[bytes] = []
    for block in _blocks(texts, _LARGE_BLOCK):
        tokens = tokenized(block, letters=letters)
        words = tokens.starts.with_values(_folded(_spelt(tokens)))
        found += tf.strings.reduce_join(words, 1, separator=" ").numpy().tolist()
    return [phrase.decode() for phrase in found]


def _spelt(tokens: Tokens) -> tf.Tensor:
    """The tokens of all texts, `(tokens,)` string, in composed form."""
    return compose(tf.strings.unicode_encode(tokens.points.values, "UTF-8"))


def _folded(spelt: tf.Tensor) -> tf.Tensor:
    """Words as the vocabulary has them."""
    return tf.strings.regex_replace(tf.strings.lower(spelt, "utf-8"), r"\pN", "0")


def _casing(spelt: tf.Tensor) -> tf.Tensor:
    """How the letters of each word are written, `(words,)` int32."""
    lower, upper = tf.strings.lower(spelt, "utf-8"), tf.strings.upper(spelt, "utf-8")
    first = tf.strings.substr(spelt, 0, 1, unit="UTF8_CHAR")
    capital = tf.strings.lower(first, "utf-8") != first
    several = tf.strings.length(spelt, unit="UTF8_CHAR") > 1
    rest_lower = tf.strings.substr(spelt, 1, 2**30, unit="UTF8_CHAR") == tf.strings.substr(
        lower, 1, 2**30, unit="UTF8_CHAR"
    )
    number = tf.strings.regex_full_match(spelt, r"\pN.*")
    kinds = [
        (number, _NUMBER),
        (lower == upper, _NO_LETTERS),
        (spelt == lower, _LOWER),
        ((spelt == upper) & several, _UPPER),
        (capital & rest_lower, _CAPITAL),
    ]
    found = tf.fill(tf.shape(spelt), _MIXED)
    for holds, kind in reversed(kinds):
        found = tf.where(holds, kind, found)
    return found


def _table(keys: list[Any], dtype: tf.DType) -> tf.lookup.StaticHashTable:
    ids = tf.range(_RESERVED, _RESERVED + len(keys), dtype=tf.int32)
    content = tf.lookup.KeyValueTensorInitializer(tf.constant(keys, dtype), ids)
    return tf.lookup.StaticHashTable(content, default_value=UNKNOWN)


def _blocks(texts: Sequence[str], size: int = _BLOCK) -> Iterator[tf.Tensor]:
    for start in range(0, len(texts), size):
        yield tf.constant(list(texts[start : start + size]), tf.string)
