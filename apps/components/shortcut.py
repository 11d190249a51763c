"""A way around layers that do not learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import keras

from apps.data import View


class Shortcut(NamedTuple):
    """What training and validation take while some layers stay as they are.

    What those layers give is computed once and kept, so that later epochs cost little.

    Attributes:
        model: from what the layers give to the outputs; it shares all layers that learn with the
            application's model.
        view: makes a view whose arrays it takes of one for the application's model.
    """

    model: keras.Model
    view: Callable[[View], View]
