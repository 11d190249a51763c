"""A search on more than one process or machine: a chief that hands out trials, and its workers.

The chief serves KerasTuner's own `OracleServicer`, so that workers written with KerasTuner alone
can join, and beside it the service `tuning.Search`, which our workers speak. That one carries what
KerasTuner's messages lack: signs of life, the reason of a failure, scores in full precision, and
that a worker leaves. Its workers need not import KerasTuner, which takes some 700 MB each.

There is neither authentication nor encryption: both services are for networks that are trusted.
"""

from tuning.distributed.chief import Chief
from tuning.distributed.local_workers import LocalWorkers
from tuning.distributed.worker_process import run_worker

__all__ = ["Chief", "LocalWorkers", "run_worker"]
