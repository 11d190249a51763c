"""The sections of speech applications: right numbers, nothing executable, a page that plays."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outline import Outline

from apps.report.report import write_report
from apps.report.sections import Section
from apps.report.speech import sections
from apps.report.speech.mistakes import judge
from apps.report.speech.players import add_evidence, attention_track, ctc_track
from apps.report.speech.sections import (
    error_by_length,
    error_by_speaker,
    keyword_sections,
    spectrograms,
    transcription_sections,
    word_confusions,
    worst_with_players,
)

Rows = list[dict[str, Any]]
Values = dict[str, dict[str, Any]]
RATE = 16000
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> a\x00\ud800 {{7*7}} مرحبا'


@pytest.fixture
def seen(given: Callable[[Any], Values]) -> Values:
    """What the template of each section was last filled with."""
    return given(sections)


def clip(position: int) -> tuple[np.ndarray, int]:
    seconds = np.arange(RATE // 2 + 800 * position) / RATE
    return 0.4 * np.sin(2 * np.pi * (300 + 200 * position) * seconds), RATE


def keyword_rows(count: int = 24) -> Rows:
    rows: Rows = [
        {
            "place": f"words row {i + 1}",
            "input": f"{i}.wav",
            "truth": f"word {i % 6}",
            "label": f"word {i % 6}" if i % 4 else "unknown",
            "probabilities": {f"word {i % 6}": 0.4, "unknown": 0.6},
            "seconds": 0.5 + 0.05 * i,
            "speaker": f"speaker {i % 3}",
        }
        for i in range(count)
    ]
    add_evidence(rows, clip, lambda position: attention_track([0.1, 0.7, 0.2], 0.2))
    return rows


def transcript_rows(count: int = 24) -> Rows:
    texts = ["", " ", "a", "b"]
    posteriors = np.log([[0.9, 0.05, 0.03, 0.02], [0.1, 0.1, 0.7, 0.1], [0.2, 0.1, 0.1, 0.6]])
    rows: Rows = [
        {
            "place": f"manifest.csv row {i + 1}",
            "input": f"{i}.flac",
            "truth": "please call stella now",
            "text": "please tell stella" if i % 4 else "please call stella now and then",
            "confidence": 0.5,
            "seconds": 0.5 + 0.05 * i,
        }
        for i in range(count)
    ]
    add_evidence(
        rows, clip, lambda position: ctc_track(posteriors, texts, 0.2, [(0.2, "ab"), (0.4, "c")])
    )
    return rows


@pytest.fixture(scope="module")
def pages() -> dict[str, tuple[Rows, list[Section]]]:
    """Rows as JSON brings them back, and their sections."""
    keywords, transcripts = (
        json.loads(json.dumps(rows)) for rows in (keyword_rows(), transcript_rows())
    )
    return {
        "keywords": (keywords, keyword_sections(keywords)),
        "transcription": (transcripts, transcription_sections(transcripts)),
    }


def test_spectrograms_show_attention_under_the_sound(pages: Any, seen: Values) -> None:
    rows, (section, *_) = pages["keywords"]
    outline = Outline(section.html)
    assert len(outline.find("svg")) == 6
    assert sum(href.startswith("data:image/png") for href in outline.values({"href"})) == 6
    # The highest of three weights, 0.2 seconds apart.
    assert all("0.20 seconds" in svg.attributes["aria-label"] for svg in outline.find("svg"))
    spectrograms(judge(rows))
    (wrong, *_) = (one for one in seen["speech/spectrograms.html.j2"]["pictures"] if one["errors"])
    shown = {name: wrong[name] for name in ("answer", "probability", "truth", "seconds", "place")}
    assert shown == {
        "answer": "unknown",
        "probability": 0.6,
        "truth": "word 0",
        "seconds": 0.5,
        "place": "words row 1",
    }
    (caption,) = (
        one.text for one in outline.find("figcaption") if one.text.endswith("words row 1 · 0.wav")
    )
    for figure in ("✗ unknown 60.0 %", "word 0", "0.50 s", "speaker 0"):
        assert figure in caption


def test_spectrograms_show_letters_and_words_at_their_times(pages: Any) -> None:
    outline = Outline(pages["transcription"][1][0].html)
    assert {"a", "b", "ab", "c"} <= {one.text for one in outline.find("text")}
    for svg in outline.find("svg"):
        assert re.findall(r"(\w+) at (\S+) s", svg.attributes["aria-label"]) == [
            ("ab", "0.20"),
            ("c", "0.40"),
        ]
    captions = [one.text for one in outline.find("figcaption")]
    assert any(
        "please call stella now" in text and "please tell stella" in text for text in captions
    )


def test_each_of_the_worst_ten_has_a_player(pages: Any) -> None:
    for rows, (_, section, *_) in pages.values():
        players = Outline(section.html).find("audio")
        assert len(players) == 10
        assert all("controls" in player.attributes for player in players)
        assert {player.attributes["src"] for player in players} == {
            row["audio"]["sound"] for row in rows if "sound" in row.get("audio", {})
        }


def test_alignments_mark_each_error_by_a_letter(seen: Values) -> None:
    rows: Rows = [
        {"place": "1", "truth": "please call stella now", "text": "please tell stella right now"},
        {"place": "2", "truth": "one two", "text": "two", "audio": {"seconds": 1.0, "shown": 1.0}},
        {"place": "3", "truth": "", "text": ""},
        {"place": "4", "truth": " ".join("ab" for _ in range(200)), "text": ""},
    ]
    outline = Outline(worst_with_players(judge(rows)).html)
    values = seen["speech/worst.html.j2"]
    assert (values["mistaken"], values["total"], values["transcripts"]) == (3, 4, True)
    assert [(row["place"], row["errors"], row["units"], row["more"]) for row in values["rows"]] == [
        ("4", 200, 200, 80),
        ("1", 2, 4, 0),
        ("2", 1, 2, 0),
        ("3", 0, 0, 0),
    ]
    _, first, second, nothing = outline.find(class_="alignment")
    assert [one.text for one in first.inside if "edit" in one.attributes.get("class", "")] == [
        "please please",
        "call tell S",
        "stella stella",
        "∗ right I",
        "now now",
    ]
    assert [one.text for one in second.inside if "edit" in one.attributes.get("class", "")] == [
        "one ∗ D",
        "two two",
    ]
    assert [one.attributes for one in nothing.inside] == [{"class": "none"}]
    items = outline.find("li")
    assert [any(one.tag == "audio" for one in item.inside) for item in items] == [False] * 4
    assert all(any(one.attributes.get("class") == "none" for one in i.inside) for i in items)


def test_only_the_start_of_a_long_recording_is_played() -> None:
    audio = {"seconds": 600.0, "shown": 30.0, "sound": "data:audio/mpeg;base64,"}
    row = {"place": "1", "truth": "a", "text": "b", "audio": audio}
    (item,) = Outline(worst_with_players(judge([row])).html).find("li")
    (_, said, *_) = (one.text for one in item.inside if one.tag in ("audio", "p"))
    assert re.findall(r"[\d.]*\d", said) == ["30", "10.0"]


def test_word_confusions_are_counted(seen: Values) -> None:
    rows = [{"truth": "the cat sat", "text": "the bat sat"}] * 3
    rows += [{"truth": "the cat sat", "text": "cat sat on"}]
    outline = Outline(word_confusions(judge(rows)).html)
    values = seen["speech/words.html.j2"]
    assert (values["whole"].errors, values["whole"].units) == (5, 12)
    assert values["kinds"] == {"hit": 8, "substitution": 3, "deletion": 1, "insertion": 1}
    assert values["substitutions"] == [
        {"reference": "cat", "hypothesis": "bat", "count": 3, "said": 4}
    ]
    assert [table[1:] for table in outline.tables] == [
        [["cat", "bat", "3", "75.0 %"]],
        [["the", "1", "25.0 %"]],
        [["on", "1"]],
    ]
    figures = re.findall(r"\d[\d.]*", outline.find("p")[0].text)
    assert figures[:3] == ["5", "12", "41.7"]
    assert figures[-3:] == ["3", "1", "1."]


def test_the_speakers_with_most_errors_are_shown(seen: Values) -> None:
    rows: Rows = [
        {"truth": "a", "label": "a" if i // 40 > i % 40 / 10 else "b", "speaker": i % 40}
        for i in range(160)
    ]
    rows += [{"truth": "a", "label": "a"}, {"truth": "a", "label": "b", "speaker": " "}]
    outline = Outline(error_by_speaker(judge(rows)).html)
    values = seen["speech/speakers.html.j2"]
    assert (values["speakers"], len(values["groups"]), values["nameless"]) == (40, 30, 2)
    assert (values["rest"].errors, values["rest"].rows) == (10, 40)
    (table,) = outline.tables
    assert len(table) == 31
    assert ["39", "4", "4", "100.0 %", "51.0 % to 100.0 %"] in table
    assert len(outline.find("svg")) == 1
    assert {"30", "40", "25.0", "10", "2"} <= set(
        re.findall(r"\d+(?:\.\d+)?", outline.find("p")[0].text)
    )


def test_data_without_speakers_has_no_table() -> None:
    outline = Outline(error_by_speaker(judge([{"truth": "a", "label": "b"}])).html)
    assert outline.find("p", class_="none")
    assert "speaker" in [one.text for one in outline.find("code")]
    assert not outline.find("table")


def test_lengths_are_parted_into_groups_of_like_size(seen: Values) -> None:
    rows: Rows = [
        {"truth": "a b", "text": "a b" if i % 5 else "a", "seconds": 1 + i / 10} for i in range(60)
    ]
    outline = Outline(error_by_length(judge(rows)).html)
    seconds = seen["speech/lengths.html.j2"]["seconds"]
    assert (min(seconds), max(seconds)) == (1.0, 6.9)
    table = [row[:-1] for row in outline.tables[0]]
    assert table[1:3] == [
        ["below 2.0 s", "10", "20", "2", "10.0 %"],
        ["2.0 to 3.0 s", "10", "20", "2", "10.0 %"],
    ]
    assert table[6] == ["5.9 s and more", "11", "22", "2", "9.1 %"]


def test_equal_lengths_get_one_sentence() -> None:
    rows = [{"truth": "a", "label": "b", "seconds": 1.0}] * 5
    outline = Outline(error_by_length(judge(rows)).html)
    assert len(outline.find("p")) == 1
    assert not outline.find("table")
    assert re.findall(r"\d+(?:\.\d+)?", outline.text) == ["5", "1.00", "1.00", "100.0"]


def test_no_rows_give_no_figures() -> None:
    for section in [*keyword_sections([]), *transcription_sections([])]:
        outline = Outline(section.html)
        assert outline.find(class_="none")
        assert not outline.find("svg")


def test_hostile_texts_stay_text() -> None:
    labels: Rows = [
        {
            "place": HOSTILE,
            "input": HOSTILE,
            "truth": f"{HOSTILE} {i}",
            "label": HOSTILE,
            "probabilities": {HOSTILE: 1.0},
            "seconds": float(i),
            "speaker": f"{i} {HOSTILE}",
        }
        for i in range(1, 4)
    ]
    texts: Rows = [{**row, "text": f"{HOSTILE * 9} other"} for row in labels]
    add_evidence(labels, clip, lambda position: attention_track([1.0], 0.5))
    posteriors = np.log([[0.1, 0.9]])
    add_evidence(texts, clip, lambda i: ctc_track(posteriors, ["", HOSTILE], 0.5, [(0.1, HOSTILE)]))
    for section in [*keyword_sections(labels), *transcription_sections(texts)]:
        tags = set(re.findall(r"<\s*/?\s*([a-zA-Z]+)", section.html))
        assert not tags & {"script", "img"}
        assert "{{7*7}}" in section.html or section.title == "Error by length"
        assert not re.search(r"[\x00-\x08\x0b-\x1f\ud800-\udfff]", section.html)


@pytest.mark.parametrize("kind", ["keywords", "transcription"])
def test_the_page_plays_and_fits_a_phone(
    browser: Any, tmp_path: Path, pages: Any, kind: str
) -> None:
    rows, made = pages[kind]
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=2,
        mobile=True,
    )
    browser.open(write_report(tmp_path, made))
    deadline = time.monotonic() + 10
    players = "[...document.querySelectorAll('audio')]"
    while not browser.evaluate(f"{players}.every(a => a.duration > 0)"):
        assert time.monotonic() < deadline, browser.evaluate(
            f"{players}.map(a => a.error?.message)"
        )
        time.sleep(0.05)
    durations = browser.evaluate(f"{players}.map(a => a.duration)")
    assert sorted(durations) == pytest.approx(
        sorted(row["audio"]["seconds"] for row in rows if "sound" in row.get("audio", {})), abs=0.01
    )
    assert browser.evaluate("document.documentElement.scrollWidth") == 360
    loaded = "[...document.querySelectorAll('svg image')].map(i => i.getBoundingClientRect().width)"
    assert min(browser.evaluate(loaded)) > 200
    browser.call("Emulation.clearDeviceMetricsOverride")
    said = [
        event
        for event in browser.events
        if event["method"] in ("Log.entryAdded", "Runtime.consoleAPICalled")
        or event["method"] == "Runtime.exceptionThrown"
    ]
    assert said == []


def test_a_page_without_evidence_is_whole() -> None:
    rows = [{"truth": f"word {i}", "label": "unknown"} for i in range(8)]
    pictures = Outline(spectrograms(judge(rows)).html)
    assert pictures.find(class_="none")
    assert not pictures.find("svg")
    worst = Outline(worst_with_players(judge(rows)).html)
    assert len(worst.find("li")) == len(worst.find("p", class_="none")) == 8
    assert not worst.find("audio")
