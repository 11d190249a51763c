"""One stream: its states kept beside the graph from chunk to chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.errors import UserError
from apps.following import Chunk
from apps.streams.model import StreamModel
from apps.streams.printing import Printer

Answers = dict[str, tf.Tensor]


class Stream:
    """A model at some point of one stream.

    XLA compiles a step that answers with numbers only and that it can compile. That takes seconds
    once, and more than halves the time of each chunk.

    Args:
        model: whose `step` answers.
    """

    def __init__(self, model: StreamModel) -> None:
        self._step = model.step
        self._states: dict[tf.DType, dict[str, tf.TensorSpec]] = {}
        for name, spec in model.states.items():
            self._states.setdefault(spec.dtype, {})[name] = spec
        # A variable for each state would cost more than the products of a short chunk.
        self._packed = {
            dtype: tf.Variable(tf.zeros([sum(map(_size, own.values()))], dtype), trainable=False)
            for dtype, own in self._states.items()
        }
        self._traced: dict[tuple[object, ...], Callable[..., Answers]] = {}

    def reset(self) -> None:
        """Begin another stream."""
        for packed in self._packed.values():
            packed.assign(tf.zeros_like(packed))

    def send(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What the next chunk adds.

        Args:
            arrays: the chunk by name, `(1, …)`.

        Returns:
            What `step` answers, by name, without the axis of the batch and without states.
        """
        chunk = {name: tf.constant(array) for name, array in arrays.items()}
        shapes = tuple((name, array.shape) for name, array in arrays.items())
        traced = self._traced.get(shapes)
        answers = self._first(chunk, shapes) if traced is None else traced(chunk)
        return {name: value.numpy()[0] for name, value in answers.items()}

    def _first(self, chunk: Answers, shapes: tuple[object, ...]) -> Answers:
        """The answers to the first chunk of its shape, whose graph is kept, compiled if it can."""
        compiled = self._graph(chunk, jit_compile=True)
        if all(answer.dtype != tf.string for answer in compiled.structured_outputs.values()):
            try:
                answers = compiled(chunk)
                self._traced[shapes] = compiled
                return answers
            except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError):
                # XLA has no such operation; nothing has run.
                pass
        self._traced[shapes] = self._graph(chunk, jit_compile=False)
        return self._traced[shapes](chunk)

    def _graph(self, chunk: Answers, *, jit_compile: bool) -> Any:
        """A graph for chunks of this shape; where XLA will compile it, of what XLA has."""
        function = tf.function(self._answer, autograph=False, jit_compile=jit_compile)
        return function.get_concrete_function(chunk)

    def _answer(self, chunk: Answers) -> Answers:
        states: Answers = {}
        for dtype, own in self._states.items():
            packed = tf.convert_to_tensor(self._packed[dtype])
            parts = tf.split(packed, [_size(spec) for spec in own.values()])
            for (name, spec), part in zip(own.items(), parts, strict=True):
                states[name] = tf.reshape(part, (1, *spec.shape[1:]))
        answers = dict(self._step(**chunk, **states))
        for dtype, own in self._states.items():
            after = [tf.reshape(answers.pop(name), [-1]) for name in own]
            self._packed[dtype].assign(tf.concat(after, 0))
        return answers


def follow(stream: Stream, chunks: Iterable[Chunk], printer: Printer) -> None:
    """Send chunks through a model, and print what is decided until they end.

    Args:
        stream: at its beginning.
        chunks: read to their end, or until Ctrl-C.
        printer: told of every answer, and of the end however it comes.
    """
    try:
        for chunk in chunks:
            if chunk.begins:
                stream.reset()
            printer.push(stream.send(chunk.arrays), chunk.end)
    except (KeyboardInterrupt, UserError):
        printer.finish()
        raise
    printer.finish()


def _size(spec: tf.TensorSpec) -> int:
    """Numbers in a state of one stream."""
    return int(np.prod(spec.shape[1:]))
