"""TFLite files opened in TensorFlow's interpreter."""

from __future__ import annotations

import warnings

import tensorflow as tf

from apps.export.agreement import Call


def opened(content: bytes, entry: str) -> Call:
    """An entry point of a file, on one core."""
    with warnings.catch_warnings():
        # TensorFlow says that its interpreter moves to a package of its own.
        warnings.simplefilter("ignore")
        interpreter = tf.lite.Interpreter(model_content=content, num_threads=1)
        return interpreter.get_signature_runner(entry)
