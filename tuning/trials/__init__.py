"""How a trial runs: in a process of its own, whose failure harms no other."""

from tuning.trials.folder import prune

__all__ = ["prune"]
