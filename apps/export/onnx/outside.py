"""What stays outside an ONNX file: text before the model, names of classes after it.

ONNX has no strings worth the name. What a client must do in its place is written down so that a
program can carry it out: the vocabulary as a file, the rules in the ONNX file's metadata.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import tensorflow as tf

from apps.layers.ctc import Decoder
from apps.layers.ctc.posteriors import RealSteps
from apps.layers.ctc.transcripts import Transcripts
from apps.layers.text import PAD, REWRITES, UNKNOWN, WordIds
from apps.tasks.classification import ClassAnswers

VOCABULARY = "vocabulary.txt"


@dataclass(frozen=True)
class Outside:
    """What a client does in place of a layer.

    Attributes:
        words: it in words.
        files: texts of the files that it needs, by name.
        metadata: what the ONNX file says of it, by key.
    """

    words: str
    files: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def around(served: keras.Model, model: keras.Model) -> list[Outside]:
    """What is around the model on prepared tensors in the model that is served.

    Args:
        served: raw input to named answers.
        model: the part of it that goes to ONNX.
    """
    layers = [layer for layer in served.layers if layer is not model]
    return [outside(layer) for layer in layers if not isinstance(layer, keras.layers.InputLayer)]


@functools.singledispatch
def outside(layer: keras.layers.Layer) -> Outside:
    """What a client does in place of a layer."""
    return Outside(f"layer '{layer.name}' ({type(layer).__name__})")


@outside.register
def _(layer: ClassAnswers) -> Outside:
    return Outside(
        "names of classes: a softmax over 'outputs' gives one probability for each of the "
        "metadata's 'labels'",
        metadata={"labels": json.dumps(layer.labels, ensure_ascii=False)},
    )


@outside.register
def _(layer: WordIds) -> Outside:
    rules = {
        "vocabulary": VOCABULARY,
        "first_id": layer.first_id,
        "pad_id": PAD,
        "unknown_id": UNKNOWN,
        "lower_case": True,
        "rewrites": python_rewrites(),
        "split": r"[ \t\n\v\f\r]+",
        "first_tokens": -(-layer.max_tokens // 2),
        "last_tokens": layer.max_tokens // 2,
    }
    return Outside(
        f"text to ids: {VOCABULARY} holds the words in the order of their ids, the metadata's "
        "'words' the rules by which a text becomes words",
        files={VOCABULARY: "".join(f"{word}\n" for word in layer.vocabulary)},
        metadata={"words": json.dumps(rules, ensure_ascii=True)},
    )


@outside.register
def _(layer: Decoder) -> Outside:
    return Outside(
        "decoding: the likeliest token of each step, repeats merged and blanks dropped, or a beam "
        "search over prefixes"
    )


@outside.register
def _(layer: RealSteps) -> Outside:
    return Outside("length: steps behind a recording's end are certain to be blank")


@outside.register
def _(layer: Transcripts) -> Outside:
    return Outside(
        "text: 'outputs' are log-probabilities of the metadata's 'tokens', of which the first is "
        "the blank, at steps of 'step_seconds'",
        metadata={
            "tokens": json.dumps(layer.tokens.texts, ensure_ascii=False),
            "step_seconds": repr(layer.step_seconds),
        },
    )


def python_rewrites() -> list[tuple[str, str]]:
    """The rewrites of `WordIds` in the syntax of Python's `re`, for `re.sub` one after another.

    Classes of characters are spelt out as TensorFlow has them: Python lacks scripts, and its
    version of Unicode is another one.
    """
    return [(_PARTS.sub(_spelt_out, pattern), replacement) for pattern, replacement in REWRITES]


_PARTS = re.compile(r"(?P<class>\\p(\{\w+\}|\w))|\\x\{(?P<code>\w+)\}|(?P<space>\\s)|(?P<end>\$)")


def _spelt_out(part: re.Match[str]) -> str:
    if part["class"]:
        return _ranges(part["class"])
    if part["code"]:
        return _escaped(int(part["code"], 16))
    return r" \t\n\f\r" if part["space"] else r"\Z"


@functools.cache
def _ranges(kind: str) -> str:
    """All characters of a class, as ranges for the inside of brackets."""
    kept = tf.strings.regex_replace(_every_character(), f"[^{kind}]+", "").numpy().decode()
    ranges: list[list[int]] = []
    for code in map(ord, kept):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(
        _escaped(first) if first == last else f"{_escaped(first)}-{_escaped(last)}"
        for first, last in ranges
    )


@functools.cache
def _every_character() -> str:
    """Every character in the order of its code; surrogates are none."""
    return "".join(chr(code) for code in range(0x110000) if not 0xD800 <= code <= 0xDFFF)


def _escaped(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
