"""Quantiles: task, its metrics, baselines and part of the report."""

from apps.tasks.quantiles.config import QuantilesConfig
from apps.tasks.quantiles.task import Quantiles

__all__ = ["Quantiles", "QuantilesConfig"]
