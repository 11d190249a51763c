"""What is said while a test reads tables."""

from __future__ import annotations

import pytest
from panel_tables import SAID, Told


@pytest.fixture
def told() -> Told:
    """What was said, from the beginning of the test."""
    SAID.lines.clear()
    return SAID
