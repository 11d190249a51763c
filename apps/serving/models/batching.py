"""Dynamic batching on one event loop: requests that wait together are computed together.

What the parameters mean, and what a full queue answers, is TensorFlow Serving's. Two things are
kinder here: requests of unequal shapes wait in different queues rather than fail one another, and
the requests of a failed batch are computed again one by one, so that only the bad one fails.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

import numpy as np

from apps.serving.errors import ServingError, internal, invalid, precondition, unavailable
from apps.serving.models.batching_parameters import BatchingParameters
from apps.serving.models.servable import Request

Outputs = dict[str, np.ndarray]
BatchExecuted = Callable[[int, int, Sequence[float]], None]


@dataclass(eq=False)
class _Task:
    request: Request
    rows: int
    since: float
    answer: asyncio.Future[Outputs]


class _Queue(deque[_Task]):
    """Tasks that may share a batch, oldest first."""

    rows = 0

    def add(self, task: _Task) -> None:
        self.append(task)
        self.rows += task.rows

    def drop_abandoned(self) -> None:
        """Forget the tasks whose clients have gone or whose deadlines have passed."""
        waiting = [task for task in self if not task.answer.done()]
        self.clear()
        self.extend(waiting)
        self.rows = sum(task.rows for task in waiting)

    def take(self, limit: int) -> list[_Task]:
        """The next batch, without the tasks that nobody waits for any more."""
        batch: list[_Task] = []
        room = limit
        while self and (self[0].rows <= room or self[0].answer.done()):
            task = self.popleft()
            self.rows -= task.rows
            if not task.answer.done():
                batch.append(task)
                room -= task.rows
        return batch


class Batcher:
    """Forms batches for one version and computes them on its threads.

    Args:
        compute: computes a request; blocks.
        parameters: how batches are formed.
        executor: has a thread for each of `num_batch_threads`.
        executed: is told rows, padded rows and waits in seconds of every batch.
        queued: is told how many rows wait, after every change.
    """

    def __init__(
        self,
        compute: Callable[[Request], Outputs],
        parameters: BatchingParameters,
        executor: Executor,
        executed: BatchExecuted = lambda rows, padded_rows, waits: None,
        queued: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._compute = compute
        self._parameters = parameters
        self._executor = executor
        self._executed = executed
        self._queued = queued
        self._loop = asyncio.get_running_loop()
        self._queues: dict[tuple[object, ...], _Queue] = {}
        self._idle = parameters.num_batch_threads
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, request: Request, rows: int) -> Outputs:
        """Wait for a batch that the request fits in, and for its own rows of the answer.

        Args:
            request: a checked request.
            rows: the size of every input's first dimension, at least 1.

        Raises:
            ServingError: the queue is full, the request too large, or the computation failed.
        """
        most = self._parameters.max_batch_size
        if rows > most:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {most}")
        limit = self._parameters.batch_limit
        queue = self._queues.setdefault(self._key(request), _Queue())
        self._require_room(queue, rows)
        answers = []
        for start in range(0, rows, limit):
            part = _rows(request, start, start + limit) if rows > limit else request
            answer: asyncio.Future[Outputs] = self._loop.create_future()
            queue.add(_Task(part, min(limit, rows - start), self._loop.time(), answer))
            answers.append(answer)
        self._dispatch()
        if len(answers) == 1:
            return await answers[0]
        parts = await asyncio.gather(*answers)
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def abandon(self, error: ServingError) -> None:
        """Answer every request that still waits with an error."""
        for queue in self._queues.values():
            for task in queue:
                if not task.answer.done():
                    task.answer.set_exception(error)
        self._queues.clear()

    def _key(self, request: Request) -> tuple[object, ...]:
        padding = self._parameters.pad_variable_length_inputs
        shapes = (array.ndim if padding else array.shape[1:] for array in request.inputs.values())
        return (request.signature, request.outputs, *shapes)

    def _require_room(self, queue: _Queue, rows: int) -> None:
        limit, most = self._parameters.batch_limit, self._parameters.max_enqueued_batches
        if queue.rows + rows > limit * most:
            queue.drop_abandoned()
        if queue.rows + rows > limit * most:
            raise unavailable(
                "The batch scheduling queue to which this task was submitted is full; currently "
                f"{math.ceil(queue.rows / limit)} batches enqueued and max_enqueued_batches is "
                f"{most}"
            )

    def _dispatch(self) -> None:
        """Give idle threads the batches that are due, and come back when the next one is."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now, patience = self._loop.time(), self._parameters.batch_timeout_micros / 1e6
        wake = math.inf
        for key, queue in list(self._queues.items()):
            if not self._idle:
                break
            while self._idle and queue and self._due(queue, now, patience):
                self._start(queue.take(self._parameters.batch_limit))
                # It goes to the end of the line, so that no signature starves another.
                self._queues[key] = self._queues.pop(key)
            if queue:
                wake = min(wake, queue[0].since + patience)
            else:
                del self._queues[key]
        if self._idle and wake < math.inf:
            self._timer = self._loop.call_at(wake, self._dispatch)
        self._queued(sum(queue.rows for queue in self._queues.values()))

    def _due(self, queue: _Queue, now: float, patience: float) -> bool:
        return queue.rows >= self._parameters.batch_limit or now >= queue[0].since + patience

    def _start(self, batch: list[_Task]) -> None:
        if not batch:
            return
        self._idle -= 1
        began = self._loop.time()
        computing = self._loop.run_in_executor(self._executor, self._compute_batch, batch)
        computing.add_done_callback(partial(self._finish, batch, began))

    def _finish(
        self, batch: list[_Task], began: float, computed: asyncio.Future[list[Outputs | Exception]]
    ) -> None:
        self._idle += 1
        for task, outcome in zip(batch, computed.result(), strict=True):
            if task.answer.done():
                continue
            if isinstance(outcome, Exception):
                task.answer.set_exception(outcome)
            else:
                task.answer.set_result(outcome)
        self._dispatch()
        rows = sum(task.rows for task in batch)
        waits = [began - task.since for task in batch]
        self._executed(rows, self._parameters.padded(rows), waits)

    def _compute_batch(self, batch: list[_Task]) -> list[Outputs | Exception]:
        try:
            return [*self._compute_together(batch)]
        except Exception as error:
            if len(batch) == 1:
                failure = error if isinstance(error, ServingError) else internal(repr(error))
                return [failure]
        return [self._compute_batch([task])[0] for task in batch]

    def _compute_together(self, batch: list[_Task]) -> list[Outputs]:
        rows = sum(task.rows for task in batch)
        padded = self._parameters.padded(rows)
        outputs = self._compute(_merge([task.request for task in batch], padded - rows))
        for array in outputs.values():
            if array.ndim == 0:
                raise precondition("Batched output tensor has 0 dimensions")
            if array.shape[0] != padded:
                raise precondition(
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                    "dimension sizes of the input tensors"
                )
        ends = np.cumsum([task.rows for task in batch])
        return [
            {name: array[end - task.rows : end] for name, array in outputs.items()}
            for task, end in zip(batch, ends, strict=True)
        ]


def common_rows(request: Request) -> int:
    """The size of the first dimension that all inputs of a request share.

    Raises:
        ServingError: INVALID_ARGUMENT where an input has no dimension, or they differ.
    """
    shapes = [array.shape for array in request.inputs.values()]
    if not all(shapes):
        raise invalid("Batching Run() input tensors must have at least one dimension")
    sizes = {shape[0] for shape in shapes}
    if len(sizes) > 1:
        raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
    return sizes.pop() if sizes else 0


def _rows(request: Request, start: int, stop: int) -> Request:
    inputs = {name: array[start:stop] for name, array in request.inputs.items()}
    return Request(request.signature, inputs, request.outputs)


def _merge(requests: Sequence[Request], padding: int) -> Request:
    """Requests one below the other, then rows of padding, which repeat the last one's first row."""
    first = requests[0]
    if len(requests) == 1 and not padding:
        return first
    inputs = {}
    for name in first.inputs:
        arrays = _same_shapes([request.inputs[name] for request in requests])
        if padding:
            arrays.append(np.repeat(arrays[-1][:1], padding, axis=0))
        inputs[name] = np.concatenate(arrays)
    return Request(first.signature, inputs, first.outputs)


def _same_shapes(arrays: list[np.ndarray]) -> list[np.ndarray]:
    """Arrays padded at their ends, each with its own first element, to the largest dimensions."""
    widest = np.max([array.shape[1:] for array in arrays], axis=0).astype(int)
    return [_widened(array, tuple(widest)) for array in arrays]


def _widened(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if array.shape[1:] == shape:
        return array
    if not array.size:
        raise invalid("Got empty tensor in batch of non-empty tensors.")
    wide = np.full((len(array), *shape), array.flat[0], dtype=array.dtype)
    wide[tuple(slice(size) for size in array.shape)] = array
    return wide
