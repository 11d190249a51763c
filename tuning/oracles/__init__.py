"""KerasTuner's search algorithms with a state that survives being killed."""

from tuning.oracles.algorithms import make_oracle
from tuning.oracles.durable import DurableOracle

__all__ = ["DurableOracle", "make_oracle"]
