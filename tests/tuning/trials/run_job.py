"""Runs the job that its argument is, until it is killed."""

import sys

from tuning.trials.executor import Executor
from tuning.trials.job import Job

if __name__ == "__main__":
    with Executor(threads=1, preload=["faulty"]) as runs:
        runs.run(Job.from_json(sys.argv[1]), lambda progress: True)
