"""A trial on several processes: all tasks of a worker follow the first one.

`TF_CONFIG` says which task a process is. The first one asks for trials and reports them. The others
ask the chief which trial it is at, and the first one waits until all have joined. So no two tasks
ever train different trials with each other, even when some are killed and started again.
"""

from __future__ import annotations

import grpc

from tuning.distributed.connection import Connection
from tuning.distributed.paths import Paths
from tuning.scheduler import Scheduler, Wait
from tuning.trials.job import COMPLETED, Job, Outcome, Progress

_POLL_S = 0.5
_CALL_S = 2.0


class FollowingScheduler(Scheduler):
    """Gives a task beyond the first the trial that the first one is at; reports nothing.

    Args:
        connection: to the chief.
        paths: of this machine.
        task: the task's index.
    """

    def __init__(self, connection: Connection, paths: Paths, task: int) -> None:
        self._connection = connection
        self._paths = paths
        self._task = task
        self._turn = self._completed = ""

    def next(self, worker: str) -> Job | Wait | None:
        """The trial that the first task is at, until this task has completed it.

        Raises:
            UserError: no answer within the patience.
        """
        answer = self._connection.ask("Follow", worker=worker, task=self._task, turn="")
        if answer["over"]:
            return None
        if answer["job"] is None or answer["turn"] == self._completed:
            return Wait(_POLL_S)
        # Nothing else runs in this task, so that the first one may begin.
        self._turn = answer["turn"]
        joined = self._connection.ask("Follow", worker=worker, task=self._task, turn=self._turn)
        if joined["turn"] != self._turn:
            return Wait(0.0)
        return self._paths.localized(Job.from_json(answer["job"]))

    def beat(self, worker: str, trial: str, progress: Progress) -> bool:
        """Whether the first task is still at what this one joined; True while that is unknown."""
        try:
            answer = self._connection.ask_once(
                "Follow", _CALL_S, worker=worker, task=self._task, turn=self._turn
            )
        except grpc.RpcError:
            return True
        unknown = answer["turn"] is None
        same = answer["turn"] == self._turn and answer["job"] is not None
        return not answer["over"] and (unknown or same)

    def end(self, worker: str, trial: str, outcome: Outcome) -> None:
        """Note that this task has completed its part; else it joins the trial again."""
        if outcome.status == COMPLETED:
            self._completed = self._turn

    def release(self, worker: str) -> None:
        """Do nothing: the trial belongs to the first task."""

    def close(self) -> None:
        """Hang up."""
        self._connection.close()
