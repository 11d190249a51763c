"""A search on more than one process or machine: a chief that hands out trials, and its workers.

Our workers speak the service `tuning.Search` (see `protocol`), and do without KerasTuner, which
takes some 700 MB. The chief also serves KerasTuner's own `OracleServicer`, so that workers written
with KerasTuner alone can join.

There is neither authentication nor encryption: both services are for networks that are trusted.
"""

from tuning.distributed.chief import Chief
from tuning.distributed.local_workers import LocalWorkers
from tuning.distributed.worker_process import run_worker

__all__ = ["Chief", "LocalWorkers", "run_worker"]
