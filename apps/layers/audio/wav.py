"""WAV files inside the graph."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.audio.resampling import resampled

# A rate outside this range means a damaged header; resampling from it might not end.
_RATES = (1_000, 768_000)


def decode_wav(files: tf.Tensor, sample_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode whole WAV files to samples at a model's rate.

    Args:
        files: contents of 16-bit PCM files, `(batch,)` string, of any rate from 1 to 768 kHz;
            channels are averaged. Anything else is an `InvalidArgumentError`, which a server
            answers with status 400.
        sample_rate: sampling rate of the result, in Hz.

    Returns:
        Samples `(batch, samples)` float32 in [-1, 1], zeros beyond a row's end, and the number of
        real ones in each row, `(batch,)` int32. A file without samples gives one sample of silence.
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
    plausible = tf.debugging.Assert(
        (low <= rate) & (rate <= high),
        [f"a sample rate from {low} to {high} Hz is taken, not", rate],
    )
    with tf.control_dependencies([plausible] if plausible is not None else []):
        samples = resampled(tf.reduce_mean(channels, 1), rate, sample_rate)
    return tf.pad(samples, [[0, tf.cast(tf.equal(tf.size(samples), 0), tf.int32)]])
