"""The model card that travels with a version: what it answers, how well, and its limits."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jinja2
import numpy as np
import tensorflow as tf

from apps import catalogue, strict_json
from apps.signatures import PREDICT, Signature
from apps.training.golden import Golden
from apps.training.run import FinishedRun

_DEFAULT = "serving_default"
_TEMPLATE = Path(__file__).with_name("model_card.md.j2")
_EXAMPLE_CHARACTERS = 80


def render(
    run: FinishedRun,
    signatures: Mapping[str, Signature],
    goldens: Sequence[Golden],
    files: Mapping[str, Any] = MappingProxyType({}),
) -> str:
    """Write a run's model card.

    Args:
        run: a finished run.
        signatures: the entry points of its SavedModel.
        goldens: the answers recorded when training ended.
        files: exports for other runtimes: `small` to TFLite, `onnx`.

    Returns:
        Markdown.
    """
    environment = jinja2.Environment(
        trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined, autoescape=False
    )
    about, application = run.files.about(), run.application
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        name=application.name,
        answers=catalogue.APPLICATIONS[application.name].answers,
        purpose=(type(application).__doc__ or "").split("\n")[0],
        signatures=signatures,
        predict=PREDICT,
        shape=_shape,
        labels=application.labels,
        example=_example(goldens[0]),
        shell=next((one.shell for one in signatures.values() if one.shell), ""),
        figure=_figure,
        interval=lambda span: "–" if span is None else f"{_figure(span[0])} to {_figure(span[1])}",
        results=run.metrics,
        metrics=list(run.metrics["interval"]),
        data=about["data"]["train"],
        seed=about["seed"],
        golden=len(goldens),
        small=files.get("small"),
        onnx=files.get("onnx"),
        parameters=application.inference().count_params(),
        environment=run.files.read_json(run.files.environment),
        config=strict_json.dumps(about["config"], indent=2),
    )


def _shape(spec: tf.TensorSpec) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in spec.shape) + ")"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _example(golden: Golden) -> str:
    """A request for the shell, with texts cut short."""
    inputs = {name: _short(value) for name, value in golden.inputs.items()}
    body = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    asked = {} if golden.signature == _DEFAULT else {"signature_name": golden.signature}
    return shlex.quote(strict_json.dumps({**asked, "inputs": body}))[1:-1]


def _short(value: np.ndarray) -> list:
    if value.dtype == object:
        return [text[:_EXAMPLE_CHARACTERS] if value.ndim == 1 else text.tolist() for text in value]
    return value.tolist()
