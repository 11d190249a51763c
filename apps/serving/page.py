"""A page on which a served model is tried in a browser."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from apps import catalogue
from apps.errors import UserError
from apps.serving.asking import TIMEOUT_S, asking_for
from apps.serving.client import CallError, Client, ModelMetadata

if TYPE_CHECKING:
    import gradio as gr

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

    asking = asking_for(client, metadata)

    def ask(*given: Any) -> tuple[Any, Any, Any]:
        try:
            newest = client.metadata(metadata.model, timeout_s=TIMEOUT_S).version
            rows, show = asking.read(given, newest)
            started = time.perf_counter()
            answers = asking.predict(rows, newest)
            spent = (time.perf_counter() - started) * 1000
        except (CallError, UserError) as error:
            failed = gr.update(label="No answer", value=f"{error}")
            return gr.update(value=None), failed, gr.update(value=None)
        line = f"version {newest} · {spent:.1f} ms · {client.url}"
        answered = gr.update(label="Answered by", value=line)
        return gr.update(value=show(answers)), answered, answers if answers[1:] else answers[0]

    with gr.Blocks(title=f"{metadata.model}: try it", analytics_enabled=False) as blocks:
        gr.Markdown(f"# {metadata.model}")
        with gr.Row():
            with gr.Column():
                made = asking.made()
                button = gr.Button("Ask", variant="primary")
            with gr.Column():
                shown = asking.answer()
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
