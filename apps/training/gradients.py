"""Gradients of a batch that is computed in pieces and gives what it would give as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import tensorflow as tf

from apps.application import Application
from apps.training.carried import states_of

# A dense tensor, the rows of an embedding that were used, or None for a variable without effect.
Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices | None


class Share(NamedTuple):
    """A piece of a batch.

    Attributes:
        batch: its tensors, never without a row.
        weight: the share of the batch's rows, float32; 0 where there are fewer rows than pieces
            and this one holds a row of another.
        begin, end, rows: where the piece stands among so many rows.
    """

    batch: dict[str, tf.Tensor]
    weight: tf.Tensor
    begin: tf.Tensor
    end: tf.Tensor
    rows: tf.Tensor

    def spread(self, states: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """The piece's states in their place among those of the batch, zeros elsewhere."""
        return {
            name: tf.pad(
                state[: self.end - self.begin],
                [[self.begin, self.rows - self.end], *[[0, 0]] * (len(state.shape) - 1)],
            )
            for name, state in states.items()
        }


def share(batch: Mapping[str, tf.Tensor], number: Any, count: int) -> Share:
    """One of so many pieces of a batch, as equal as can be.

    Args:
        batch: tensors `(rows, …)`, at least one row.
        number: of the piece, from 0; an integer or a scalar tensor.
        count: pieces.
    """
    rows = tf.shape(next(iter(batch.values())))[0]
    first, last = rows * number // count, rows * (number + 1) // count
    weight = tf.cast(last - first, tf.float32) / tf.cast(rows, tf.float32)
    # The mean over no rows is not a number; a row of weight 0 gives a gradient of 0 instead.
    begin = tf.minimum(first, rows - 1)
    end = tf.maximum(last, begin + 1)
    piece = {name: tensor[begin:end] for name, tensor in batch.items()}
    return Share(piece, weight, first, last, rows)


class Step(NamedTuple):
    """What a batch gives.

    Attributes:
        loss: a scalar.
        gradients: one for each trainable variable of the model; sparse ones stay sparse.
        states: what the model carries to the next batch, by name.
    """

    loss: tf.Tensor
    gradients: list[Gradient]
    states: dict[str, tf.Tensor]


def batch_gradients(
    application: Application,
    batch: Mapping[str, tf.Tensor],
    weight: Any = 1.0,
    accumulation_steps: int = 1,
) -> Step:
    """Loss of a batch and its gradients, piece after piece where memory is short.

    Args:
        application: with its model built.
        batch: tensors `(rows, …)`.
        weight: factor of loss and gradients.
        accumulation_steps: pieces into which the batch is cut.
    """
    if accumulation_steps == 1:
        return _gradients(application, batch, weight)
    losses: list[tf.Tensor] = []
    sums: list[list[Any]] = []
    states: dict[str, list[tf.Tensor]] = {}
    before: list[tf.Tensor] = []
    for number in range(accumulation_steps):
        # Without this TensorFlow would run the pieces side by side, each with its activations.
        with tf.control_dependencies(before):
            piece = share(batch, number, accumulation_steps)
            step = _gradients(application, piece.batch, weight * piece.weight)
            losses.append(step.loss)
            sums = [
                _joined(done, gradient)
                for done, gradient in zip(
                    sums or [[]] * len(step.gradients), step.gradients, strict=True
                )
            ]
            for name, state in piece.spread(step.states).items():
                states.setdefault(name, []).append(state)
        before = [gradient for kept in sums for gradient in tf.nest.flatten(kept[-1:], True)]
    return Step(
        tf.add_n(losses),
        [_total(kept) for kept in sums],
        {name: tf.add_n(placed) for name, placed in states.items()},
    )


def _gradients(application: Application, batch: Mapping[str, tf.Tensor], weight: Any) -> Step:
    model = application.model
    variables = [variable.value for variable in model.trainable_variables]
    # Only these, so that nothing is kept for a backward pass through layers that do not learn.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(variables)
        outputs = application.forward(batch)
        loss = application.loss(batch, outputs)
        total = loss + tf.add_n(model.losses) if model.losses else loss
        total *= tf.cast(weight, total.dtype)
    gradients = tape.gradient(total, variables)
    return Step(loss * tf.cast(weight, loss.dtype), gradients, states_of(outputs))


def _joined(done: Sequence[Any], gradient: Gradient) -> list[Any]:
    """Gradients of earlier parts and of one more: dense ones as one sum, sparse ones in a row."""
    if gradient is None:
        return []
    if isinstance(gradient, tf.IndexedSlices) or not done:
        return [*done, gradient]
    return [done[0] + gradient]


def _total(kept: Sequence[Any]) -> Gradient:
    if not kept or not isinstance(kept[0], tf.IndexedSlices):
        return kept[0] if kept else None
    return tf.IndexedSlices(
        tf.concat([slices.values for slices in kept], 0),
        tf.concat([slices.indices for slices in kept], 0),
        kept[0].dense_shape,
    )
