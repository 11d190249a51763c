"""Gradients of a batch that is computed in pieces and gives what it would give as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import tensorflow as tf

if TYPE_CHECKING:
    from apps.application import Application

# A dense tensor, the rows of an embedding that were used, or None for a variable without effect.
Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices | None


def share(
    batch: Mapping[str, tf.Tensor], number: Any, count: int
) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    """One of so many pieces of a batch, as equal as can be.

    Args:
        batch: tensors `(rows, …)`, at least one row.
        number: of the piece, from 0; an integer or a scalar tensor.
        count: pieces.

    Returns:
        The piece, never without a row, and its weight: the share of the batch's rows, float32,
        which is 0 where there are fewer rows than pieces and this one has got none.
    """
    rows = tf.shape(next(iter(batch.values())))[0]
    begin, end = rows * number // count, rows * (number + 1) // count
    weight = tf.cast(end - begin, tf.float32) / tf.cast(rows, tf.float32)
    # The mean over no rows is not a number; a row of weight 0 gives a gradient of 0 instead.
    begin = tf.minimum(begin, rows - 1)
    end = tf.maximum(end, begin + 1)
    return {name: tensor[begin:end] for name, tensor in batch.items()}, weight


def batch_gradients(
    application: Application, batch: Mapping[str, tf.Tensor], weight: Any = 1.0, parts: int = 1
) -> tuple[tf.Tensor, list[Gradient]]:
    """Loss of a batch and its gradients, in parts one after the other if memory is short.

    Args:
        application: with its model built.
        batch: tensors `(rows, …)`.
        weight: factor of loss and gradients.
        parts: pieces into which the batch is cut.

    Returns:
        The application's loss, a scalar, and a gradient for each trainable variable of the model,
        both times `weight`; sparse gradients stay sparse.
    """
    if parts == 1:
        return _gradients(application, batch, weight)
    losses: list[tf.Tensor] = []
    sums: list[list[Any]] = []
    before: list[tf.Tensor] = []
    for number in range(parts):
        # Without this TensorFlow would run the parts side by side, each with its activations.
        with tf.control_dependencies(before):
            piece, portion = share(batch, number, parts)
            loss, gradients = _gradients(application, piece, weight * portion)
            losses.append(loss)
            sums = [
                _joined(done, gradient)
                for done, gradient in zip(sums or [[]] * len(gradients), gradients, strict=True)
            ]
        before = [gradient for kept in sums for gradient in tf.nest.flatten(kept[-1:], True)]
    return tf.add_n(losses), [_total(kept) for kept in sums]


def _gradients(
    application: Application, batch: Mapping[str, tf.Tensor], weight: Any
) -> tuple[tf.Tensor, list[Gradient]]:
    model = application.model
    with tf.GradientTape() as tape:
        inputs = {tensor.name: batch[tensor.name] for tensor in model.inputs}
        loss = application.loss(batch, model(inputs, training=True))
        total = loss + tf.add_n(model.losses) if model.losses else loss
        total *= tf.cast(weight, total.dtype)
    variables = [variable.value for variable in model.trainable_variables]
    return loss * tf.cast(weight, loss.dtype), tape.gradient(total, variables)


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
