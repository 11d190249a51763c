"""KerasTuner's search algorithms, each with a memory that survives being killed."""

from tuning.oracles.algorithms import make_oracle
from tuning.oracles.durable import DurableOracle

__all__ = ["DurableOracle", "make_oracle"]
