"""Tagging: typed spans in a sequence, one tag for each step."""

from apps.tasks.tagging.task import Tagging, TaggingConfig

__all__ = ["Tagging", "TaggingConfig"]
