"""A worker process whose trials are toys: options as of `python -m tuning worker`."""

from __future__ import annotations

import argparse
import sys

from toy_search import ToyExecutor

from apps.errors import UserError
from tuning.distributed import worker_process


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--chief", required=True)
    parser.add_argument("--id", required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", type=float)
    parser.add_argument("--patience", type=float, default=10.0)
    options = parser.parse_args()
    worker_process.Executor = ToyExecutor  # type: ignore[misc]
    try:
        worker_process.run_worker(
            options.chief,
            options.id,
            threads=options.threads,
            memory_mb=options.memory,
            patience_seconds=options.patience,
        )
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
