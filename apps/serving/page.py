"""A page on which a served model is tried in a browser."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from apps import catalogue
from apps.errors import UserError
from apps.page_field import PageField
from apps.serving.client import CallError, Client, ModelMetadata, TensorSpec

if TYPE_CHECKING:
    import gradio as gr

_SIGNATURE = "serving_default"
_TIMEOUT_S = 30.0
_MOST_BARS = 5
# Fields of an answer that are shown as marks in the text.
_SPANS = {"start", "end", "type"}
_WIDTH = (
    ".gradio-container { width: 100%; max-width: 60rem !important; margin: 0 auto !important; }"
)


def serve_page(
    server_url: str,
    *,
    model: str | None = None,
    host: str = "127.0.0.1",
    port: int = 7860,
    log: Callable[[str], object] = print,
) -> None:
    """Serve the page until SIGTERM or Ctrl-C.

    Args:
        server_url: a running server, TensorFlow Serving or the local one, as `Client` takes it.
        model: the name under which the server has the model; the first of this package's
            applications that it has, unless given.
        host: where the page listens; it asks nobody for a password.
        port: its port; 0 for any free one.
        log: gets one line when the page can be opened.

    Raises:
        UserError: the server does not answer or has no such model, or the port is taken.
    """
    stop = threading.Event()
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in signals}
    try:
        with page(server_url, model=model, host=host, port=port) as url:
            log(f"page on {url}, asking {server_url}")
            stop.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def page(
    server_url: str, *, model: str | None = None, host: str = "127.0.0.1", port: int = 0
) -> Iterator[str]:
    """The page, served while the context lasts; gives its URL.

    Raises:
        UserError: the server does not answer or has no such model, or the port is taken.
    """
    with Client(server_url, attempts=2) as client:
        metadata = _described(client, model)
        blocks = _blocks(client, metadata)
        chosen = port or _free_port(host)
        try:
            blocks.launch(
                server_name=host,
                server_port=chosen,
                prevent_thread_lock=True,
                quiet=True,
                share=False,
                ssr_mode=False,
                enable_monitoring=False,
                footer_links=[],
                app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
                theme=_theme(),
                css=_WIDTH,
            )
        except OSError:
            raise UserError(f"port {chosen} on {host} cannot be used; name another one") from None
        try:
            yield f"http://{host}:{chosen}"
        finally:
            blocks.close(verbose=False)


def _described(client: Client, model: str | None) -> ModelMetadata:
    """The model to show, as its server describes it."""
    names = [model] if model else list(catalogue.APPLICATIONS)
    for name in names:
        try:
            return client.metadata(name)
        except CallError as error:
            if error.code != "NOT_FOUND":
                raise UserError(
                    f"{client.url}: no answer ({error}); is a server running there?"
                ) from None
    raise UserError(
        f"{client.url}: the server has no model '{model}'"
        if model
        else f"{client.url}: the server has none of {', '.join(names)}; name its model"
    )


def _blocks(client: Client, metadata: ModelMetadata) -> gr.Blocks:
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio as gr

    kind = _kind(metadata)
    own = kind.input.page_field if kind else None
    called = own.signature if own and own.signature in metadata.signatures else _SIGNATURE
    signature = metadata.signature(called)
    fields = {
        name: own if own and own.signature == called else _field(spec)
        for name, spec in signature.inputs.items()
    }
    headline = kind.task.headline if kind else ""
    in_words = headline in signature.outputs and signature.outputs[headline].dtype == np.object_
    marked = {name.removeprefix(f"{headline}_") for name in signature.outputs} >= _SPANS

    def ask(*given: Any) -> tuple[Any, Any, Any]:
        try:
            named = {
                name: field.read(name, value)
                for (name, field), value in zip(fields.items(), given, strict=True)
            }
            newest = client.metadata(metadata.model, timeout_s=_TIMEOUT_S)
            started = time.perf_counter()
            answer = client.predict(
                [named],
                metadata.model,
                version=newest.version,
                signature=called,
                timeout_s=_TIMEOUT_S,
            )[0]
            spent = (time.perf_counter() - started) * 1000
        except (CallError, UserError) as error:
            failed = gr.update(label="No answer", value=f"{error}")
            return gr.update(value=None), failed, gr.update(value=None)
        value = answer.get(headline)
        if marked:
            value = _marked(next(iter(named.values())), value or [])
        line = f"version {newest.version} · {spent:.1f} ms · {client.url}"
        answered = gr.update(label="Answered by", value=line)
        return gr.update(value=value), answered, answer

    with gr.Blocks(title=f"{metadata.model}: try it", analytics_enabled=False) as blocks:
        gr.Markdown(f"# {metadata.model}")
        with gr.Row():
            with gr.Column():
                made = [field.make(name) for name, field in fields.items()]
                button = gr.Button("Ask", variant="primary")
            with gr.Column():
                shown: gr.Component
                if marked:
                    shown = gr.HighlightedText(label="Answer", show_inline_category=True)
                elif in_words:
                    shown = gr.Textbox(label="Answer", lines=4, interactive=False)
                else:
                    shown = gr.Label(label="Answer", num_top_classes=_MOST_BARS)
                line = gr.Textbox(label="Answered by", interactive=False)
                with gr.Accordion("The whole answer", open=False):
                    whole = gr.JSON(show_label=False)
        typed = [field for field in made if isinstance(field, gr.Textbox)]
        gr.on(
            [button.click, *(field.submit for field in typed)],
            ask,
            made,
            [shown, line, whole],
            api_visibility="private",
            concurrency_limit=8,
        )
    return blocks


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
        name = field.signature if field else _SIGNATURE
        given = metadata.signatures.get(name)
        headline = kind.task.headline
        if given and any(o == headline or o.startswith(f"{headline}_") for o in given.outputs):
            return kind
    return None


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


def _theme() -> Any:
    import gradio as gr

    return gr.themes.Default(
        primary_hue="indigo",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(button_primary_background_fill="*primary_600")


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
