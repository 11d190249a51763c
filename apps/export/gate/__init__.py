"""The gate: whether TensorFlow Serving could take a SavedModel version, found out before it does.

    from apps.export.gate import render, verify
    print(render(verify("saved_models/sentiment/3")))

The version is loaded and run in processes of their own, without a GPU. This one needs neither
TensorFlow nor Keras, and whatever the model does there, a crash included, is a line of the verdict.
"""

from apps.export.gate.verdict import Check, Verdict, render
from apps.export.gate.verification import verify

__all__ = ["Check", "Verdict", "render", "verify"]
