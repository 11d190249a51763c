"""Commands that export, verify and serve, and the page that asks a server."""

from __future__ import annotations

import argparse
import os
from typing import Any

import apps
from apps import environment
from apps.errors import UserError

_EXACT = "float32"


def add_to(commands: Any) -> None:
    """Add the commands to the parser's subparsers."""
    export = commands.add_parser("export", help="write a SavedModel version, verified")
    export.add_argument("run", nargs="?", metavar="RUN")
    export.add_argument(
        "--to", default="saved_models", metavar="DIR", help="saved_models by default"
    )
    export.add_argument(
        "--onnx",
        nargs="?",
        const=_EXACT,
        metavar="KIND",
        help="also write assets.extra/model.onnx: float32 or int8",
    )
    export.add_argument(
        "--tflite",
        nargs="?",
        const=_EXACT,
        metavar="KIND",
        help="also write assets.extra/model.tflite: float32, float16 or int8",
    )
    export.add_argument(
        "--measure", metavar="SRC", help="rows on which the kinds of these files are measured"
    )
    export.set_defaults(run_command=_export)

    verify = commands.add_parser("verify", help="check that TensorFlow Serving can load a version")
    verify.add_argument("version", metavar="SAVED_MODEL")
    verify.set_defaults(run_command=_verify)

    serve = commands.add_parser(
        "serve", help="a local server that speaks TensorFlow Serving's protocol"
    )
    serve.add_argument("folder", nargs="?", default="saved_models", metavar="DIR")
    serve.add_argument("--host", default="127.0.0.1", help="127.0.0.1 by default")
    serve.add_argument("--port", type=_port, default=8500, help="gRPC; 8500 by default")
    serve.add_argument("--rest-port", type=_port, default=8501, help="REST; 8501 by default")
    serve.add_argument(
        "--no-batching", action="store_true", help="answer each request in a batch of its own"
    )
    serve.add_argument(
        "--poll-seconds", type=_positive, default=1.0, metavar="S", help="look for new versions"
    )
    serve.add_argument(
        "--max-request-mb", type=_positive, default=64.0, metavar="MB", help="refuse a larger one"
    )
    serve.add_argument(
        "--timeout-seconds", type=_positive, default=30.0, metavar="S", help="for one REST request"
    )
    serve.set_defaults(run_command=_serve)

    page = commands.add_parser("page", help="a page to try a served model in a browser")
    page.add_argument("server", metavar="URL", help="http://HOST:PORT or grpc://HOST:PORT")
    page.add_argument("--model", metavar="M", help="the server's first model by default")
    page.add_argument("--host", default="127.0.0.1", help="127.0.0.1 by default")
    page.add_argument("--port", type=_port, default=7860, help="7860 by default")
    page.set_defaults(run_command=_page)


def _export(options: argparse.Namespace) -> None:
    for name in ("onnx", "tflite"):
        # A run behind the option is no kind of numbers.
        if options.run is None and os.path.isdir(getattr(options, name) or ""):
            options.run = getattr(options, name)
            setattr(options, name, _EXACT)
    if options.run is None:
        raise UserError("export: name a run")
    given = {"onnx": options.onnx or False, "tflite": options.tflite, "measure": options.measure}
    print(apps.load(options.run).export(options.to, **given))


def _verify(options: argparse.Namespace) -> None:
    from apps.export.gate import verify

    verify(options.version, log=environment.say).require()
    print(options.version)


def _serve(options: argparse.Namespace) -> None:
    from apps.serving.server import serve

    serve(
        options.folder,
        host=options.host,
        port=options.port,
        rest_port=options.rest_port,
        batching=not options.no_batching,
        poll_s=options.poll_seconds,
        max_request_mb=options.max_request_mb,
        timeout_s=options.timeout_seconds,
    )


def _page(options: argparse.Namespace) -> None:
    from apps.serving.page import serve_page

    serve_page(options.server, model=options.model, host=options.host, port=options.port)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number < 65536:
        raise argparse.ArgumentTypeError(f"{text} is not a port; give 0 to 65535")
    return number


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise argparse.ArgumentTypeError(f"{text} is not positive")
    return number
