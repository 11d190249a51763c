"""The applications; the module of one is imported only when it is used."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from apps.errors import UserError, nearest


class Entry(NamedTuple):
    """Where an application lives and what it answers."""

    place: str
    answers: str


APPLICATIONS = {
    "keywords": Entry("apps.speech.keywords:Keywords", "which word is spoken"),
    "transcription": Entry("apps.speech.transcription:Transcription", "what is said"),
    "actions": Entry("apps.video.actions:Actions", "what happens in a clip of video"),
    "sentiment": Entry("apps.text.sentiment:Sentiment", "which label a text carries"),
    "translation": Entry("apps.text.translation:Translation", "what a text is in another language"),
    "forecasting": Entry("apps.timeseries.forecasting:Forecasting", "what series will be"),
    "stocks": Entry("apps.timeseries.stocks:Stocks", "what a price or its volatility will be"),
    "anomalies": Entry(
        "apps.timeseries.anomalies:Anomalies", "which rows of sensors are not as they should be"
    ),
    "generation": Entry("apps.text.generation:Generation", "how a text goes on"),
    "entities": Entry("apps.text.entities:Entities", "which spans of a sentence name something"),
}


def load(name: str) -> Any:
    """The class of an application, a subclass of `apps.application.Application`.

    Raises:
        UserError: there is no application of that name; the nearest is suggested.
    """
    if name not in APPLICATIONS:
        raise UserError(f"unknown application '{name}'{nearest(name, APPLICATIONS)}")
    module, _, attribute = APPLICATIONS[name].place.partition(":")
    return getattr(importlib.import_module(module), attribute)
