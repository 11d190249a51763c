"""The scheduler of another process, as a worker calls it."""

from __future__ import annotations

import threading
import time
import uuid
from typing import NamedTuple

import grpc

from tuning.distributed.connection import Connection
from tuning.distributed.paths import Paths
from tuning.scheduler import Scheduler, Wait
from tuning.trials.job import Job, Outcome, Progress

_BEAT_S = 5.0
_GOODBYE_S = 5.0
_GATHER_S = 0.2


class _Sign(NamedTuple):
    worker: str
    turn: str
    trial: str
    progress: str


class RemoteScheduler(Scheduler):
    """The chief's scheduler.

    Training goes on without the chief; only asking for a trial and reporting one wait for it.

    Args:
        connection: to the chief.
        paths: of this machine.
        tasks: how many processes train each trial together.
    """

    def __init__(self, connection: Connection, paths: Paths, tasks: int = 1) -> None:
        self._connection = connection
        self._paths = paths
        self._tasks = tasks
        self._turn = ""
        self._lost = False
        self._sign: _Sign | None = None
        self._closed = False
        self._changed = threading.Condition()
        threading.Thread(target=self._send_signs, name="signs of life", daemon=True).start()

    def next(self, worker: str) -> Job | Wait | None:
        """The worker's next trial, with this machine's paths, once all its tasks have joined.

        Raises:
            UserError: no answer within the patience.
        """
        turn = uuid.uuid4().hex
        answer = self._connection.ask("Next", worker=worker, turn=turn)
        if answer.get("over"):
            return None
        if "wait" in answer:
            return Wait(answer["wait"])
        job = Job.from_json(answer["job"])
        while self._tasks > 1:
            sign = _Sign(worker, turn, job.id, Progress().to_json())
            found = self._connection.ask("Beat", **sign._asdict())
            if not found["yours"]:
                return Wait(0.0)
            if found["joined"] >= self._tasks - 1:
                break
            time.sleep(_GATHER_S)
        with self._changed:
            self._turn, self._lost, self._sign = turn, False, None
        return self._paths.localized(job)

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        """Report that the worker lives, without waiting for the answer.

        Returns:
            False once the chief has answered that the trial is not this worker's.
        """
        with self._changed:
            self._sign = _Sign(worker, self._turn, trial, progress.to_json())
            self._changed.notify()
            return not self._lost

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        """Report a trial's end, again until the chief has it.

        Raises:
            UserError: no answer within the patience.
        """
        self._connection.ask("Report", worker=worker, trial=trial, outcome=outcome.to_json())

    def release(self, worker: str) -> None:
        """Give the trial back; if the chief does not hear it, the lease runs out instead."""
        try:
            self._connection.ask_once("Release", _GOODBYE_S, worker=worker)
        except grpc.RpcError:
            return

    def close(self) -> None:
        """Hang up."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._connection.close()

    def _send_signs(self) -> None:
        """Send the newest sign of life; in a thread, so that a slow chief holds up no trial."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._sign is not None)
                if self._closed or self._sign is None:
                    return
                sign, self._sign = self._sign, None
            try:
                answer = self._connection.ask_once("Beat", _BEAT_S, **sign._asdict())
            except (grpc.RpcError, ValueError):  # ValueError once the channel is closed
                continue
            with self._changed:
                if sign.turn == self._turn:
                    self._lost = not answer["yours"]
