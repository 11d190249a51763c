"""A version of a model, from the moment it is seen until its memory is released."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from apps.errors import UserError
from apps.serving.errors import ServingError, precondition, unavailable
from apps.serving.models.batching import Batcher, common_rows
from apps.serving.models.batching_parameters import BATCHING_FILE, BatchingParameters
from apps.serving.models.observer import Observer
from apps.serving.models.servable import Servable, SignatureDef
from apps.serving.models.states import State, VersionStatus

# As many requests at once as TensorFlow Serving's own default of gRPC threads.
_THREADS_PER_CORE = 4


class Version:
    """Loads a version, answers its requests, and closes it once the last one is answered.

    Args:
        name: the model's name.
        number: the version's number.
        path: its folder.
        batching: whether the version's own batching parameters are followed.
        observer: is told of states, batches and warm-ups.
    """

    def __init__(
        self, name: str, number: int, path: Path, *, batching: bool, observer: Observer
    ) -> None:
        self.name = name
        self.number = number
        self.path = path
        self._batching = batching
        self._observer = observer
        self._servable: Servable | None = None
        self._batcher: Batcher | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._in_flight = 0
        self._drained = asyncio.Event()
        self._drained.set()
        self.status = VersionStatus(number, State.START)

    @property
    def state(self) -> State:
        """Where the version stands."""
        return self.status.state

    @property
    def signatures(self) -> Mapping[str, SignatureDef]:
        """The loaded version's signatures by name."""
        assert self._servable is not None
        return self._servable.signatures

    def enter(self, state: State, error: ServingError | None = None) -> None:
        """Change the state, and tell of it."""
        if error is None:
            self.status = VersionStatus(self.number, state)
        else:
            message = " ".join(error.message.split())
            self.status = VersionStatus(self.number, state, error.code, message)
        self._observer.version_changed(self.name, self.status)

    async def load(self) -> None:
        """Load the version and run its warm-up requests.

        Raises:
            ServingError: it cannot be served.
        """
        parameters = self._parameters()
        workers = _THREADS_PER_CORE * (os.cpu_count() or 1)
        if parameters:
            workers = parameters.num_batch_threads
        servable = await asyncio.to_thread(Servable.load, self.path, self.name, self.number)
        try:
            began = time.perf_counter()
            records = await asyncio.to_thread(servable.warm_up)
            self._observer.warmed_up(self.name, self.number, records, time.perf_counter() - began)
        except BaseException:
            servable.close()
            raise
        self._servable = servable
        self._threads = ThreadPoolExecutor(workers, f"{self.name}-{self.number}")
        if parameters:
            self._batcher = Batcher(
                servable.compute, parameters, self._threads, self._batch_executed, self._queued
            )

    async def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], outputs: Sequence[str]
    ) -> dict[str, np.ndarray]:
        """Answer a request; called only while the version is available.

        Raises:
            ServingError: the request does not fit the signature, or fails.
        """
        assert self._servable is not None
        with self._counted():
            request = self._servable.check(signature, inputs, outputs)
            rows = common_rows(request) if self._batcher else 0
            if self._batcher and rows:
                return await self._batcher.run(request, rows)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, self._servable.compute, request)

    async def drain(self) -> None:
        """Wait until every request that has reached the version is answered."""
        await self._drained.wait()

    async def close(self) -> None:
        """Release the version's memory; a request that is still running is cancelled."""
        servable, self._servable = self._servable, None
        threads, self._threads = self._threads, None
        batcher, self._batcher = self._batcher, None
        if batcher:
            batcher.abandon(unavailable(f"version {self.number} of {self.name} is unloaded"))
        if servable and threads:
            # Before the threads end: one may compute for a client that has gone, and for long.
            await asyncio.to_thread(servable.close)
            await asyncio.to_thread(threads.shutdown)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._in_flight += 1
        self._drained.clear()
        try:
            yield
        finally:
            self._in_flight -= 1
            if not self._in_flight:
                self._drained.set()

    def _parameters(self) -> BatchingParameters | None:
        file = self.path / BATCHING_FILE
        if not self._batching or not file.exists():
            return None
        try:
            return BatchingParameters.read(file)
        except UserError as error:
            raise precondition(str(error)) from None

    def _batch_executed(self, rows: int, padded_rows: int, waits: Sequence[float]) -> None:
        self._observer.batch_executed(self.name, self.number, rows, padded_rows, waits)

    def _queued(self, rows: int) -> None:
        self._observer.queue_changed(self.name, self.number, rows)
