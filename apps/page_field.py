"""The form field of an input on the browser page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any


class PageField(ABC):
    """The field that the browser page shows for an input.

    Attributes:
        signature: the entry point that takes what `read` gives.
    """

    signature = "serving_default"

    @abstractmethod
    def make(self, name: str) -> Any:
        """The Gradio component for an input of that name."""

    @abstractmethod
    def read(self, name: str, value: Any) -> Any:
        """The value that a client sends, made from the component's value.

        Raises:
            UserError: nothing was entered, or it cannot be read.
        """
