"""The page with a clip: what is uploaded reaches the server as a list of JPEG files."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import footage
import numpy as np
import pytest
from client_servers import SIGNATURES, Arrays, ScriptedModel, Tensor, http_server
from PIL import Image

from apps.serving.page import page

CHROMIUM = shutil.which("chromium")
FILES: dict[str, Tensor] = {"jpeg": ("DT_STRING", (-1, -1))}


class Watcher(ScriptedModel):
    """Takes clips, and keeps the frames of the last."""

    def __init__(self) -> None:
        super().__init__()
        outputs = SIGNATURES["serving_default"][1]
        raw: dict[str, Tensor] = {
            "frames": ("DT_UINT8", (-1, -1, -1, -1, 3)),
            "lengths": ("DT_INT32", (-1,)),
        }
        self.signatures = {"serving_default": (raw, outputs), "jpeg": (FILES, outputs)}
        self.answers = {"jpeg": self.seen}
        self.frames = np.zeros(0)

    def seen(self, inputs: Arrays) -> Arrays:
        files = [Image.open(io.BytesIO(file)) for file in inputs["jpeg"][0]]
        assert {file.format for file in files} == {"JPEG"}
        self.frames = np.stack([np.asarray(file) for file in files])
        return {
            "label": np.array([b"wave"], object),
            "labels": np.array([[b"wave", b"nod"]], object),
            "probabilities": np.array([[0.8, 0.2]], np.float32),
        }


@pytest.fixture(scope="module")
def tab() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1100, "height": 900})
        tab.set_default_timeout(120_000)
        yield tab
        browser.close()


def test_a_clip_is_sent_as_frames_and_what_is_none_is_said(tab: Any, tmp_path: Path) -> None:
    clip = footage.write(tmp_path / "clip.mp4", footage.frames(16, 64, 48), fps=8)
    (tmp_path / "none.mp4").write_bytes(b"no video at all")
    model = Watcher()
    with http_server(model) as server, page(server, model="toy") as url:
        tab.goto(url)
        upload = tab.locator("input[type=file]")
        tab.get_by_role("button", name="Ask").click()
        line = tab.get_by_label("No answer")
        line.wait_for()
        assert line.input_value().startswith("there is no clip yet")
        upload.set_input_files(clip)
        tab.locator("video").wait_for()
        tab.get_by_role("button", name="Ask").click()
        tab.get_by_label("Answered by").wait_for()
        assert tab.get_by_test_id("label-output-value").inner_text().strip() == "wave"
        assert model.frames.shape == (32, 224, 224, 3)
        assert footage.numbers(model.frames) == [number // 2 for number in range(32)]
