"""The chief: serves a search's scheduler, and takes trials back from workers that are gone."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent import futures

import grpc

from apps import environment
from apps.errors import UserError
from tuning.distributed.address import Address
from tuning.distributed.search_service import SearchService
from tuning.scheduler import LocalScheduler

TICK_S = 0.25
_LINGER_S = 5.0  # within it workers that missed the end while there was no chief ask again
_THREADS = 16  # while one call waits for the oracle, signs of life still get through
_OPTIONS = (
    ("grpc.so_reuseport", 0),  # a second chief on the port would take half of the workers
)


class Chief:
    """Serves one search on one port, to as many workers as come.

    There is neither authentication nor encryption: only in trusted networks should it listen beyond
    this machine.

    Args:
        scheduler: of the search.
        listen: `HOST:PORT`; port 0 takes a free one.
        lease_seconds: a worker that is silent for so long loses its trial to another one.
        log: takes a line for every trial that is taken back.

    Attributes:
        address: for workers on this machine.
        public_address: for workers on others.

    Raises:
        UserError: nothing can listen there.
    """

    def __init__(
        self,
        scheduler: LocalScheduler,
        listen: str = "127.0.0.1:0",
        lease_seconds: float = 60.0,
        log: Callable[[str], None] = environment.say,
    ) -> None:
        self._scheduler = scheduler
        self._lease_seconds = lease_seconds
        self._log = log
        self._service = SearchService(scheduler)
        asked = Address.parse(listen)
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=_THREADS), options=_OPTIONS
        )
        self._server.add_generic_rpc_handlers((self._service.handler(),))
        serve_keras_tuner(self._server, scheduler, self._service)
        try:
            port = self._server.add_insecure_port(str(asked))
        except RuntimeError:
            raise UserError(
                f"--listen {listen}: cannot listen there; name a host of this machine and a free "
                "port"
            ) from None
        bound = Address(asked.host, port)
        self.address, self.public_address = str(bound.from_here()), str(bound.from_elsewhere())

    def start(self) -> None:
        """Start to answer."""
        self._server.start()

    def wait(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Wait until the search is over, and each worker knows it or has been silent for a lease.

        Args:
            on_tick: called a few times a second; what it raises ends the wait.

        Raises:
            Exception: what the scheduler raised when a worker called, such as OSError for a full
                disk. Workers keep their results and ask again, until a restarted chief takes them.
        """
        begun = awake = ticked = time.monotonic()
        linger_s = _LINGER_S if self._scheduler.finished else 0.0
        while True:
            on_tick()
            if self._service.failure is not None:
                raise self._service.failure
            now = time.monotonic()
            if now - ticked > self._lease_seconds / 2:
                awake = now  # this process was stopped, and could not hear the workers
            ticked = now
            if now - awake >= self._lease_seconds:
                self._take_back()
            over = self._scheduler.finished and now - begun >= linger_s
            if over and not self._service.untold(self._lease_seconds):
                return
            time.sleep(TICK_S)

    def stop(self) -> None:
        """Stop answering; calls under way have a second to end."""
        self._server.stop(grace=1.0).wait()

    def _take_back(self) -> None:
        for trial in self._scheduler.expire(self._lease_seconds):
            self._log(
                f"trial {trial} is handed out again: its worker was silent for "
                f"{self._lease_seconds:g} s"
            )


def serve_keras_tuner(
    server: grpc.Server, scheduler: LocalScheduler, search: SearchService
) -> None:
    """Add KerasTuner's own service, which imports KerasTuner."""
    from tuning.distributed.keras_tuner_service import add_service

    add_service(server, scheduler, search)
