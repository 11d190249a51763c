"""The sections of speech applications: right numbers, nothing executable, a page that plays."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.report.report import write_report
from apps.report.sections import Section
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
RATE = 16000
HOSTILE = '<script>alert(1)</script> "><img src=x onerror=alert(1)> a\x00\ud800 {{7*7}} مرحبا'


def words(section: Section) -> str:
    """The section's text without markup and charts, white space as one space."""
    plain = re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<svg.*?</svg>", " ", section.html))
    return " ".join(plain.replace("\u202f", " ").replace("&nbsp;", " ").split())


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


def test_spectrograms_show_attention_under_the_sound(pages: Any) -> None:
    section = pages["keywords"][1][0]
    assert section.html.count("<svg") == section.html.count("data:image/png") == 6
    assert "attention is highest 0.20 seconds after the start" in section.html
    assert "✗ unknown 60.0 % · truth word 0" in words(section)
    assert "0.50 s · speaker speaker 0 · words row 1 · 0.wav" in words(section)


def test_spectrograms_show_letters_and_words_at_their_times(pages: Any) -> None:
    section = pages["transcription"][1][0]
    assert "recognised: ab at 0.20 s, c at 0.40 s" in section.html
    for letter in ("a", "b", "ab", "c"):
        assert f">{letter}</text>" in section.html
    assert "truth: please call stella now answer: please tell stella" in words(section)


def test_each_of_the_worst_ten_has_a_player(pages: Any) -> None:
    for rows, sections in pages.values():
        sounds = re.findall(r'<audio controls [^>]*src="([^"]*)"', sections[1].html)
        assert len(sounds) == 10
        assert set(sounds) == {
            row["audio"]["sound"] for row in rows if "sound" in row.get("audio", {})
        }


def test_alignments_mark_each_error_by_a_letter() -> None:
    rows: Rows = [
        {"place": "1", "truth": "please call stella now", "text": "please tell stella right now"},
        {"place": "2", "truth": "one two", "text": "two", "audio": {"seconds": 1.0, "shown": 1.0}},
        {"place": "3", "truth": "", "text": ""},
        {"place": "4", "truth": " ".join("ab" for _ in range(200)), "text": ""},
    ]
    text = words(worst_with_players(judge(rows)))
    assert "please please call tell S stella stella ∗ right I now now" in text
    assert "✗ 2 errors in 4 words · 1" in text
    assert "one ∗ D two two" in text
    assert "✗ 1 error in 2 words" in text
    assert "Nothing was said, and nothing was recognised." in text
    assert "… 80 further words" in text
    assert text.count("No sound is stored.") == 4
    assert "3 of 4 examples hold a mistake. Those come first" in text


def test_only_the_start_of_a_long_recording_is_played() -> None:
    audio = {"seconds": 600.0, "shown": 30.0, "sound": "data:audio/mpeg;base64,"}
    row = {"place": "1", "truth": "a", "text": "b", "audio": audio}
    assert "The first 30 of 10.0 min." in words(worst_with_players(judge([row])))


def test_word_confusions_are_counted() -> None:
    rows = [{"truth": "the cat sat", "text": "the bat sat"}] * 3
    rows += [{"truth": "the cat sat", "text": "cat sat on"}]
    text = words(word_confusions(judge(rows)))
    assert "5 errors in 12 words, a word error rate of 41.7 %:" in text
    assert "substitutions 3, deletions 1, insertions 1." in text
    assert "cat bat 3 75.0 %" in text
    assert "said times of its uses the 1 25.0 %" in text
    assert "recognised times on 1" in text


def test_the_speakers_with_most_errors_are_shown() -> None:
    rows: Rows = [
        {"truth": "a", "label": "a" if i // 40 > i % 40 / 10 else "b", "speaker": i % 40}
        for i in range(160)
    ]
    rows += [{"truth": "a", "label": "a"}, {"truth": "a", "label": "b", "speaker": " "}]
    section = error_by_speaker(judge(rows))
    text = words(section)
    assert "The 30 speakers with the most errors, of 40; the others together: 25.0 % (10 errors)."
    assert "2 examples name no speaker." in text
    assert "39 4 4 100.0 % 51.0 % to 100.0 %" in text
    assert section.html.count("<svg") == 1
    assert section.html.count("<tr>") == 31


def test_data_without_speakers_gets_one_sentence() -> None:
    section = error_by_speaker(judge([{"truth": "a", "label": "b"}]))
    assert "The data names no speakers" in words(section)
    assert "<table" not in section.html


def test_lengths_are_parted_into_groups_of_like_size() -> None:
    rows: Rows = [
        {"truth": "a b", "text": "a b" if i % 5 else "a", "seconds": 1 + i / 10} for i in range(60)
    ]
    text = words(error_by_length(judge(rows)))
    assert "They last 1.00 to 6.90 s." in text
    assert "below 2.0 s 10 20 2 10.0 %" in text
    assert "2.0 to 3.0 s 10 20 2 10.0 %" in text
    assert "5.9 s and more 11 22 2 9.1 %" in text


def test_equal_lengths_get_one_sentence() -> None:
    rows = [{"truth": "a", "label": "b", "seconds": 1.0}] * 5
    text = words(error_by_length(judge(rows)))
    assert text == "All 5 examples are about equally long (1.00 to 1.00 s): error rate 100.0 %."


def test_no_rows_give_no_figures() -> None:
    for section in [*keyword_sections([]), *transcription_sections([])]:
        assert 'class="none"' in section.html
        assert "<svg" not in section.html


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
    rows, sections = pages[kind]
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=800,
        deviceScaleFactor=2,
        mobile=True,
    )
    browser.open(write_report(tmp_path, sections))
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
    rows = [{key: row[key] for key in ("truth", "label")} for row in keyword_rows(8)]
    assert "No example carries a spectrogram." in words(spectrograms(judge(rows)))
    assert words(worst_with_players(judge(rows))).count("No sound is stored.") == 8
