"""A graph of fixed shapes as a TFLite file with TFLite's own operations only."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator

import tensorflow as tf

from apps.errors import UserError
from apps.export.agreement import FLOAT16, FLOAT32, INT8
from apps.export.tflite.small_model import SmallModel

KINDS = (FLOAT32, FLOAT16, INT8)


def convert(small: SmallModel, name: str) -> dict[str, bytes]:
    """Make a file of each kind.

    In `int8` the weights of products are 8-bit numbers, and so is what is multiplied by them, each
    in a range that is found at every call. States stay float32: no range has to be known
    beforehand, and none is left by a stream that lasts. In `float16` weights are half as wide and
    the arithmetic is float32.

    Args:
        small: what is converted.
        name: of the application, in messages.

    Raises:
        UserError: TFLite lacks an operation.
    """
    holder = tf.Module()
    holder.entry = small.traced(name)
    found = {}
    with tempfile.TemporaryDirectory() as folder, _silenced():
        tf.saved_model.save(holder, folder, signatures={small.entry: holder.entry})
        for kind in KINDS:
            converter = tf.lite.TFLiteConverter.from_saved_model(
                folder, signature_keys=[small.entry]
            )
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            if kind != FLOAT32:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
            if kind == FLOAT16:
                converter.target_spec.supported_types = [tf.float16]
            try:
                found[kind] = converter.convert()
            # The converter may raise anything; the user's remedy is the same.
            except Exception as error:
                raise UserError(
                    f"{name}: cannot be converted to TFLite ({_lacking(str(error))}); export "
                    "without --tflite"
                ) from error
    return found


def _lacking(message: str) -> str:
    """What a converter's message of many lines is about."""
    listed = re.findall(r"^\s*tf\.(\w+)\((.*)\)", message, re.MULTILINE)
    names = {name for name, _ in listed} or set(re.findall(r'fused\["(\w+):', message)[:1])
    wide = any("f64" in types for _, types in listed) or "f64" in message
    told = f"TFLite has no {', '.join(sorted(names))}" if names else "an operation is not TFLite's"
    return f"{told} in double precision" if wide else told


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Keep away what the converter's C++ code prints, whole graphs among it."""
    with tempfile.TemporaryFile() as file:
        before = os.dup(2)
        os.dup2(file.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
