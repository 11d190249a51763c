"""What holds for every stack that an application may have."""

from __future__ import annotations

import numpy as np
import pytest
from asked import stepped, streamed

from apps import catalogue
from apps.errors import UserError


@pytest.mark.parametrize("stack", ["transformer", "ssm"])
def test_another_stack_streams_as_lstms_do(stack: str) -> None:
    kind = catalogue.load("keywords")
    tiny = kind.tiny()
    application = kind(kind.Config.from_values({**tiny.settings, "stack": stack}), 0)
    units = application.input.units(application.check(tiny.examples, learning=True))
    application.compose(units)
    raw = application.raw(units.select([0]))
    size = raw["audio"].shape[1]
    whole = streamed(stepped(application), raw, [0, size])
    parts = streamed(stepped(application), raw, [0, 1, 700, 701, 5000, size])
    assert set(parts) == set(whole)
    for name, value in whole.items():
        if np.asarray(value).dtype.kind == "f":
            np.testing.assert_allclose(parts[name], value, atol=1e-5)
        else:
            assert parts[name] == value


def test_chrono_is_refused_where_there_are_no_lstms() -> None:
    config = catalogue.load("sentiment").Config
    assert config.from_values({"chrono": "500"}).chrono == 500
    with pytest.raises(UserError, match="chrono=500: is for LSTMs, not for stack=gru"):
        config.from_values({"chrono": "500", "stack": "gru"})
