"""Tokens of every script, and where they stand in the text that was sent."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import tensorflow as tf

from apps.layers.tokenization import tokenized


def tokens(text: str | bytes, *, letters: bool = False) -> list[str]:
    """The tokens, after it was checked that their offsets cut just them out of the text."""
    found = tokenized(tf.constant([text, "x", text]), letters=letters)
    spelt = ["".join(map(chr, points)) for points in found.points[2].to_list()]
    decoded = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    places = zip(found.starts[2].numpy(), found.ends[2].numpy(), strict=True)
    assert [decoded[start:end] for start, end in places] == spelt
    assert found.points[0].to_list() == found.points[2].to_list()
    return spelt


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann paid Bob.", ["Ann", "paid", "Bob", "."]),
        ("(O'Brien's \"U.S.-based\")", [*"(O'", "Brien", *"'s\"", *"U.S.-", "based", *'")']),
        ("3.5 of 1,000.50 at 12:30, v2.", ["3.5", "of", "1,000.50", "at", "12:30", ",", "v2", "."]),
        ("3. 4 .5", ["3", ".", "4", ".", "5"]),
        ("see https://t.co/aB?x=1, ok", ["see", "https://t.co/aB?x=1,", "ok"]),
        ("@user #tag a_b", ["@", "user", "#", "tag", "a", "_", "b"]),
        ("", []),
        (" \t\r\n\u00a0\u3000\u2028\u200b\ufeff", []),
        ("a\u200bb", ["a", "b"]),
        ("東京タワーへ行く", list("東京タワーへ行く")),
        ("iPhoneを買う", ["iPhone", "を", "買", "う"]),
        ("서울에서 만나요", ["서울에서", "만나요"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("Zu\u0308rich", ["Zu\u0308rich"]),
        ("\u0301a", ["\u0301a"]),
        ("👩\u200d💻👍🏽!", ["👩\u200d", "💻", "👍", "🏽", "!"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("x²+½", ["x²", "+", "½"]),
        ("\U000e0100a", ["\U000e0100a"]),
        ("a\U000f1234b", ["a", "\U000f1234", "b"]),
    ],
)
def test_tokens_of_a_text(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_thai_letters_keep_their_marks() -> None:
    assert "".join(tokens("สวัสดีครับ")) == "สวัสดีครับ"
    assert all(unicodedata.category(token[0]) == "Lo" for token in tokens("สวัสดีครับ"))


def test_bytes_that_are_no_utf_8_count_as_a_character_each() -> None:
    assert tokens(b"ab\xff\xfe cd") == ["ab", "\ufffd", "\ufffd", "cd"]


def test_letters_are_tokens_where_asked_for() -> None:
    assert tokens("서울에서 a1", letters=True) == ["서", "울", "에", "서", "a", "1"]


def test_any_text_is_cut_without_losing_a_visible_character() -> None:
    draw = np.random.default_rng(0)
    ranges = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x900, 0x980), (0x3040, 0x30FF)]
    texts = []
    for _ in range(200):
        lows = [ranges[i] for i in draw.integers(0, len(ranges), 30)]
        texts.append("".join(chr(draw.integers(low, high)) for low, high in lows))
    found = tokenized(tf.constant(texts))
    rows = zip(texts, found.starts.to_list(), found.ends.to_list(), strict=True)
    for text, starts, ends in rows:
        assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
        inside = {i for s, e in zip(starts, ends, strict=True) for i in range(s, e)}
        for place, character in enumerate(text):
            assert (place in inside) != (unicodedata.category(character)[0] in "Z"), (text, place)


def test_no_text_at_all() -> None:
    found = tokenized(tf.constant([], tf.string))
    assert found.starts.shape[0] == 0
