"""The tour: which commands it runs in which order, how it goes on, what it refuses, its page."""

from __future__ import annotations

import base64
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas
import pytest

import docs.tour_serving
import docs.tour_sources
import tuning
from apps.errors import UserError
from docs import tour
from docs.tour_sources import prepare
from docs.tour_steps import Source

HOSTILE = "<script>alert('x')</script> & not bad"
LABEL = "<b>good</b>"
Table = Callable[..., Path]


class Found(dict[str, Any]):
    """What a search has found."""

    def to_dict(self) -> dict[str, Any]:
        return dict(self)


class Commands:
    """Takes the place of the commands: writes what each would write, and notes it.

    Args:
        folder: of the tour.
        stop: raised in place of the command of that number.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.ran = folder, list[list[str]]()
        self.stop: dict[int, BaseException] = {}

    def run(self, words: Sequence[str], out: Path) -> None:
        self.ran.append(list(words))
        out.touch()
        if error := self.stop.pop(len(self.ran), None):
            raise error
        own, step = out.parent, out.stem
        if step == "train":
            self._finish(own / "run", 0.8)
        if step == "tune":
            self._finish(own / "search" / "final", 0.9)
            (own / "search" / "tuning.html").write_text(
                '<table id="trials"><tr><td><a href="#line-0">0000</a></td></tr></table>'
            )
        if step == "evaluate":
            figures = {"accuracy": 0.75, "interval": {"accuracy": [0.7, 0.8]}, "examples": 40}
            out.write_text(json.dumps({**figures, "baselines": {"majority": {"accuracy": 0.5}}}))
        if step == "export":
            (self.folder / "models" / own.name / "1").mkdir(parents=True)
        if step == "inspect":
            (own / "inspect.png").write_bytes(f"picture of {own.name}".encode())

    def _finish(self, run: Path, accuracy: float) -> None:
        run.mkdir(parents=True)
        (run / "metrics.json").write_text(json.dumps({"metrics": {"accuracy": accuracy}}))
        (run / "report.html").write_text(
            '<h2 id="a">Against &amp; more</h2><figure><svg id="m"><use href="#m"/></svg></figure>'
        )

    @property
    def told(self) -> list[str]:
        """Each command up to its first option, without the folder of the tour."""
        plain = [" ".join(itertools.takewhile(_is_plain, words[1:])) for words in self.ran]
        return [text.replace(f"{self.folder}/", "") for text in plain]


def _is_plain(word: str) -> bool:
    return not word.startswith("--")


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """A tour of two applications without training, reading or serving anything."""
    made = Commands(tmp_path / "tour")
    search: Any = {"objective": "accuracy", "maximise": True, "test": {"accuracy": 0.78}}

    def sources(wanted: dict[str, Any], folder: Path) -> list[Source]:
        found = []
        for name, (given, columns) in wanted.items():
            (folder / name).mkdir(parents=True)
            found.append(Source(name, given, given, given, columns, "", HOSTILE, LABEL))
        return found

    def ask(source: Source, version: Path, ports: Any, say: Any) -> None:
        assert len(ports) == 2
        answer = {"label": LABEL, "probabilities": {LABEL: 0.123456}}
        asked = {"curl": f"curl -d '{HOSTILE}'", "python": HOSTILE, "rest": answer, "grpc": answer}
        file = made.folder / source.application / "asked.json"
        file.write_text(json.dumps({**asked, "drawn": "<svg><text>x</text></svg>"}))

    @contextmanager
    def served(words: Sequence[str], *_: Any) -> Iterator[None]:
        made.ran.append(list(words))
        yield

    monkeypatch.setattr(tour, "run_step", made.run)
    monkeypatch.setattr(tuning, "load", lambda folder: Found(search))
    monkeypatch.setattr(docs.tour_sources, "prepare", sources)
    monkeypatch.setattr(docs.tour_serving, "ask", ask)
    monkeypatch.setattr(docs.tour_serving, "served", served)
    return made


def walked(folder: Path, *more: str) -> int:
    return tour.main(["--folder", str(folder), "--no-open", *more])


def test_order_of_commands(commands: Commands, capsys: pytest.CaptureFixture[str]) -> None:
    assert walked(commands.folder, "--only", "sentiment,keywords", "--minutes", "20") == 0
    assert commands.told == [
        "apps train sentiment",
        "apps evaluate sentiment/run",
        "tuning sentiment",
        "apps export sentiment/search/final",
        "apps inspect sentiment/search/final",
        "apps train keywords",
        "apps evaluate keywords/run",
        "tuning keywords",
        "apps export keywords/search/final",
        "apps inspect keywords/search/final",
        "apps serve models",
    ]
    shown = capsys.readouterr().out
    assert re.findall(r"\[(\d+) of 11;", shown) == [str(n) for n in range(1, 12)]
    assert "about 20.0 left" in shown
    assert shown.count("\n$ ") == 11
    assert shown.endswith(f"{commands.folder}/index.html\n")


def test_interrupted_tour_goes_on(
    commands: Commands, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands.stop[3] = KeyboardInterrupt()
    assert walked(commands.folder, "--only", "sentiment") == 130
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert f"--folder {commands.folder} --resume" in said[0]
    assert not (commands.folder / "index.html").exists()
    assert walked(commands.folder, "--resume") == 0
    assert commands.told[2:] == [
        "tuning sentiment",
        "tuning sentiment",
        "apps export sentiment/search/final",
        "apps inspect sentiment/search/final",
        "apps serve models",
    ]
    assert ["--resume" in words for words in commands.ran] == [False] * 3 + [True] + [False] * 3
    assert walked(commands.folder, "--resume") == 0
    assert len(commands.ran) == 7
    (commands.folder / "tour.json").unlink()
    assert walked(commands.folder, "--resume") == 2


def test_step_that_fails_ends_the_tour_with_its_line(
    commands: Commands, capsys: pytest.CaptureFixture[str]
) -> None:
    commands.stop[2] = UserError("rows.csv row 3: no label")
    assert walked(commands.folder, "--only", "sentiment") == 2
    assert capsys.readouterr().err == "error: rows.csv row 3: no label\n"
    assert len(commands.ran) == 2


def test_page_holds_every_picture_and_escapes_texts(commands: Commands) -> None:
    assert walked(commands.folder, "--only", "sentiment,keywords") == 0
    page = (commands.folder / "index.html").read_text(encoding="utf-8")
    assert "<script" not in page
    assert "<b>" not in page
    assert page.count("&lt;script&gt;") == 8  # input, REST, gRPC, command of inspect; twice
    assert "&lt;b&gt;good" in page
    assert "0.1235" in page
    for name in ("sentiment", "keywords"):
        picture = base64.b64encode(f"picture of {name}".encode()).decode()
        assert f"data:image/png;base64,{picture}" in page
        assert f'<svg id="{name}-m"><use href="#{name}-m"/></svg>' in page
        for link in (f"{name}/search/tuning.html", f"{name}/search/final/report.html"):
            assert f'href="{link}"' in page
    assert "Against &amp; more" in page
    assert page.count("<svg><text>x</text></svg>") == 2
    assert "<td>0000</td>" in page
    assert all(figure in page for figure in ("75.0", "78.0", "50.0", "70.0"))
    assert 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--texts", "nowhere.csv"], "nowhere.csv"),
        (["--texts", "reviews.csv", "--texts-columns", "text=body"], "no column 'body'"),
        (["--texts", "reviews.csv", "--texts-columns", "words=text"], "no column 'words'"),
        (["--recordings", "reviews.csv"], "no column 'audio'"),
        (["--series", "nowhere.csv"], "nowhere.csv"),
        (["--series", "reviews.csv"], "no column of numbers"),
        (["--only", "sentiment,actions"], "--only actions"),
        (["--minutes", "-1"], "--minutes -1"),
        (["--resume"], "--folder DIR"),
        (["--folder", ".", "--resume", "--texts", "reviews.csv"], "--texts"),
        (["--folder", "."], "not empty"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(
    arguments: list[str],
    complaint: str,
    table: Table,
    reviews: list[dict[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(table(reviews).parent)
    monkeypatch.setattr(tour, "run_step", lambda *_: pytest.fail("a command ran"))
    assert tour.main([*arguments, "--no-open"]) == 2
    complaints = [x for x in capfd.readouterr().err.splitlines() if x.startswith("error: ")]
    assert len(complaints) == 1
    assert complaint in complaints[0]
    assert [file.name for file in tmp_path.iterdir()] == ["reviews.csv"]


def test_own_rows_are_kept_back(
    table: Table, reviews: list[dict[str, str]], tmp_path: Path
) -> None:
    texts = table([{"body": row["text"], "stars": row["label"]} for row in reviews], "r.csv")
    days = pandas.date_range("2024-01-01", periods=200).strftime("%Y-%m-%d")
    series = table([{"day": day, "sold": n % 7} for n, day in enumerate(days)], "s.csv")
    for number in range(40):
        file = tmp_path / "words" / ("yes", "no")[number % 2] / f"{number}.wav"
        file.parent.mkdir(parents=True, exist_ok=True)
        with wave.open(str(file), "wb") as sound:
            sound.setparams((1, 2, 8000, 0, "NONE", ""))
            sound.writeframes(bytes(range(200)) * (10 + number))
    wanted = {
        "sentiment": (str(texts), "text=body,label=stars"),
        "keywords": (str(tmp_path / "words"), ""),
        "forecasting": (str(series), "time=day,target=sold"),
    }
    first, second, third = prepare(wanted, tmp_path / "tour")
    sides = [
        [json.loads(line)["text"] for line in Path(side).read_text().splitlines()]
        for side in (first.data, first.held)
    ]
    assert sorted(sides[0] + sides[1]) == sorted(row["text"] for row in reviews)
    assert len(sides[1]) == 24
    assert first.input in sides[1]
    sounds = [Path(side).read_text().splitlines()[1:] for side in (second.data, second.held)]
    assert [len(side) for side in sounds] == [32, 8]
    assert not set(sounds[0]) & set(sounds[1])
    assert Path(second.input).is_file()
    assert (third.data, third.held, third.input) == (str(series),) * 3
    assert third.until.startswith(days[160])


def test_a_command_is_shown_as_it_goes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = "import sys; print('answer'); sys.stderr.write('one\\n 5%|# |\\rtwo\\n')"
    tour.run_step(["-c", code], tmp_path / "step.out")
    assert capsys.readouterr().out == "    one\n    two\n"
    assert (tmp_path / "step.out").read_text() == "answer\n"
    assert (tmp_path / "step.log").read_text() == "one\ntwo\n"
    code = "import sys; sys.stderr.write('begun\\nerror: no such row\\n'); sys.exit(2)"
    with pytest.raises(UserError, match=r"^no such row$"):
        tour.run_step(["-c", code], tmp_path / "step.out")
    assert capsys.readouterr().out == "    begun\n"


def test_ctrl_c_reaches_the_command_once(tmp_path: Path) -> None:
    """The command writes what it has to, and only then the tour ends."""
    code = (
        "import pathlib, sys, time\nfile = pathlib.Path(sys.argv[1])\n"
        "try:\n    print('on', file=sys.stderr, flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.5)\n    file.write_text('kept')\n"
    )
    kept = tmp_path / "kept"
    outer = (
        "import signal, sys\nfrom pathlib import Path\nfrom docs import tour\n"
        "signal.signal(signal.SIGINT, tour._interrupted)\n"
        "try:\n    tour.run_step(['-c', sys.argv[1], sys.argv[2]], Path(sys.argv[3]))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", outer, code, str(kept), str(tmp_path / "step.out")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=tour.ROOT,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "    on\n"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert kept.read_text() == "kept"


@pytest.mark.skipif(
    "APPS_TOUR" not in os.environ, reason="two minutes on a busy machine; APPS_TOUR=1 walks"
)
def test_real_walk(tmp_path: Path) -> None:
    words = ["docs/tour.py", "--only", "forecasting", "--minutes", "0.5", "--no-open"]
    folder = tmp_path / "tour"
    done = subprocess.run(
        [sys.executable, *words, "--folder", str(folder)],
        capture_output=True,
        text=True,
        cwd=tour.ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    asked = json.loads((folder / "forecasting" / "asked.json").read_text())
    assert asked["rest"]["forecast"] == pytest.approx(asked["grpc"]["forecast"])
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert page.count("<svg") > 10
    links = re.findall(r'href="([^"#:]+)"', page)
    assert links
    assert all((folder / link).is_file() for link in links)
