"""How a trial runs: in a process of its own, which may fail in any way without harm to others."""

from tuning.trials.folder import prune

__all__ = ["prune"]
