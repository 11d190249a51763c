"""One server with every model of the tour, each asked over REST and over gRPC."""

from __future__ import annotations

import base64
import json
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps import catalogue, strict_json
from apps.atomic import write_atomically
from apps.errors import UserError
from apps.export.versions import about_version
from apps.page_field import PageField, WholeField
from apps.serving import CallError, Client
from docs.tour_steps import Source

ASKED = "asked.json"
_DEFAULT = "serving_default"
_LOADING_S = 240.0
# A longer request is read from its file.
_SHORT = 300


@dataclass(frozen=True)
class Asked:
    """A request and its answers.

    Attributes:
        curl: the REST request as a shell takes it.
        python: the gRPC request as Python takes it.
        rest, grpc: the first answer over each.
        drawn: the answer as markup, where the input can draw it.
    """

    curl: str
    python: str
    rest: Any
    grpc: Any
    drawn: str


def free_ports() -> tuple[int, int]:
    """Two ports of this machine that nobody listens on."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


@contextmanager
def served(
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    say: Callable[[str], object],
) -> Iterator[None]:
    """The server of a command line, while the block lasts; SIGTERM ends it.

    Args:
        words: after the name of Python.
        log: gets its errors.
        environment: of the process.
        say: is told what it says until it serves.

    Raises:
        UserError: it did not begin, or did not end cleanly.
    """
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                say(f"    {line.rstrip()}")
                if line.startswith("serving "):
                    break
            else:
                said = log.read_text(encoding="utf-8").strip().splitlines()
                raise UserError((said or ["it ended"])[-1].removeprefix("error: "))
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
    if process.returncode != 0:
        raise UserError(f"the server ended with exit code {process.returncode}; see {log}")


def ask(
    source: Source, version: Path, ports: tuple[int, int], say: Callable[[str], object]
) -> None:
    """Ask a served model over REST and gRPC, and keep what it answered beside its other files.

    Args:
        source: says what is asked.
        version: of the SavedModel that is served.
        ports: of gRPC and REST.
        say: is told the requests and the answers.

    Raises:
        UserError: the server has refused.
    """
    application, folder = source.application, version.parents[2] / source.application
    row, signature, drawn = _question(source, version)
    entry = {} if signature == _DEFAULT else {"signature_name": signature}
    text = strict_json.dumps(_plain({**entry, "instances": [row]}))
    file = folder / "request.json"
    write_atomically(file, lambda stream: stream.write(text.encode()))
    url = f"http://127.0.0.1:{ports[1]}/v1/models/{application}:predict"
    curl = shlex.join(["curl", "-d", text if len(text) <= _SHORT else f"@{file}", url])
    say(f"$ {curl}")
    try:
        with Client(f"grpc://127.0.0.1:{ports[0]}") as client:
            _await(client, application)
            rest = _posted(url, text.encode())["predictions"][0]
            say(_excerpt(rest))
            python = _snippet(source, ports[0], row, signature, file)
            say(f">>> {python}")
            grpc = client.predict([row], application, signature=signature, timeout_s=60)[0]
            say(_excerpt(grpc))
    except (CallError, urllib.error.URLError) as error:
        raise UserError(f"{application}: the server does not answer ({error})") from None
    found = asdict(Asked(curl, python, rest, grpc, drawn([grpc])))
    content = strict_json.dumps(found, indent=1).encode()
    write_atomically(folder / ASKED, lambda stream: stream.write(content))


def _question(source: Source, version: Path) -> tuple[Any, str, Callable[[Sequence[Any]], str]]:
    """What is sent, the entry point that takes it, and what draws the answers."""
    kind, about = catalogue.load(source.application), about_version(version)
    field = kind.input.page_field
    if isinstance(field, WholeField):
        given = kind.input.bound(kind.Config.from_values(about["config"]), about["seed"], {})
        made = field.requests(source.input, given, about)
        return made.rows[0], field.signature, made.shown
    if isinstance(field, PageField):
        return field.read("", source.input), field.signature, lambda answers: ""
    return source.input, _DEFAULT, lambda answers: ""


def _await(client: Client, model: str) -> None:
    """Wait until a version of the model answers."""
    end = time.monotonic() + _LOADING_S
    while True:
        try:
            states = client.status(model)
        except CallError as error:
            if error.code != "NOT_FOUND" or time.monotonic() > end:
                raise
            states = []
        if any(one.state == "AVAILABLE" for one in states):
            return
        if time.monotonic() > end or any(one.error_message for one in states):
            said = "; ".join(one.error_message for one in states)
            raise UserError(f"{model}: the server has not loaded it ({said or 'it waits'})")
        time.sleep(0.5)


def _posted(url: str, body: bytes) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _snippet(source: Source, port: int, row: Any, signature: str, file: Path) -> str:
    rows = f"json.load(open({str(file)!r}))['instances']"
    if isinstance(row, str):
        rows = f"[{row!r}]"
    elif isinstance(row, bytes):
        rows = f"[open({source.input!r}, 'rb').read()]"
    entry = "" if signature == _DEFAULT else f", signature={signature!r}"
    asked = f"predict({rows}, model={source.application!r}{entry})"
    return f"Client('grpc://127.0.0.1:{port}').{asked}"


def _plain(value: Any) -> Any:
    """Arrays as lists and bytes in base64, as REST takes them."""
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _excerpt(value: Any, limit: int = 300) -> str:
    text = strict_json.dumps(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
