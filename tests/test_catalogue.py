"""The catalogue leads to applications that keep their names."""

import pytest

from apps import APPLICATIONS, UserError, catalogue
from apps.application import Application


@pytest.mark.parametrize("name", APPLICATIONS)
def test_entries_lead_to_applications(name: str) -> None:
    kind = catalogue.load(name)
    assert issubclass(kind, Application)
    assert kind.name == name
    assert set(kind.inputs) <= set(kind.columns)
    assert APPLICATIONS[name].answers


def test_unknown_application_is_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'sentiment'"):
        catalogue.load("sentimental")
