"""The page in a browser: it asks the server, shows what comes, and nothing leaves the machine."""

from __future__ import annotations

import io
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
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import soundfile
from client_servers import SIGNATURES, Arrays, ScriptedModel, Tensor, http_server

from apps.errors import UserError
from apps.serving.page import page, serve_page

CHROMIUM = shutil.which("chromium")
# One that beeps, and needs no leave.
MICROPHONE = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
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
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", *MICROPHONE]
        )
        yield browser
        browser.close()


def open_tab(browser: Any, **options: Any) -> Any:
    """A tab that gives up on what takes two minutes."""
    tab = browser.new_page(**options)
    tab.set_default_timeout(120_000)
    return tab


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
        tab = open_tab(browser, viewport={"width": 1100, "height": 700})
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
        tab = open_tab(browser)
        tab.goto(url)
        assert "UNAVAILABLE" in ask(tab, "yyyy", "No answer")
        tab.close()


def test_numbers_are_given_as_json(browser: Any) -> None:
    model = ScriptedModel()
    model.signatures = {"serving_default": model.signatures["pair"]}
    model.answers["serving_default"] = model.answers["pair"]
    with http_server(model) as server, page(server, model="toy") as url:
        tab = open_tab(browser)
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


RECORDING: dict[str, Tensor] = {"wav": ("DT_STRING", (-1,))}


class Listener(ScriptedModel):
    """Takes recordings, and keeps the samples and the rate of the last."""

    def __init__(self, outputs: dict[str, Tensor]) -> None:
        super().__init__()
        raw: dict[str, Tensor] = {"audio": ("DT_FLOAT", (-1, -1)), "lengths": ("DT_INT32", (-1,))}
        self.signatures = {"serving_default": (raw, outputs), "wav": (RECORDING, outputs)}
        self.answers = {"wav": self.heard}
        self.samples, self.rate = np.zeros(0, np.int16), 0

    def heard(self, inputs: Arrays) -> Arrays:
        content = io.BytesIO(inputs["wav"][0])
        assert soundfile.info(content).subtype == "PCM_16"
        content.seek(0)
        self.samples, self.rate = soundfile.read(content, dtype="int16")
        return self.answer_to(float(np.abs(self.samples).max(initial=0)) / 32768)

    def answer_to(self, peak: float) -> Arrays:
        raise NotImplementedError


class Spotter(Listener):
    """Says whether a recording is loud."""

    def __init__(self) -> None:
        super().__init__(SIGNATURES["serving_default"][1])

    def answer_to(self, peak: float) -> Arrays:
        return {
            "label": np.array([b"loud" if peak > 0.5 else b"quiet"], object),
            "labels": np.array([[b"quiet", b"loud"]], object),
            "probabilities": np.array([[1 - peak, peak]], np.float32),
        }


class Scribe(Listener):
    """Writes two words, whatever it hears."""

    def __init__(self) -> None:
        words: dict[str, Tensor] = {
            "text": ("DT_STRING", (-1,)),
            "words": ("DT_STRING", (-1, -1)),
            "starts": ("DT_FLOAT", (-1, -1)),
            "counts": ("DT_INT32", (-1,)),
        }
        super().__init__(words)

    def answer_to(self, peak: float) -> Arrays:
        return {
            "text": np.array([HOSTILE.encode()], object),
            "words": np.array([[b"well", b"said", b""]], object),
            "starts": np.array([[0.25, 0.75, 0.0]], np.float32),
            "counts": np.array([2], np.int32),
        }


def test_a_file_is_heard_and_so_is_a_microphone(browser: Any, tmp_path: Path) -> None:
    seconds = np.arange(4410) / 44100
    left = 0.8 * np.sin(2 * np.pi * 440 * seconds)
    stereo = np.stack([left, 0.5 * left], 1)
    soundfile.write(tmp_path / "tone.wav", stereo, 44100, subtype="FLOAT")
    model = Spotter()
    with http_server(model) as server, page(server, model="toy") as url:
        tab = open_tab(browser, viewport={"width": 1100, "height": 700})
        asked: list[str] = []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(url)
        tab.locator("input[type=file]").set_input_files(tmp_path / "tone.wav")
        tab.get_by_label("Clear").wait_for()
        tab.get_by_role("button", name="Ask").click()
        assert tab.get_by_test_id("label-output-value").inner_text().strip() == "loud"
        assert tab.get_by_label("Answered by").input_value().startswith("version 3 · ")
        assert model.rate == 44100
        np.testing.assert_allclose(model.samples / 32768, 0.75 * left, atol=1e-4)
        model.version = 4
        tab.get_by_label("Clear").click()
        tab.get_by_label("Record audio").click()
        tab.get_by_role("button", name="Record", exact=True).click()
        tab.wait_for_timeout(600)
        tab.get_by_role("button", name="Stop", exact=True).click()
        tab.get_by_label("Trim audio to selection").wait_for()
        tab.get_by_role("button", name="Ask").click()
        tab.wait_for_function(
            "field => field.value.startsWith('version 4')",
            arg=tab.get_by_label("Answered by").element_handle(),
        )
        assert len(model.samples) > 0
        tab.close()
    outside = {urlsplit(each).hostname for each in asked if not each.startswith(("data:", "blob:"))}
    assert outside == {"127.0.0.1"}


def test_a_transcript_is_plain_text_with_the_times_of_its_words_beside(
    browser: Any, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "speech.flac", np.zeros(800), 8000)
    (tmp_path / "no.wav").write_text("no sound at all")
    with http_server(Scribe()) as server, page(server, model="toy") as url:
        tab = open_tab(browser)
        tab.goto(url)
        tab.get_by_role("button", name="Ask").click()
        complaint = tab.get_by_label("No answer")
        complaint.wait_for()
        assert complaint.input_value().startswith("there is no recording yet")
        tab.locator("input[type=file]").set_input_files(tmp_path / "speech.flac")
        tab.get_by_label("Clear").wait_for()
        tab.get_by_role("button", name="Ask").click()
        tab.get_by_label("Answered by").wait_for()
        assert tab.get_by_label("Answer", exact=True).input_value() == HOSTILE
        assert "owned" not in tab.title()
        tab.get_by_text("The whole answer").click()
        tab.get_by_text("0.75").wait_for()
        tab.get_by_label("Clear").click()
        tab.locator("input[type=file]").set_input_files(tmp_path / "no.wav")
        tab.get_by_label("Clear").wait_for()
        tab.get_by_role("button", name="Ask").click()
        complaint.wait_for()
        assert complaint.input_value().startswith("no.wav is not audio that can be read")
        tab.close()


class Marker(ScriptedModel):
    """Marks the second word of any text, counted in code points."""

    def __init__(self) -> None:
        super().__init__()
        kinds = {"start": "DT_INT32", "end": "DT_INT32", "type": "DT_STRING", "score": "DT_FLOAT"}
        spans: dict[str, Tensor] = {f"spans_{name}": (d, (-1, -1)) for name, d in kinds.items()}
        raw: dict[str, Tensor] = {"text": ("DT_STRING", (-1,))}
        self.signatures = {"serving_default": (raw, {**spans, "spans_counts": ("DT_INT32", (-1,))})}
        self.answers = {"serving_default": self.marked}

    @staticmethod
    def marked(inputs: Arrays) -> Arrays:
        words: list[str] = inputs["text"][0].decode().split()
        first, second = [*words, "", ""][:2]
        start = len(first) + 1
        return {
            "spans_start": np.array([[start, 0]], np.int32),
            "spans_end": np.array([[start + len(second), 0]], np.int32),
            "spans_type": np.array([[b"person", b""]], object),
            "spans_score": np.array([[0.75, 0]], np.float32),
            "spans_counts": np.array([1 if second else 0], np.int32),
        }


def test_spans_are_marks_in_the_text_that_was_sent(browser: Any) -> None:
    with http_server(Marker()) as server, page(server, model="toy") as url:
        tab = open_tab(browser)
        tab.goto(url)
        ask(tab, f"🙂🙂 Ann <b>ran</b> {HOSTILE}")
        marked = tab.locator(".token.highlighted")
        marked.wait_for()
        assert marked.count() == 1
        assert marked.inner_text().casefold().split() == ["ann", "person"]
        assert "owned" not in tab.title()
        tab.get_by_text("The whole answer").click()
        tab.get_by_text("0.75").wait_for()
        tab.close()


def test_what_cannot_be_shown_is_refused(server: str, model: ScriptedModel) -> None:
    with pytest.raises(UserError, match="has no model 'boy'"):
        serve_page(server, model="boy")
    with pytest.raises(UserError, match=r"has none of .*sentiment.*; name its model"):
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
    command = [sys.executable, "-u", "-m", "apps", "page", server, "--model", "toy", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[2].rstrip(",")
        with urllib.request.urlopen(url) as answer:
            assert answer.status == 200
        for hidden in ("/docs", "/openapi.json"):
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(url + hidden)
        os.kill(process.pid, signal.SIGTERM)
        _, complaints = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 0
    assert complaints == ""
