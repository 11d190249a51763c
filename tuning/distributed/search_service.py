"""The chief's side of `tuning.Search`: the scheduler's methods for workers on any machine."""

from __future__ import annotations

import inspect
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import grpc

from apps.errors import UserError
from tuning.distributed.protocol import SERVICE, versions
from tuning.scheduler import LocalScheduler, Wait
from tuning.trials.job import Job, Outcome, Progress

Answer = dict[str, Any]


@dataclass(frozen=True)
class _Turn:
    """What all tasks of one worker are at; without a job between two trials."""

    name: str
    job: Job | None
    joined: frozenset[int] = frozenset()


class SearchService:
    """Answers the workers' calls in several threads.

    Args:
        scheduler: of the search.

    Attributes:
        told: workers that know that the search is over; a task beyond the first is `WORKER/TASK`.
        failure: what the scheduler raised, such as OSError; the search cannot go on.
    """

    def __init__(self, scheduler: LocalScheduler) -> None:
        self.told: set[str] = set()
        self.failure: Exception | None = None
        self._scheduler = scheduler
        self._versions = versions()
        self._lock = threading.Lock()
        self._turns: dict[str, _Turn] = {}
        self._others: dict[str, float] = {}

    def handler(self) -> grpc.GenericRpcHandler:
        """The service, for a gRPC server."""
        methods: dict[str, Callable[..., Answer]] = {
            "Describe": self._describe,
            "Next": self._next,
            "Beat": self._beat,
            "Report": self._report,
            "Release": self._release,
            "Follow": self._follow,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                name: grpc.unary_unary_rpc_method_handler(self._served(method))
                for name, method in methods.items()
            },
        )

    def fail(self, error: Exception, context: Any) -> None:
        """End a call in which the scheduler failed: the worker asks again, the chief gives up."""
        self.failure = self.failure or error
        context.abort(grpc.StatusCode.UNAVAILABLE, f"{type(error).__name__}: {error}")

    def hear(self, name: str) -> None:
        """Note a sign of life of someone whom the scheduler does not know."""
        with self._lock:
            self._others[name] = time.monotonic()

    def untold(self, seconds: float) -> set[str]:
        """Workers and tasks, heard of within so many seconds, that do not know of the end yet."""
        now = time.monotonic()
        with self._lock:
            silent = {name: now - heard for name, heard in self._others.items()}
        silent.update(self._scheduler.workers)
        return {name for name, since in silent.items() if since < seconds} - self.told

    def _describe(self) -> Answer:
        return {"settings": self._scheduler.settings.to_dict(), "versions": self._versions}

    def _next(self, worker: str, turn: str) -> Answer:
        given = self._scheduler.next(worker)
        if given is None:
            self.told.add(worker)
            return {"over": True}
        if isinstance(given, Wait):
            return {"wait": given.seconds}
        with self._lock:
            self._turns[worker] = _Turn(turn, given)
        return {"job": given.to_json()}

    def _beat(self, worker: str, turn: str, trial: str, progress: str) -> Answer:
        yours = self._scheduler.beat(worker, trial, Progress.from_json(progress))
        if yours:
            self._remember(worker, turn, trial)
        with self._lock:
            known = self._turns.get(worker)
            joined = known.joined if known is not None and known.name == turn else ()
        return {"yours": yours, "joined": len(joined)}

    def _report(self, worker: str, trial: str, outcome: str) -> Answer:
        self._scheduler.end(worker, trial, Outcome.from_json(outcome))
        self._pause(worker, trial)
        return {}

    def _release(self, worker: str) -> Answer:
        self._scheduler.release(worker)
        self._pause(worker)
        return {}

    def _follow(self, worker: str, task: int, turn: str) -> Answer:
        over = self._scheduler.finished
        self.hear(f"{worker}/{task}")
        if over:
            self.told.add(f"{worker}/{task}")
        with self._lock:
            known = self._turns.get(worker)
            if known is None:
                return {"over": over, "turn": None, "job": None}
            if turn == known.name:
                known = replace(known, joined=known.joined | {task})
                self._turns[worker] = known
        return {"over": over, "turn": known.name, "job": known.job and known.job.to_json()}

    def _remember(self, worker: str, turn: str, trial: str) -> None:
        """Take up a turn that began before this chief was started."""
        if worker in self._turns:
            return
        given = self._scheduler.next(worker)
        if isinstance(given, Job) and given.id == trial:
            with self._lock:
                self._turns.setdefault(worker, _Turn(turn, given))

    def _pause(self, worker: str, trial: str | None = None) -> None:
        """Let the other tasks of a worker know that its trial is over."""
        with self._lock:
            turn = self._turns.get(worker)
            if turn is not None and turn.job is not None and trial in (None, turn.job.id):
                self._turns[worker] = _Turn(turn.name, None)

    def _served(self, method: Callable[..., Answer]) -> Callable[[bytes, Any], bytes]:
        signature = inspect.signature(method)

        def serve(request: bytes, context: Any) -> bytes:
            answer: Answer = {}
            try:
                given = signature.bind(**json.loads(request))
            except (ValueError, TypeError) as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            try:
                answer = method(*given.args, **given.kwargs)
            except UserError as error:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            except Exception as error:
                self.fail(error, context)
            return json.dumps(answer).encode()

        return serve
