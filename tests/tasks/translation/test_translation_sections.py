"""What a report shows of translations."""

from __future__ import annotations

from typing import Any

from apps.tasks.translation.sections import translation_sections


def row(source: str, truth: str, text: str, **more: Any) -> dict[str, Any]:
    common = {"place": "pairs row 1", "score": -1.0, "cut": False}
    return {**common, "input": source, "truth": truth, "text": text, **more}


def test_sentences_are_ranked_and_escaped_and_attention_is_drawn() -> None:
    attention = {"attention": [[0.9, 0.1]], "source_pieces": [" <b>", "end"]}
    rows = [
        row("a <b>", "ein <b>", "ein <b>", target_pieces=[" ein"], **attention),
        row("one two three four five six", "völlig anders", "nichts davon", cut=True, score=None),
        row("", "", ""),
    ]
    lengths, sentences, drawn = translation_sections(rows)
    assert "<b>" not in lengths.html + sentences.html + drawn.html
    assert "1 to 5" in lengths.html
    assert "6 to 10" in lengths.html
    assert sentences.html.index("nichts davon") < sentences.html.index("ein &lt;b&gt;")
    assert "--share:0.900" in drawn.html


def test_without_attention_there_is_no_such_section() -> None:
    assert len(translation_sections([row("a", "ein", "ein")])) == 2
