"""The page of a search: what it says, at any stage and whatever the trials were."""

from __future__ import annotations

import dataclasses
import html.parser
import re
from pathlib import Path
from typing import Any

import pytest
from searches import (
    HOSTILE,
    OUT_OF_MEMORY,
    best_of,
    default_of,
    ended,
    fail,
    final,
    rows,
    searching,
    settings,
)

from tuning.record import DEFAULT, SearchRecord
from tuning.report.columns import axis, columns, read_range, searched
from tuning.report.page import write_page
from tuning.report.parallel import parallel_coordinates
from tuning.report.verdict import judge


class Page(html.parser.HTMLParser):
    """Text, tags and identifiers of a page."""

    def __init__(self, record: SearchRecord, folder: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.pieces: list[str] = []
        self.source = write_page(record, folder / "tuning.html").read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.pieces.append(" ")

    def handle_data(self, data: str) -> None:
        if not self.tags or self.tags[-1][0] not in ("style", "script"):
            self.pieces.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.pieces).replace("\u202f", " ").split())

    @property
    def identifiers(self) -> list[str]:
        return [attributes["id"] or "" for _, attributes in self.tags if "id" in attributes]

    @property
    def badge(self) -> str:
        """The outcome that the page shows."""
        classes = [attributes.get("class") or "" for _, attributes in self.tags]
        return next(text for text in classes if text.startswith("badge ")).removeprefix("badge ")

    def count(self, tag: str) -> int:
        return sum(name == tag for name, _ in self.tags)


@pytest.fixture
def page(tmp_path: Path) -> Any:
    return lambda record: Page(record, tmp_path)


def test_a_search_that_is_over(page: Any, tmp_path: Path) -> None:
    record = ended()
    shown = page(record)
    winner, default = record.finals[0], default_of(record)
    assert shown.badge == judge(record).outcome == "better"
    for expected in (
        f"{100 * winner.mean:.2f} %",
        f"{100 * (winner.mean - default.mean):.2f} points",
        "0.10 points",
        "83.60 %",
        "Accuracy 83.6 % 82.0 % to 85.0 % 79.0 %",
        f"2: {OUT_OF_MEMORY} at step 7 0007, 0018",
        f"python -m apps predict {tmp_path / 'final'}",
        "python -m tuning sentiment --data 'my reviews.csv' --algorithm bayesian",
        "--budget latency_ms=20",
        "--fix ngrams=3",
        "0.0003:0.01:log",
    ):
        assert expected in shown.text, expected
    sections = {"leaderboard", "finals", "test", "time", "parallel", "importance", "pareto"}
    assert sections | {"failures", "use", "search"} < set(shown.identifiers)
    assert len(set(shown.identifiers)) == len(shown.identifiers)
    for row in record.trials:
        assert f"trial-{row.id}" in shown.identifiers
        assert f"line-{row.id}" in shown.identifiers


def test_the_winners_settings_can_be_typed_in_again(page: Any) -> None:
    record = ended()
    winner = record.best or {}
    widths = winner["values"]["units"]
    typed = ",".join(map(str, widths)) if isinstance(widths, list) else str(widths)
    text = page(record).text
    assert f"--set=units={typed}" in text
    assert f"--set=learning_rate={winner['values']['learning_rate']}" in text
    assert f"--set=bidirectional={str(winner['values']['bidirectional']).lower()}" in text


def test_a_search_that_goes_on(page: Any) -> None:
    record = searching(rows(12))
    running = dataclasses.replace(record.trials[-1], status="RUNNING", score=None, ended=None)
    shown = page(dataclasses.replace(record, trials=(*record.trials[:-1], running)))
    best = record.best or {}
    assert shown.badge == "unknown"
    assert f"{100 * best['score']:.2f} %" in shown.text
    assert f"trial {best['id']}" in shown.text
    assert "0011 running" in shown.text
    assert "apps predict" not in shown.text


def test_before_the_first_trial_has_completed(page: Any) -> None:
    for trials in ([], [dataclasses.replace(rows(1)[0], status="RUNNING", score=None)]):
        shown = page(searching(trials))
        assert shown.badge == "unknown"
        assert ("leaderboard" in shown.identifiers) is bool(trials)
        assert "time" not in shown.identifiers


def test_one_trial_alone(page: Any) -> None:
    shown = page(searching(rows(1), phase="done"))
    assert shown.badge == "unknown"
    assert "trial-0000" in shown.identifiers


def test_every_trial_failed(page: Any) -> None:
    failed = [fail(row, f"loss became NaN at step {n}") for n, row in enumerate(rows(12))]
    shown = page(searching(failed, phase="done"))
    assert shown.badge == "worse"
    assert "12: loss became NaN at step 0 0000, 0001" in shown.text
    assert "0009…" in shown.text


def test_no_trial_within_the_budget(page: Any) -> None:
    over = [dataclasses.replace(row, feasible=False) for row in rows(3)]
    shown = page(searching(over, phase="done"))
    assert shown.badge == "worse"
    assert shown.text.count("over the budget") >= 3


def test_two_hundred_trials(page: Any) -> None:
    shown = page(ended(200))
    assert shown.count("tr") > 200
    assert len(shown.source) < 2_000_000


def test_hostile_texts_stay_texts(page: Any) -> None:
    changed = [
        dataclasses.replace(row, values={**row.values, "embeddings": HOSTILE}) for row in rows(12)
    ]
    changed[3] = fail(changed[3], HOSTILE)
    hostile = settings(
        data=HOSTILE,
        test=HOSTILE,
        application=HOSTILE,
        fix={"embeddings": HOSTILE},
        ranges={**settings().ranges, "embeddings": f"texts,{HOSTILE}"},
    )
    record = searching(changed, settings=hostile, failed_finals=(HOSTILE,))
    shown = page(dataclasses.replace(record, test={"accuracy": 0.5, "baselines": {HOSTILE: {}}}))
    assert shown.count("script") == 1
    assert shown.count("img") == 0
    assert not any(name.startswith("on") for _, tag in shown.tags for name in tag)


def test_hyperband_is_explained_and_counts_each_configuration_once(page: Any) -> None:
    first = [dataclasses.replace(row, round=0, epochs=2) for row in rows(12)]
    promoted = dataclasses.replace(first[0], id="0012", continues="0000", round=1, epochs=6)
    record = searching([*first, promoted])
    shown = page(record)
    assert "goes on with 0000" in shown.text
    drawing = parallel_coordinates(record)
    assert drawing is not None
    drawn = [line.trial for line in drawing.lines]
    assert "0012" in drawn
    assert "0000" not in drawn


def test_a_page_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    file = write_page(searching(rows(2)), tmp_path / "tuning.html")
    before = file.read_bytes()
    with pytest.raises(OSError, match="absent"):
        write_page(searching(rows(3)), tmp_path / "absent" / "tuning.html")
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["tuning.html"]


# The verdict


def two_finals(gain: float, spread: float, seeds: int = 3, maximise: bool = True) -> SearchRecord:
    """A winner better than the default by `gain`, both with the same spread."""
    first, second = rows(2)
    sign = 1 if maximise else -1
    offsets = [spread * step for step in (-1, 0, 1)][:seeds]
    level = dataclasses.replace(first, score=0.8)
    ahead = dataclasses.replace(second, score=0.8 + sign * gain)
    finals = tuple(final(row, offsets) for row in (ahead, level))
    asked = settings(objective="accuracy" if maximise else "cross_entropy")
    record = searching([level, ahead], settings=asked, phase="done", finals=finals)
    return dataclasses.replace(record, best=best_of(finals[0]))


def test_the_verdict_weighs_the_gain_against_the_spread_of_seeds() -> None:
    assert judge(two_finals(0.03, 0.01)).outcome == "better"
    assert judge(two_finals(0.005, 0.01)).outcome == "undecided"
    assert judge(two_finals(0.03, 0.0, seeds=1)).outcome == "unknown"


def test_where_less_is_better_the_winner_lies_below() -> None:
    verdict = judge(two_finals(0.1, 0.01, maximise=False))
    assert verdict.outcome == "better"
    assert verdict.title == "0.7 cross-entropy, 0.1 below the default"


def test_the_default_may_win() -> None:
    record = two_finals(-0.03, 0.01)
    finals = record.finals[::-1]
    assert finals[0].trial == DEFAULT
    verdict = judge(dataclasses.replace(record, finals=finals, best=best_of(finals[0])))
    assert verdict.outcome == "undecided"
    assert "80.00" in verdict.title


# Hyperparameters as columns and axes


def test_layers_become_columns_and_inactive_values_none() -> None:
    assert columns({"units": [64, 32], "depth": 2}) == {"units": 64, "units_2": 32, "depth": 2}
    assert columns({"units": 64}) == {"units": 64}
    names = searched(searching(rows(12)))
    place = names.index("units")
    assert names[place : place + 3] == ["units", "units_2", "units_3"]
    assert "ngrams" not in names


def test_axes_follow_the_range_and_its_scale() -> None:
    rate = axis("learning_rate", [1e-3], settings())
    assert rate.log
    assert rate.position(3e-4) == pytest.approx(0.0)
    assert rate.position(3**0.5 * 1e-3) == pytest.approx(0.5)
    assert rate.position(0.02) == pytest.approx(1.1977, abs=1e-3)
    outside = axis("learning_rate", [0.02], settings())
    assert outside.position(0.02) == pytest.approx(1.0)
    assert axis("units_2", [64], settings()).log
    switch = axis("bidirectional", [True], settings())
    assert switch.categories == ("False", "True")
    assert switch.position(True) == 0.75
    assert rate.position(None) is None
    depth = axis("depth", [1, 3], settings())
    assert [text for _, text in depth.ticks()] == ["1", "2", "3"]


def test_ranges_are_read_as_the_command_line_writes_them() -> None:
    assert read_range("1:4") == (1.0, 4.0, False, ())
    assert read_range("1e-5:0.1:log") == (1e-5, 0.1, True, ())
    assert read_range("a,b") == (None, None, False, ("a", "b"))
    assert read_range("") == (None, None, False, ())


def test_a_line_has_a_gap_where_a_hyperparameter_is_inactive() -> None:
    record = searching(rows(12))
    drawing = parallel_coordinates(record)
    assert drawing is not None
    lines = {line.trial: line for line in drawing.lines}
    deepest = next(r for r in record.trials if r.values["depth"] == 3 and r.score is not None)
    assert lines[deepest.id].path.count("M") == 1
    # Depth 1 of the default lacks the widths of layers 2 and 3 beside each other, and the dropout
    # between layers.
    assert lines[DEFAULT].path.count("M") == 3
    assert re.fullmatch(r"([ML][\d.]+ [\d.]+(h0)?)+", lines[DEFAULT].path)
    assert max(line.shade for line in drawing.lines) == 1.0
