"""Language modelling: the next token of a text."""

from apps.tasks.language_modelling.task import LanguageModelling

__all__ = ["LanguageModelling"]
