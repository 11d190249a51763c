"""Translation: task, its metrics, baselines and part of the report."""

from apps.tasks.translation.config import TranslationTaskConfig
from apps.tasks.translation.task import Translation

__all__ = ["Translation", "TranslationTaskConfig"]
