"""Looks into a run from the command line: words, numbers, picture and page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import apps
from apps.__main__ import main
from apps.inspection.looking import look
from apps.inspection.page import page_of

TEXT = "the plot was not gripping"


def test_attributions_add_up_to_the_answer(run_of_reviews: Path) -> None:
    run = apps.load(run_of_reviews)
    mixture = run.application.adapted["mixture"]
    # However the parts were weighed on so few rows, the LSTM has a say here.
    mixture.shares.assign([0.7, 0.3])
    seen = look(run, [TEXT], points=50)
    assert list(seen.steps) == TEXT.split()
    assert seen.missing < 0.02
    assert seen.attribution is not None
    assert np.all(np.abs(seen.attribution) > 0)
    mixture.shares.assign([0.0, 1.0])
    idle = look(run, [TEXT], points=2)
    assert idle.attribution is not None
    assert not np.any(idle.attribution)
    assert "does not hang on what the LSTMs read" in page_of(idle, b"", "run")


def test_the_command_writes_a_picture_and_a_page(
    run_of_reviews: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "look.png"
    assert main(["inspect", str(run_of_reviews), TEXT, "--out", str(out)]) == 0
    assert capsys.readouterr().out.split() == [str(out), str(out.with_suffix(".html"))]
    assert out.read_bytes().startswith(b"\x89PNG")
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    for word in TEXT.split():
        assert f"<bdi>{word}</bdi>" in page
    assert f"What the gates did with <bdi>{TEXT}</bdi>" in page
    assert re.search(r"<dd>negative 0\.\d+, positive 0\.\d+</dd>", page)
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")
    before = out.read_bytes()
    assert main(["inspect", str(run_of_reviews), TEXT, "--out", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["steps"] == TEXT.split()
    assert len(found["layers"][0]["input"]) == len(found["steps"])
    assert out.read_bytes() == before


def test_what_cannot_be_looked_into_is_refused(
    run_of_reviews: Path, tmp_path: Path, refused: Callable[..., str]
) -> None:
    assert "ends in .png" in refused("inspect", run_of_reviews, TEXT, "--out", "look.pdf")
    place = tmp_path / "none" / "look.png"
    assert "there is no folder" in refused("inspect", run_of_reviews, TEXT, "--out", place)
    assert "no such run folder" in refused("inspect", tmp_path / "run", TEXT)
    assert not list(tmp_path.iterdir())


def test_hostile_words_stay_text(run_of_reviews: Path, tmp_path: Path) -> None:
    out = tmp_path / "look.png"
    text = "a $x$ & </span><script>alert(1)</script> 日本"
    assert main(["inspect", str(run_of_reviews), text, "--out", str(out)]) == 0
    assert "<script" not in out.with_suffix(".html").read_text(encoding="utf-8")
