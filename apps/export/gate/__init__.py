"""The gate: checks, before publication, that TensorFlow Serving can load a SavedModel version.

    from apps.export.gate import render, verify
    print(render(verify("saved_models/sentiment/3")))

The version is loaded and run in separate processes, without a GPU. The calling process needs
neither TensorFlow nor Keras, and whatever the model does in the others, even a crash, becomes a
line of the verdict.
"""

from apps.export.gate.verdict import Check, Verdict, render
from apps.export.gate.verification import verify

__all__ = ["Check", "Verdict", "render", "verify"]
