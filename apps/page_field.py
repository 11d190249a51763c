"""The form fields of inputs on the browser page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

# The one input and the one output of an entry point at which a model tells of itself.
QUESTION, TOLD = "question", "told"


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


class WholeField(ABC):
    """One field from which all inputs of a request are made, and which shows the answers too.

    Args:
        about: the entry point that takes a text `question` and gives a text `told`: what the model
            says of itself, a JSON object with `config` and `seed` among its metadata.

    Attributes:
        signature: the entry point that takes what `requests` gives.
    """

    signature = "serving_default"

    def __init__(self, about: str) -> None:
        self.about = about

    @abstractmethod
    def make(self) -> Any:
        """The Gradio component."""

    @abstractmethod
    def requests(self, value: Any, given: Any, about: Mapping[str, Any]) -> WholeRequests:
        """What a client sends, made from the component's value.

        Args:
            value: of the component.
            given: the application's input, bound to the model's config.
            about: what the model says of itself.

        Raises:
            UserError: nothing was entered, or it cannot be read.
        """


class WholeRequests(ABC):
    """Requests made from one field.

    Attributes:
        rows: values by name of the input, a dict for each request.
    """

    rows: Sequence[Mapping[str, Any]]

    @abstractmethod
    def shown(self, answers: Sequence[Mapping[str, Any]]) -> str:
        """The answers as HTML in which texts of others are escaped."""
