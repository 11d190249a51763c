"""The page in a browser: it asks the server, shows what comes, and nothing leaves the machine."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import pytest
from client_servers import ScriptedModel, http_server

from apps.errors import UserError
from apps.serving.page import page, serve_page

CHROMIUM = shutil.which("chromium")
HOSTILE = "<img src=x onerror=\"document.title='owned'\"> y"


@pytest.fixture(scope="module")
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture(scope="module")
def server(model: ScriptedModel) -> Iterator[str]:
    with http_server(model) as url:
        yield url


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def ask(tab: Any, text: str, label: str = "Answered by") -> str:
    """Type a text and click; gives the line under the answer."""
    tab.get_by_label("text").fill(text)
    tab.get_by_role("button", name="Ask").click()
    line = tab.get_by_label(label)
    line.wait_for()
    tab.wait_for_function("field => field.value !== ''", arg=line.element_handle())
    return line.input_value()


def test_a_text_gets_its_label_and_nothing_is_asked_of_the_internet(
    browser: Any, server: str, model: ScriptedModel
) -> None:
    with page(server, model="toy") as url:
        tab = browser.new_page(viewport={"width": 1100, "height": 700})
        asked: list[str] = []
        said: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(url)
        line = ask(tab, "yyyy")
        assert line.startswith("version 3 · ")
        assert line.endswith(f" ms · {server}")
        assert tab.get_by_test_id("label-output-value").inner_text().strip() == "positive"
        assert "100%" in tab.get_by_text("100%").first.inner_text()
        model.version = 4
        tab.get_by_label("text").fill(HOSTILE)
        tab.get_by_role("button", name="Ask").click()
        tab.wait_for_function(
            "field => field.value.startsWith('version 4')",
            arg=tab.get_by_label("Answered by").element_handle(),
        )
        assert tab.get_by_test_id("label-output-value").inner_text().strip() == "negative"
        assert "owned" not in tab.title()
        tab.set_viewport_size({"width": 360, "height": 800})
        assert tab.evaluate("document.documentElement.scrollWidth") <= 360
        tab.close()
    outside = {urlsplit(each).hostname for each in asked if not each.startswith(("data:", "blob:"))}
    assert outside == {"127.0.0.1"}
    assert said == []


def test_a_server_that_goes_away_is_said_so(browser: Any) -> None:
    with ExitStack() as opened:
        with http_server(ScriptedModel()) as server:
            url = opened.enter_context(page(server, model="toy"))
        tab = browser.new_page()
        tab.goto(url)
        assert "UNAVAILABLE" in ask(tab, "yyyy", "No answer")
        tab.close()


def test_numbers_are_given_as_json(browser: Any) -> None:
    model = ScriptedModel()
    model.signatures = {"serving_default": model.signatures["pair"]}
    model.answers["serving_default"] = model.answers["pair"]
    with http_server(model) as server, page(server, model="toy") as url:
        tab = browser.new_page()
        tab.goto(url)
        tab.get_by_label("count, as JSON").fill("3")
        tab.get_by_label("window, as JSON").fill("[1, ")
        tab.get_by_role("button", name="Ask").click()
        complaint = tab.get_by_label("No answer")
        complaint.wait_for()
        assert complaint.input_value().startswith("window: this is not JSON")
        tab.get_by_label("window, as JSON").fill("[1, 2.5]")
        tab.get_by_role("button", name="Ask").click()
        tab.get_by_label("Answered by").wait_for()
        tab.get_by_text("The whole answer").click()
        tab.get_by_text("6.5").wait_for()
        tab.close()


def test_what_cannot_be_shown_is_refused(server: str, model: ScriptedModel) -> None:
    with pytest.raises(UserError, match="has no model 'boy'"):
        serve_page(server, model="boy")
    with pytest.raises(UserError, match=r"has none of sentiment.*; name its model"):
        serve_page(server)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=rf"port {port} .* name another"):
            serve_page(server, model="toy", port=port)
        with pytest.raises(UserError, match="is a server running there"):
            serve_page(f"http://127.0.0.1:{port + 1 if port < 65535 else port - 1}", model="toy")


def test_sigterm_ends_it_in_order(server: str) -> None:
    code = (
        "import sys; from apps.serving.page import serve_page; "
        f"serve_page({server!r}, model='toy', port=0, log=lambda line: print(line, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        for hidden in ("/docs", "/openapi.json"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(url + hidden)
        os.kill(process.pid, signal.SIGTERM)
        _, complaints = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0
    assert complaints == ""
