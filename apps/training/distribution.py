"""Which devices and processes a training runs on, and what they have to agree about."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from apps.errors import UserError, cause_of
from apps.training.gradients import share

STRATEGIES = ("mirrored", "multiworker")
_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError)
_EXAMPLE = (
    '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'
)


class Distribution:
    """One process, which trains on one device or on several that share each batch.

    Args:
        strategy: of `tf.distribute`; None for one device.
        name: what it was asked for by.

    Attributes:
        chief: whether this process is the one that reads and writes the run folder.
        alone: whether there is no other process.
        replicas: devices that share each batch, those of all processes.
    """

    chief = True
    alone = True

    def __init__(
        self, strategy: tf.distribute.Strategy | None = None, name: str | None = None
    ) -> None:
        self._strategy = strategy
        self._name = name
        self.replicas = strategy.num_replicas_in_sync if strategy else 1

    def describe(self) -> dict[str, Any]:
        """What `environment.json` says of it, nothing for one device."""
        if self._strategy is None:
            return {}
        return {"strategy": self._name, "devices": self.replicas}

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """Where variables are made, so that every device has them."""
        return self._strategy.scope() if self._strategy else contextlib.nullcontext()

    def run(
        self, step: Callable[[Mapping[str, tf.Tensor], Any], tuple[tf.Tensor, Any]], batch: Any
    ) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Run a step on every device, each with its share of the batch.

        Args:
            step: takes a share and its weight; returns a tensor that is the same on all devices,
                and the states of its rows by name.
            batch: tensors `(rows, …)`, at least one row.

        Returns:
            What the step returns, the states those of all rows.
        """
        if self._strategy is None:
            return step(batch, 1.0)

        def own(batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
            context = tf.distribute.get_replica_context()
            piece = share(batch, context.replica_id_in_sync_group, self.replicas)
            loss, states = step(piece.batch, piece.weight)
            return loss, self.summed(piece.spread(states)) if states else {}

        results = self._strategy.run(own, (batch,))
        local = self._strategy.experimental_local_results
        return tf.nest.map_structure(lambda result: local(result)[0], results)

    def summed(self, values: Any) -> Any:
        """Sums over all devices, inside a step.

        Args:
            values: tensors, sparse gradients and None in any nesting.

        Returns:
            The same nesting; sparse gradients hold the rows of all devices.
        """
        if self._strategy is None:
            return values
        flat = tf.nest.flatten(values)
        given = [value for value in flat if value is not None]
        context = tf.distribute.get_replica_context()
        sums = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, given))
        return tf.nest.pack_sequence_as(
            values, [None if value is None else next(sums) for value in flat]
        )

    def from_chief(self, make: Callable[[], bytes]) -> bytes:
        """What the first process makes, for all of them; where it fails, all of them do."""
        return make()

    def rate(self, value: float) -> float:
        """The first process's value for all of them."""
        return value

    def agreed(self, *said: bool) -> tuple[bool, ...]:
        """Of each statement whether any process says so."""
        return said

    def wait(self) -> None:
        """Wait until all processes have come this far."""

    def together(self) -> contextlib.AbstractContextManager[Any]:
        """Where processes wait for one another: the loss of one becomes a UserError."""
        return contextlib.nullcontext()


class Processes(Distribution):
    """Several processes, each with its devices, as `TF_CONFIG` describes them.

    The first one decides what depends on clock or disk; the others learn it from there.

    Args:
        strategy: as `_multiworker` makes it.
        processes: how many there are.
        chief: whether this one is the first.
    """

    alone = False

    def __init__(self, strategy: tf.distribute.Strategy, processes: int, chief: bool) -> None:
        super().__init__(strategy, "multiworker")
        self.chief = chief
        devices = self.replicas // processes

        def total(values: tf.Tensor) -> tf.Tensor:
            def own() -> tf.Tensor:
                context = tf.distribute.get_replica_context()
                first = context.replica_id_in_sync_group % devices == 0
                counted = tf.where(first, values, tf.zeros_like(values))
                return context.all_reduce(tf.distribute.ReduceOp.SUM, counted)

            return strategy.experimental_local_results(strategy.run(own))[0]

        # Of two types, so that texts travel exactly and flags need no conversion.
        self._totals = {
            dtype: tf.function(total, input_signature=[tf.TensorSpec([None], dtype)])
            for dtype in (tf.int64, tf.float64)
        }

    def from_chief(self, make: Callable[[], bytes]) -> bytes:
        said, failure = b"", None
        if self.chief:
            try:
                said = b"+" + make()
            except Exception as error:
                said, failure = b"-" + str(error).encode(), error
        size = int(self._total(np.array([len(said)], np.int64))[0])
        words = np.zeros(-(-size // 8), np.int64)
        if self.chief:
            words = np.frombuffer(said.ljust(8 * len(words), b"\0"), np.int64)
        said = self._total(words).tobytes()[:size]
        if failure:
            raise failure
        if said[:1] == b"-":
            raise UserError(said[1:].decode())
        return said[1:]

    def rate(self, value: float) -> float:
        return float(self._total(np.array([value if self.chief else 0.0]))[0])

    def agreed(self, *said: bool) -> tuple[bool, ...]:
        return tuple(bool(count) for count in self._total(np.array(said, np.int64)))

    def wait(self) -> None:
        self._total(np.zeros(1, np.int64))

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        try:
            yield
        except _GONE as error:
            raise UserError(
                "another process of this training is gone; start all of them again with --resume"
            ) from error

    def _total(self, values: np.ndarray) -> np.ndarray:
        with self.together():
            return self._totals[tf.as_dtype(values.dtype)](tf.constant(values)).numpy()


def distribute(strategy: str | None, log: Callable[[str], None]) -> Distribution:
    """Devices and processes for a training.

    Args:
        strategy: `mirrored` for all devices of this process, `multiworker` for all processes that
            `TF_CONFIG` names, None for one device.
        log: takes a line for the user.

    Raises:
        UserError: there is no such strategy, or no such group of processes.
    """
    if strategy is None:
        return Distribution()
    if strategy not in STRATEGIES:
        raise UserError(f"strategy {strategy}: choose one of {', '.join(STRATEGIES)}")
    if strategy == "multiworker":
        return _multiworker(log)
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    if len(devices) == 1:
        log(f"strategy mirrored: one device only ({devices[0].device_type}); it trains alone")
        return Distribution()
    log(f"strategy mirrored: {len(devices)} devices ({devices[0].device_type}) share each batch")
    made = tf.distribute.MirroredStrategy([device.name for device in devices])
    return Distribution(made, strategy)


def _multiworker(log: Callable[[str], None]) -> Distribution:
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise UserError(
            "strategy multiworker: TF_CONFIG is not set; give every process its place, for "
            f"example TF_CONFIG='{_EXAMPLE}'"
        )
    try:
        given = json.loads(text)
        cluster, task = given["cluster"], given["task"]
        hosts = [*cluster.get("chief", []), *cluster.get("worker", [])]
        first = ("chief" if "chief" in cluster else "worker", 0)
        place = (task["type"], int(task["index"]))
        cluster[place[0]][place[1]]
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        raise UserError(
            f"strategy multiworker: TF_CONFIG does not name a cluster and a place in it; write it "
            f"like {_EXAMPLE}"
        ) from None
    if place == first:
        log(f"strategy multiworker: waiting for the processes on {', '.join(hosts)}")
    try:
        with _signals_end_the_process():
            made = tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError:
        raise UserError(
            "strategy multiworker: TensorFlow is in use in this process already; ask for the "
            "training before anything else"
        ) from None
    except tf.errors.OpError as error:
        raise UserError(
            f"strategy multiworker: the processes of TF_CONFIG did not meet ({cause_of(error)})"
        ) from None
    return Processes(made, len(hosts), place == first)


@contextlib.contextmanager
def _signals_end_the_process() -> Iterator[None]:
    """Ctrl-C while waiting in TensorFlow for the other processes, and SIGTERM ever after.

    No Python handler runs during that wait, and TensorFlow takes SIGTERM for a notice of
    preemption that it leaves to others to act on.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    ended = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        signal.signal(signal.SIGTERM, ended)
