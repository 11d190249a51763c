"""Connectionist temporal classification: the loss of unaligned transcripts."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.ctc.tokens import BLANK


def steps_needed(labels: tf.Tensor, label_lengths: tf.Tensor) -> tf.Tensor:
    """Fewest steps to which transcripts can be aligned, `(batch,)` int32.

    One step per token, and one blank between two equal tokens.

    Args:
        labels: tokens, `(batch, most)` int32.
        label_lengths: number of real tokens in each row, `(batch,)` int32.
    """
    real = tf.sequence_mask(label_lengths, tf.shape(labels)[1])
    repeated = (labels[:, 1:] == labels[:, :-1]) & real[:, 1:]
    return label_lengths + tf.reduce_sum(tf.cast(repeated, tf.int32), 1)


def ctc_loss(
    labels: tf.Tensor, label_lengths: tf.Tensor, logits: tf.Tensor, steps: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Negative log probability of transcripts over all their alignments, in nats.

    Graves et al. 2006, "Connectionist temporal classification: labelling unsegmented sequence data
    with recurrent neural networks", sections 3 and 4. Token 0 is the blank. A transcript that
    cannot be aligned to its row's steps has loss 0 and gradient 0 instead of an infinite loss.

    Args:
        labels: tokens without blanks, `(batch, most)` int32.
        label_lengths: tokens of each row, `(batch,)` int32; 0 is an empty transcript.
        logits: unnormalised log probabilities, `(batch, steps, tokens)` of any float.
        steps: real steps of each row, `(batch,)` int32.

    Returns:
        Losses `(batch,)` float32 and whether each row can be aligned, `(batch,)` bool.
    """
    logits = tf.cast(logits, tf.float32)
    possible = steps_needed(labels, label_lengths) <= steps
    aligned = possible & (label_lengths > 0)
    # The kernel refuses rows without tokens, so rows whose loss is not taken from it get one.
    labels = tf.concat([labels, tf.ones([tf.shape(labels)[0], 1], labels.dtype)], 1)
    labels = tf.where(aligned[:, None], labels, tf.ones([], labels.dtype))
    real = tf.sequence_mask(tf.where(aligned, label_lengths, 1), tf.shape(labels)[1])
    sparse = tf.SparseTensor(
        tf.where(real),
        # The kernel takes the last token as the blank.
        tf.boolean_mask(labels, real) - 1,
        tf.shape(labels, tf.int64),
    )
    # In float32, a half-minute sum of log probabilities leaves gradients three digits. On a CPU the
    # dense form of `tf.nn.ctc_loss` takes 10 to 20 times as long as this kernel.
    losses = tf.compat.v1.nn.ctc_loss(
        sparse,
        tf.cast(tf.roll(logits, -1, -1), tf.float64),
        tf.maximum(steps, 1),
        time_major=False,
    )
    losses = tf.where(aligned, tf.cast(losses, tf.float32), 0.0)
    silent = tf.nn.log_softmax(logits)[:, :, BLANK]
    silent = tf.where(tf.sequence_mask(steps, tf.shape(logits)[1]), silent, 0.0)
    empty = tf.where(label_lengths == 0, -tf.reduce_sum(silent, 1), 0.0)
    return losses + empty, possible
