"""What the page has entered, sends to the server, and shows of the answers."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from apps import catalogue
from apps.errors import UserError
from apps.page_field import QUESTION, TOLD, PageField, WholeField
from apps.serving.client import Client, ModelMetadata, TensorSpec

if TYPE_CHECKING:
    import gradio as gr

Rows = Sequence[Mapping[str, Any]]
Show = Callable[[Sequence[Mapping[str, Any]]], Any]

TIMEOUT_S = 30.0
_SIGNATURE = "serving_default"
_MOST_BARS = 5
# Fields of an answer that are shown as marks in the text.
_SPANS = {"start", "end", "type"}


def asking_for(client: Client, metadata: ModelMetadata) -> Asking:
    """How a model is asked.

    Args:
        client: of its server.
        metadata: of the model.
    """
    kind = _kind(metadata)
    if kind and _tells(kind.input.page_field, metadata):
        return _AskingWhole(kind, client, metadata)
    return _AskingEach(kind, client, metadata)


class Asking(ABC):
    """What is entered, sent and shown.

    Args:
        kind: the application, None where it is not known.
        client: of the server.
        metadata: of the model.
    """

    signature = _SIGNATURE

    def __init__(self, kind: Any, client: Client, metadata: ModelMetadata) -> None:
        self.kind, self._client, self._metadata = kind, client, metadata

    @abstractmethod
    def made(self) -> list[gr.Component]:
        """The components of what is entered."""

    @abstractmethod
    def answer(self) -> gr.Component:
        """The component of the answer."""

    @abstractmethod
    def read(self, given: Sequence[Any], version: int) -> tuple[Rows, Show]:
        """What is sent, and a function from answers to the value of their component.

        Raises:
            CallError: the server does not tell what has to be known.
            UserError: what was entered cannot be sent.
        """

    def predict(self, rows: Rows, version: int, signature: str = "") -> list[dict[str, Any]]:
        """The answers of an entry point, `signature` unless another one is named."""
        entry = signature or self.signature
        chosen: Any = {"version": version, "signature": entry, "timeout_s": TIMEOUT_S}
        return self._client.predict(rows, self._metadata.model, **chosen)


class _AskingEach(Asking):
    """A field for each input."""

    def __init__(self, kind: Any, client: Client, metadata: ModelMetadata) -> None:
        super().__init__(kind, client, metadata)
        own = kind.input.page_field if kind else None
        if isinstance(own, PageField) and own.signature in metadata.signatures:
            self.signature = own.signature
        taken = metadata.signature(self.signature)
        self._fields: dict[str, PageField] = {
            name: own
            if isinstance(own, PageField) and own.signature == self.signature
            else _field(spec)
            for name, spec in taken.inputs.items()
        }
        self._headline = kind.task.headline if kind else ""
        shown = taken.outputs.get(self._headline)
        self._in_words = shown is not None and shown.dtype == np.object_
        named = {name.removeprefix(f"{self._headline}_") for name in taken.outputs}
        self._marked = named >= _SPANS

    def made(self) -> list[gr.Component]:
        return [field.make(name) for name, field in self._fields.items()]

    def answer(self) -> gr.Component:
        import gradio as gr

        if self._marked:
            return gr.HighlightedText(label="Answer", show_inline_category=True)
        if self._in_words:
            return gr.Textbox(label="Answer", lines=4, interactive=False)
        return gr.Label(label="Answer", num_top_classes=_MOST_BARS)

    def read(self, given: Sequence[Any], version: int) -> tuple[Rows, Show]:
        pairs = zip(self._fields.items(), given, strict=True)
        row = {name: field.read(name, value) for (name, field), value in pairs}

        def show(answers: Sequence[Mapping[str, Any]]) -> Any:
            value = answers[0].get(self._headline)
            return _marked(next(iter(row.values())), value or []) if self._marked else value

        return [row], show


class _AskingWhole(Asking):
    """One field for all inputs, made into requests by what the model says of itself."""

    def __init__(self, kind: Any, client: Client, metadata: ModelMetadata) -> None:
        super().__init__(kind, client, metadata)
        self._field: WholeField = kind.input.page_field
        self.signature = self._field.signature

    def made(self) -> list[gr.Component]:
        return [self._field.make()]

    def answer(self) -> gr.Component:
        import gradio as gr

        return gr.HTML(label="Answer", apply_default_css=False)

    def read(self, given: Sequence[Any], version: int) -> tuple[Rows, Show]:
        told = self.predict([{QUESTION: ""}], version, self._field.about)[0][TOLD]
        about = json.loads(told)
        config = self.kind.Config.from_values(about["config"])
        bound = self.kind.input.bound(config, about["seed"], {})
        made = self._field.requests(given[0], bound, about)
        return made.rows, made.shown


def _marked(text: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    """A text and its spans as Gradio's `HighlightedText` takes them."""
    entities = [{"entity": s["type"], "start": s["start"], "end": s["end"]} for s in spans]
    return {"text": text, "entities": entities}


def _field(spec: TensorSpec) -> PageField:
    """What an input is typed into, of a model of which only the signature is known."""
    plain = spec.shape is not None and len(spec.shape) == 1
    return _TextField() if spec.dtype == np.object_ and plain else _JsonField()


def _kind(metadata: ModelMetadata) -> Any:
    """The application that a model is of, by its name or by its signatures; None if it is of none.

    A model may be served under any name. Of applications that fit, those with a field of their own
    come first.
    """
    if metadata.model in catalogue.APPLICATIONS:
        return catalogue.load(metadata.model)
    kinds = sorted(
        map(catalogue.load, catalogue.APPLICATIONS), key=lambda kind: kind.input.page_field is None
    )
    for kind in kinds:
        field = kind.input.page_field
        if isinstance(field, WholeField):
            if _tells(field, metadata):
                return kind
            continue
        name = field.signature if field else _SIGNATURE
        given = metadata.signatures.get(name)
        headline = kind.task.headline
        if given and any(o == headline or o.startswith(f"{headline}_") for o in given.outputs):
            return kind
    return None


def _tells(field: Any, metadata: ModelMetadata) -> bool:
    """Whether it is one field for all inputs, and the model tells of itself what it needs."""
    return isinstance(field, WholeField) and {field.signature, field.about} <= set(
        metadata.signatures
    )


class _TextField(PageField):
    def make(self, name: str) -> Any:
        import gradio as gr

        return gr.Textbox(
            label=name, lines=4, max_lines=12, placeholder="Type here", autofocus=True
        )

    def read(self, name: str, value: Any) -> str:
        return value or ""


class _JsonField(PageField):
    def make(self, name: str) -> Any:
        import gradio as gr

        label = f"{name}, as JSON"
        return gr.Textbox(label=label, lines=4, max_lines=12, placeholder="[0.1, 0.2]")

    def read(self, name: str, value: Any) -> Any:
        try:
            return json.loads(value or "")
        except ValueError as error:
            raise UserError(f"{name}: this is not JSON ({error})") from None
