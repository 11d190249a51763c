"""A model that reads streams: of a run, or of a version of a SavedModel."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import tensorflow as tf

from apps import catalogue
from apps.application import Application
from apps.components import Input, Task
from apps.errors import UserError, cause_of
from apps.export.versions import about_version, is_saved_model, version_folder
from apps.signatures import STATE
from apps.training.run import FinishedRun

_STEP = "step"


@dataclass(frozen=True)
class StreamModel:
    """What is needed to follow a stream.

    Attributes:
        application: its name.
        input: cuts a source into chunks.
        task: gives the follower of a stream.
        metadata: what the model says of itself.
        labels: the names of the classes, where answers are classes.
        step: takes a chunk and states by name, gives answers and the next states.
        states: specs of the states by name.
        owner: holds on to the variables that `step` reads.
    """

    application: str
    input: Input
    task: Task
    metadata: Mapping[str, Any]
    labels: tuple[str, ...]
    step: Callable[..., Mapping[str, tf.Tensor]]
    states: Mapping[str, tf.TensorSpec]
    owner: Any = None

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> Self:
        """The model in a folder.

        Args:
            folder: `runs/keywords-…`, or `saved_models/keywords/1`.

        Raises:
            UserError: there is no model, or it reads no streams.
        """
        if is_saved_model(folder):
            return cls._of_version(version_folder(folder))
        application = FinishedRun(Path(folder)).application
        if not application.stream_states():
            raise UserError(f"{folder}: {application.no_stream()}")
        return cls.of(application)

    @classmethod
    def of(cls, application: Application) -> Self:
        """The model of an application that reads streams."""
        return cls(
            application.name,
            application.input,
            application.task,
            application.metadata(),
            application.labels,
            application.step,
            application.stream_states(),
        )

    @classmethod
    def _of_version(cls, folder: Path) -> Self:
        about = about_version(folder)
        kind = catalogue.load(about["application"])
        application = kind(kind.Config.from_values(about["config"]), about["seed"])
        if _STEP not in about["signatures"]:
            raise UserError(f"{folder}: {application.no_stream()}, and export it again")
        try:
            loaded = tf.saved_model.load(os.fspath(folder))
            step = loaded.signatures[_STEP]
        except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
            raise UserError(
                f"{folder}: cannot be loaded ({cause_of(error)}); export it again"
            ) from None
        taken = step.structured_input_signature[1]
        states = {name: spec for name, spec in taken.items() if name.startswith(STATE)}
        labels = tuple(about["labels"])
        return cls(
            kind.name, application.input, application.task, about, labels, step, states, loaded
        )
