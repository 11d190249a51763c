"""Tokens of the prefixes of a beam search, and which of them have settled."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.ctc.decoder import Tensors, trimmed
from apps.layers.ctc.tokens import IMPOSSIBLE

# A hash that no prefix has, and one that no prefix's parent has either.
NO_PREFIX, NO_PARENT = -1, -2

Settled = tuple[tf.Tensor, tf.Tensor]


class History:
    """Buffers of tokens, each with its first step and its confidence.

    Prefixes carry `history` `(batch, beam, buffer, 3)` int32, the confidence as the bits of a
    float32, and `count` `(batch, beam)`, the number of tokens in it. The best prefix comes first.

    Args:
        beam: number of prefixes in each row.
        buffer: largest number of tokens of a prefix.
    """

    def __init__(self, beam: int, buffer: int) -> None:
        self._beam = beam
        self._buffer = buffer
        self.shape = (beam, buffer, 3)

    def write(self, history: tf.Tensor, source: tf.Tensor, beams: Tensors) -> tf.Tensor:
        """Copy prefixes and set the last token of each.

        Args:
            history: the buffers, `(batch, beam, buffer, 3)`.
            source: index of the prefix whose tokens each prefix takes over, `(batch, beam)` int32.
            beams: `count`, and for the last token `last`, its id, `began`, its first step, and
                `peak`, the logarithm of its confidence, `(batch, beam)`.
        """
        sure = tf.exp(tf.minimum(beams["peak"], 0.0))
        entry = tf.stack([beams["last"], beams["began"], tf.bitcast(sure, tf.int32)], 2)
        place = tf.clip_by_value(beams["count"] - 1, 0, self._buffer - 1)
        rows = tf.shape(place)[0]
        index = [tf.range(rows)[:, None], tf.range(self._beam)[None], place]
        index = tf.stack([tf.broadcast_to(axis, tf.shape(place)) for axis in index], 2)
        copied = tf.gather(history, source, batch_dims=1)
        return tf.tensor_scatter_nd_update(copied, index, entry)

    def full(self, beams: Tensors) -> tf.Tensor:
        """Which rows have a prefix without room for another token, `(batch,)` bool."""
        return tf.reduce_any(_alive(beams) & (beams["count"] >= self._buffer), 1)

    def settle(self, beams: Tensors, settled: Settled, rows: tf.Tensor) -> tuple[Tensors, Settled]:
        """Move tokens on which all prefixes agree out of the buffers.

        The last token of a prefix stays, since its run may go on. Where a full buffer would stay
        full, the best prefix's oldest tokens settle, and prefixes without them are dropped.

        Args:
            beams: the prefixes.
            settled: what `empty` or an earlier call returned.
            rows: rows in which tokens may settle, `(batch,)` bool.

        Returns:
            The prefixes and what has settled.
        """
        alive, count, history = _alive(beams), beams["count"], beams["history"]
        same = history[..., 0] == history[:, :1, :, 0]
        least = tf.reduce_min(tf.where(alive, count, count[:, :1]), 1)
        agreed = tf.reduce_all(same | ~alive[:, :, None], 1)
        agreed &= tf.sequence_mask(least - 1, self._buffer)
        common = tf.reduce_sum(tf.math.cumprod(tf.cast(agreed, tf.int32), 1), 1)

        forced = self.full(beams) & (common == 0)
        oldest = tf.minimum(count[:, 0] - 1, max(1, self._buffer // 4))
        moved = tf.where(rows, tf.where(forced, oldest, common), 0)[:, None]
        other = ~same & tf.sequence_mask(moved[:, 0], self._buffer)[:, None]
        dropped = tf.reduce_any(other, 2) | (count <= moved) | (count - moved >= self._buffer)
        dropped &= (forced & rows)[:, None]

        place = tf.minimum(tf.range(self._buffer) + moved, self._buffer - 1)
        place = tf.tile(place[:, None], [1, self._beam, 1])
        return {
            **beams,
            "hash": tf.where(dropped, tf.constant(NO_PREFIX, tf.int64), beams["hash"]),
            "parent": tf.where(dropped, tf.constant(NO_PARENT, tf.int64), beams["parent"]),
            "blank": tf.where(dropped, IMPOSSIBLE, beams["blank"]),
            "nonblank": tf.where(dropped, IMPOSSIBLE, beams["nonblank"]),
            "count": tf.maximum(count - moved, 0),
            "history": tf.gather(history, place, batch_dims=2),
        }, _append(settled, history[:, 0], moved[:, 0])

    def empty(self, rows: tf.Tensor, steps: tf.Tensor) -> Settled:
        """Room for all tokens that can settle in `steps` steps, and their number, 0."""
        return tf.zeros([rows, steps + self._buffer, 3], tf.int32), tf.zeros([rows], tf.int32)

    def of(self, beams: Tensors, chosen: tf.Tensor) -> Tensors:
        """Tokens of one prefix of each row, `chosen` by its index `(batch,)`."""
        return unpacked(
            tf.gather(beams["history"], chosen, batch_dims=1),
            tf.gather(beams["count"], chosen, batch_dims=1),
        )


def unpacked(entries: tf.Tensor, counts: tf.Tensor) -> Tensors:
    """Entries `(batch, any, 3)` as tokens in the form of `Decoder.call`."""
    ids, steps, sure = tf.unstack(entries, axis=2)
    sure = tf.bitcast(sure, tf.float32)
    return trimmed({"ids": ids, "steps": steps, "confidence": sure}, counts)


def _alive(beams: Tensors) -> tf.Tensor:
    return beams["hash"] != NO_PREFIX


def _append(settled: Settled, entries: tf.Tensor, moved: tf.Tensor) -> Settled:
    """Append the first `moved` of each row's entries `(batch, buffer, 3)` to the settled ones."""
    room, held = settled
    place = tf.range(tf.shape(room)[1]) - held[:, None]
    taken = tf.gather(entries, tf.clip_by_value(place, 0, tf.shape(entries)[1] - 1), batch_dims=1)
    new = (place >= 0) & (place < moved[:, None])
    return tf.where(new[:, :, None], taken, room), held + moved
