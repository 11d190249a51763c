"""Rewrites in Python's syntax change what TensorFlow's change, whatever the character."""

from __future__ import annotations

import re

import tensorflow as tf

from apps.layers.rewrites import python_rewrites
from apps.layers.text import REWRITES


def test_the_rules_for_clients_rewrite_characters_as_tensorflow_does() -> None:
    codes = [*range(0x3100), *range(0x3100, 0xD800, 29), *range(0xE000, 0x110000, 29)]
    text = "".join(f"{chr(code)}x'{chr(code)}" for code in codes)
    for (ours, replacement), (theirs, same) in zip(
        REWRITES, python_rewrites(REWRITES), strict=True
    ):
        assert replacement == same
        expected = tf.strings.regex_replace(text, ours, replacement).numpy().decode()
        assert re.sub(theirs, same, text) == expected
