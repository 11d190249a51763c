"""A trained model that takes a sound chunk by chunk, from a run or from a SavedModel."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import tensorflow as tf

import apps
from apps import catalogue
from apps.errors import UserError
from apps.export.saved_model import ABOUT
from apps.inputs.recordings import Recordings
from apps.layers.doctor.saved import SAVED_MODEL
from apps.serving.local import is_saved_model

_STATE = "state_"
_STEP = "step"
# The classes' names come with every answer, for those who have no `about`.
_CONSTANT = "labels"
_BOTH_DIRECTIONS = (
    "its LSTM runs in both directions and so needs the whole recording; "
    "train with --set bidirectional=false"
)


class StreamingModel:
    """One stream, its states kept beside the graph from chunk to chunk.

    Chunks have one size, the last one apart, so that all shapes of the graph are known.

    Args:
        application: the name of the application.
        about: what it says of itself: `sample_rate` in Hz, `step_seconds`, and the samples of
            `trailing_silence` that a stream needs at its end, if any.
        labels: the names of the classes, if it answers with one of them.
        step: takes a chunk and states by name, gives answers and states.
        specs: what `step` takes, by name.
        chunk_ms: milliseconds of a chunk.
        compiled: have XLA compile a step, which takes seconds once and more than halves the time
            of each chunk; `step` must answer with numbers only, of shapes that its arguments fix.
    """

    def __init__(
        self,
        application: str,
        about: Mapping[str, Any],
        labels: tuple[str, ...],
        step: Callable[..., Mapping[str, tf.Tensor]],
        specs: Mapping[str, tf.TensorSpec],
        chunk_ms: float,
        *,
        compiled: bool = False,
    ) -> None:
        self.application = application
        self.labels = labels
        self.sample_rate: int = about["sample_rate"]
        self.step_seconds: float = about["step_seconds"]
        self.trailing_silence: int = about.get("trailing_silence", 0)
        self.chunk_samples = max(1, round(self.sample_rate * chunk_ms / 1000))
        self._specs = {name: spec for name, spec in specs.items() if name.startswith(_STATE)}
        # A variable for each state would cost more than the products of a short chunk.
        self._packed = {
            dtype: tf.Variable(
                tf.zeros([sum(map(_size, self._of(dtype).values()))], dtype), trainable=False
            )
            for dtype in dict.fromkeys(spec.dtype for spec in self._specs.values())
        }
        self._step = step
        answer = tf.function(self._answer, autograph=False, jit_compile=compiled)
        self._traced = answer.get_concrete_function(
            tf.TensorSpec((1, self.chunk_samples), tf.float32), tf.TensorSpec((1,), tf.int32)
        )
        # The first call is that in which the graph is optimised, or compiled.
        self.send(np.zeros(0, np.float32))
        self.reset()

    @classmethod
    def load(cls, folder: str | os.PathLike[str], *, chunk_ms: float = 20.0) -> Self:
        """The model of a run folder, or of a version of a SavedModel.

        Args:
            folder: `runs/keywords-…`, or `saved_models/keywords/1`.
            chunk_ms: milliseconds of a chunk.

        Raises:
            UserError: there is no model, it takes no recordings, or it does not stream.
        """
        if is_saved_model(folder):
            return cls._from_saved_model(Path(folder), chunk_ms)
        application = apps.load(os.fspath(folder)).application
        if not isinstance(application, Recordings):
            raise _no_recordings(folder, application.name)
        specs = application.stream_inputs()
        if not specs:
            raise UserError(f"{folder}: {_BOTH_DIRECTIONS}")
        return cls(
            application.name,
            application.about(),
            application.labels,
            application.step,
            specs,
            chunk_ms,
            # Posteriors are numbers; text is not.
            compiled=bool(application.labels),
        )

    @classmethod
    def _from_saved_model(cls, folder: Path, chunk_ms: float) -> Self:
        if not (folder / SAVED_MODEL).is_file():
            raise UserError(f"{folder}: holds versions; name one, such as {folder / '1'}")
        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            name = about["application"]
        except (OSError, ValueError, KeyError):
            raise UserError(f"{folder}: not exported by this package (no {ABOUT})") from None
        if not issubclass(catalogue.load(name), Recordings):
            raise _no_recordings(folder, name)
        if _STEP not in about["signatures"]:
            raise UserError(f"{folder}: {_BOTH_DIRECTIONS}, and export it again")
        try:
            loaded = tf.saved_model.load(os.fspath(folder))
            signature = loaded.signatures[_STEP]
        except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
            reason = str(error).split("\n")[0][:200]
            raise UserError(f"{folder}: cannot be loaded ({reason}); export it again") from None
        specs = signature.structured_input_signature[1]
        model = cls(name, about, tuple(about["labels"]), signature, specs, chunk_ms)
        # A signature does not hold on to the variables that it reads.
        model._loaded = loaded
        return model

    _loaded: Any = None

    def reset(self) -> None:
        """Begin another stream."""
        for packed in self._packed.values():
            packed.assign(tf.zeros_like(packed))

    def send(self, samples: np.ndarray) -> dict[str, np.ndarray]:
        """What the next samples add.

        Args:
            samples: `(n,)` float32 at `sample_rate`, at most `chunk_samples`, perhaps none.

        Returns:
            What `step` answers, by name, without the axis of the batch and without states.
        """
        count = len(samples)
        chunk = np.zeros((1, self.chunk_samples), np.float32)
        chunk[0, :count] = samples
        answers = self._traced(tf.constant(chunk), tf.constant([count]))
        return {name: value.numpy()[0] for name, value in answers.items()}

    def _answer(self, audio: tf.Tensor, lengths: tf.Tensor) -> dict[str, tf.Tensor]:
        states: dict[str, tf.Tensor] = {}
        for dtype, packed in self._packed.items():
            own = self._of(dtype)
            parts = tf.split(tf.convert_to_tensor(packed), [_size(spec) for spec in own.values()])
            for (name, spec), part in zip(own.items(), parts, strict=True):
                states[name] = tf.reshape(part, (1, *spec.shape[1:]))
        outputs = dict(self._step(audio=audio, lengths=lengths, **states))
        for dtype, packed in self._packed.items():
            parts = [tf.reshape(outputs.pop(name), [-1]) for name in self._of(dtype)]
            packed.assign(tf.concat(parts, 0))
        outputs.pop(_CONSTANT, None)
        return outputs

    def _of(self, dtype: tf.DType) -> dict[str, tf.TensorSpec]:
        """The states of one type, by name."""
        return {name: spec for name, spec in self._specs.items() if spec.dtype == dtype}


def _size(spec: tf.TensorSpec) -> int:
    """Numbers in a state of one stream."""
    return int(np.prod(spec.shape[1:]))


def _no_recordings(folder: str | os.PathLike[str], application: str) -> UserError:
    return UserError(
        f"{folder}: {application} takes no recordings; listen with a run of keywords or of "
        "transcription"
    )
