"""WAV files inside the graph."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.audio.resampling import resampled

# A rate outside this range means a damaged header; resampling from it might not end.
_RATES = (1_000, 768_000)
# Of the usual header: where the bytes of a frame stand, and the chunk of samples begins.
_FRAME, _DATA, _HEADER = 32, 36, 44
# Writers that cannot seek back leave the length open: they write 0, or about 2³¹ or 2³².
_OPEN_LENGTH = 0x7FFF0000


def decode_wav(files: tf.Tensor, sample_rate: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decode whole WAV files to samples at a model's rate.

    Args:
        files: contents of 16-bit PCM files, `(batch,)` string, of any rate from 1 to 768 kHz;
            channels are averaged. Anything else is an `InvalidArgumentError`, which a server
            answers with status 400. Files are read to their end where a recorder was killed before
            it wrote their length, or left it open.
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
    long_enough = tf.strings.length(file) > _HEADER
    file = tf.cond(long_enough, lambda: _with_length(file), lambda: tf.identity(file))
    channels, rate = tf.audio.decode_wav(file)
    low, high = _RATES
    plausible = tf.debugging.Assert(
        (low <= rate) & (rate <= high),
        [f"a sample rate from {low} to {high} Hz is taken, not", rate],
    )
    with tf.control_dependencies([plausible] if plausible is not None else []):
        samples = resampled(tf.reduce_mean(channels, 1), rate, sample_rate)
    return tf.pad(samples, [[0, tf.cast(tf.equal(tf.size(samples), 0), tf.int32)]])


def _with_length(file: tf.Tensor) -> tf.Tensor:
    """The file; where its header is the usual one and leaves the length open, with its length."""
    header = tf.cast(tf.io.decode_raw(tf.strings.substr(file, 0, _HEADER), tf.uint8), tf.int64)
    scale = tf.constant([1, 1 << 8, 1 << 16, 1 << 24], tf.int64)
    stated = tf.reduce_sum(header[_DATA + 4 :] * scale)
    frame = tf.maximum(tf.reduce_sum(header[_FRAME : _FRAME + 2] * scale[:2]), 1)
    size = tf.cast(tf.strings.length(file), tf.int64) - _HEADER
    size -= size % frame
    one_byte = tf.constant([bytes([value]) for value in range(256)])
    digits = tf.strings.reduce_join(tf.gather(one_byte, size // scale % 256))
    mended = tf.strings.join(
        [
            tf.strings.substr(file, 0, _DATA + 4),
            digits,
            tf.strings.substr(file, _HEADER, tf.cast(size, tf.int32)),
        ]
    )
    usual = tf.strings.substr(file, _DATA, 4) == b"data"
    return tf.where(usual & ((stated == 0) | (stated >= _OPEN_LENGTH)), mended, file)
