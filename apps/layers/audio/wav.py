"""WAV files inside the graph."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.audio.resampling import resampled

# Outside of them a header is damaged, and its file would be resampled to no end.
_RATES = (1_000, 768_000)


def decode_wav(files: tf.Tensor, sample_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Whole WAV files as the samples that a model takes.

    Args:
        files: contents of files of 16-bit PCM, `(batch,)` string, of any rate from 1 to 768 kHz
            and any number of channels, of which the mean is taken. What is none is an
            `InvalidArgumentError`, which a server answers with the status 400.
        sample_rate: of the result, in Hz.

    Returns:
        Samples `(batch, samples)` float32 in [-1, 1], zeros beyond a row's end, and the real ones
        of each row, `(batch,)` int32. A file without a sample is one sample of silence.
    """
    rows = tf.map_fn(
        lambda file: _decoded(file, sample_rate),
        files,
        fn_output_signature=tf.RaggedTensorSpec([None], tf.float32, ragged_rank=0),
    )
    return rows.to_tensor(), tf.cast(rows.row_lengths(), tf.int32)


def _decoded(file: tf.Tensor, sample_rate: int) -> tf.Tensor:
    """Samples `(samples,)` of one file, at least one."""
    channels, rate = tf.audio.decode_wav(file)
    low, high = _RATES
    usual = tf.debugging.Assert(
        (low <= rate) & (rate <= high),
        [f"a sample rate from {low} to {high} Hz is taken, not", rate],
    )
    with tf.control_dependencies([usual] if usual is not None else []):
        samples = resampled(tf.reduce_mean(channels, 1), rate, sample_rate)
    return tf.pad(samples, [[0, tf.cast(tf.equal(tf.size(samples), 0), tf.int32)]])
