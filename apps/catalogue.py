"""Which applications there are; a module is imported when its application is used."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, NamedTuple

from apps.errors import UserError, nearest

if TYPE_CHECKING:
    from apps.application import Application


class Entry(NamedTuple):
    """Where an application lives and what it answers."""

    place: str
    answers: str


APPLICATIONS = {
    "keywords": Entry("apps.speech.keywords:Keywords", "which word is spoken"),
    "transcription": Entry("apps.speech.transcription:Transcription", "what is said"),
    "sentiment": Entry("apps.text.sentiment:Sentiment", "which label a text carries"),
}


def load(name: str) -> type[Application]:
    """The class of an application.

    Raises:
        UserError: there is none of that name; the nearest is suggested.
    """
    if name not in APPLICATIONS:
        raise UserError(f"unknown application '{name}'{nearest(name, APPLICATIONS)}")
    module, _, attribute = APPLICATIONS[name].place.partition(":")
    return getattr(importlib.import_module(module), attribute)
