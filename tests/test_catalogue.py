"""The catalogue leads to applications that keep their names."""

from __future__ import annotations

import re

import pytest

from apps import APPLICATIONS, UserError, catalogue
from apps.application import Application


@pytest.mark.parametrize("name", APPLICATIONS)
def test_entries_lead_to_applications(name: str) -> None:
    kind = catalogue.load(name)
    assert issubclass(kind, Application)
    assert kind.name == name
    assert not set(kind.input.columns) & set(kind.task.columns)
    given = [*kind.input.columns, *kind.task.columns]
    assert list(kind.columns())[: len(given)] == given


@pytest.mark.parametrize("name", APPLICATIONS)
def test_what_an_application_answers_ends_a_sentence(name: str) -> None:
    """Reports say "It answers …." of it, and `list` prints it beside others."""
    assert re.fullmatch(
        r"(which|what|whether|where|when|how) [^.\n]*\w", APPLICATIONS[name].answers
    )


def test_unknown_application_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'sentiment'"):
        catalogue.load("sentimental")
