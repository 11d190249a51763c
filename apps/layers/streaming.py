"""Windows over a signal that arrives in chunks."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


class StreamWindows:
    """Windows of `size` steps, one every `hop` steps, over a whole signal or over a stream.

    A stream carries the steps that later windows still need, right-aligned with the newest last,
    so that its initial zeros are the zeros in front of the signal. Windows that the end of a signal
    cuts off are dropped in both forms.

    Args:
        size: steps in a window.
        hop: steps from the beginning of one window to that of the next.
        lead: zero steps in front of the signal, less than `size`; with `size - 1` the first
            window ends at the first step.

    Raises:
        ValueError: a number is out of its range.
    """

    def __init__(self, size: int, hop: int, lead: int = 0) -> None:
        if size < 1 or hop < 1:
            raise ValueError(f"size and hop must be at least 1, not {size} and {hop}")
        if not 0 <= lead < size:
            raise ValueError(f"lead must be 0 or more and less than size {size}, not {lead}")
        self.size = size
        self.hop = hop
        self.lead = lead
        self._kept = max(1, size - 1)

    def count(self, lengths: Any) -> Any:
        """Number of complete windows in signals of `lengths` steps, without the lead.

        Args:
            lengths: an int, an array or a tensor.

        Returns:
            Numbers of the same type.
        """
        # ONNX rounds integer quotients towards zero, so nothing negative may be divided.
        return at_least(lengths + (self.lead - self.size + self.hop), 0) // self.hop

    def whole(self, signal: tf.Tensor, lengths: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Prepare whole signals.

        Args:
            signal: `(batch, time, ...)`.
            lengths: real steps of each row, `(batch,)` int32.

        Returns:
            The signal with the lead in front and zeros beyond each row's steps, `(batch, time',
            ...)`, time' at least `size`; and the number of complete windows in each row, `(batch,)`
            int32: window `i` is `signal[:, i * hop : i * hop + size]`.
        """
        lengths = tf.cast(lengths, tf.int32)
        signal = zero_beyond(signal, lengths)
        time = signal.shape[1] if signal.shape[1] is not None else tf.shape(signal)[1]
        missing = self.size - self.lead - time
        missing = tf.maximum(missing, 0) if tf.is_tensor(missing) else max(missing, 0)
        rest = [[0, 0]] * (signal.shape.rank - 2)
        return tf.pad(signal, [[0, 0], [self.lead, missing], *rest]), self.count(lengths)

    def state_shapes(self, *features: int) -> dict[str, tuple[int, ...]]:
        """Shapes of a stream's state, without the batch axis.

        Args:
            *features: the signal's axes after time.

        Returns:
            `buffer`, float32, and `count`, int32. A stream begins with zeros in both.
        """
        return {"buffer": (self._kept, *features), "count": ()}

    def push(
        self, chunk: tf.Tensor, lengths: tf.Tensor, buffer: tf.Tensor, count: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
        """Find the windows that the next steps of a stream complete.

        Args:
            chunk: `(batch, time, ...)`; time may be 0.
            lengths: real steps of each row, `(batch,)` int32.
            buffer: the newest steps so far, `(batch, kept, ...)` float32.
            count: number of steps so far, `(batch,)` int32. After the first window whole hops are
                subtracted to keep it below `size + hop`, so that a stream can run for ever.

        Returns:
            The signal of the windows that the chunk completes, `(batch, time', ...)`, time' just
            enough for the row with the most windows and at least `size`: window `i` of a row is
            `signal[row, i * hop : i * hop + size]`; the number of those windows, `(batch,)` int32;
            and `buffer` and `count` for the next chunk.
        """
        lengths = tf.cast(lengths, tf.int32)
        before, after = self.count(count), self.count(count + lengths)
        joined = tf.concat([tf.cast(buffer, chunk.dtype), chunk], 1)
        # The position in `joined` at which the next window begins.
        start = self._kept + before * self.hop - (self.lead + count)
        if chunk.shape[1] is None:
            most = tf.maximum(tf.reduce_max(after - before), 1)
        else:
            most = max(-(-chunk.shape[1] // self.hop), 1)
        width = (most - 1) * self.hop + self.size
        signal = zero_beyond(_from(joined, start, width), self._kept + lengths - start)
        buffer = tf.cast(_from(joined, lengths, self._kept), buffer.dtype)
        count += lengths - tf.maximum(after - 1, 0) * self.hop
        return signal, after - before, buffer, count


def at_least(numbers: Any, least: int) -> Any:
    """Numbers, or `least` where they are less: an int, an array or a tensor, as given."""
    if tf.is_tensor(numbers):
        return tf.maximum(numbers, least)
    return np.maximum(numbers, least) if isinstance(numbers, np.ndarray) else max(numbers, least)


def zero_beyond(signal: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    """Set steps beyond each row's length to zero.

    Args:
        signal: `(batch, time, ...)`.
        lengths: real steps of each row, `(batch,)`; a negative number counts as 0.
    """
    signal = tf.convert_to_tensor(signal)
    real = tf.range(tf.shape(signal)[1])[None, :] < tf.cast(lengths, tf.int32)[:, None]
    for _ in range(signal.shape.rank - 2):
        real = real[..., None]
    return tf.where(real, signal, tf.zeros([], signal.dtype))


def _from(signal: tf.Tensor, start: tf.Tensor, width: Any) -> tf.Tensor:
    """`width` steps of each row from its own `start`; the last step repeats beyond the end."""
    last = tf.shape(signal)[1] - 1
    steps = tf.minimum(start[:, None] + tf.range(width)[None, :], last)
    gathered = tf.gather(signal, steps, batch_dims=1)
    width = width if isinstance(width, int) else None
    return tf.ensure_shape(gathered, [signal.shape[0], width, *signal.shape[2:]])
