"""A chief process over a search of toys: `FOLDER LISTEN LEASE_SECONDS TRIALS STEPS WORKERS`."""

from __future__ import annotations

import sys
from pathlib import Path

from toy_search import ToyScheduler

from tuning.distributed import chief as chief_module
from tuning.distributed.chief import Chief
from tuning.distributed.local_workers import LocalWorkers


def main() -> None:
    folder, listen, lease_seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
    trials, steps, count = (int(number) for number in sys.argv[4:])
    chief_module.serve_keras_tuner = lambda *given: None
    chief = Chief(ToyScheduler(folder, trials, steps), listen, lease_seconds)
    chief.start()
    print(chief.address, flush=True)
    program = [sys.executable, str(Path(__file__).with_name("toy_worker.py"))]
    if count:
        workers = LocalWorkers(count, chief.address, folder, program=program)
        chief.wait(workers.supervise)
        workers.stop()
    else:
        chief.wait()
    chief.stop()


if __name__ == "__main__":
    main()
