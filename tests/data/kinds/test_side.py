"""Pairs of texts in tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.data import read
from apps.data.kinds.side import sides
from apps.errors import UserError

COLUMNS = sides("source", "target")


def pairs(path: Path, text: str, **named) -> list[tuple[str, str]]:
    path.write_text(text, encoding="utf-8")
    rows = read(str(path), COLUMNS, **named)
    return list(zip(rows["source"], rows["target"], strict=True))


@pytest.mark.parametrize("header", ["", "en\tde\n", "source\ttarget\n", "src\ttrg\n"])
def test_two_columns_are_source_and_target(tmp_path: Path, header: str) -> None:
    text = f'{header}Go "now".\tGeh "jetzt".\r\n"Hi\tHallo\n'
    assert pairs(tmp_path / "a.tsv", text) == [('Go "now".', 'Geh "jetzt".'), ('"Hi', "Hallo")]


def test_columns_that_name_the_sides_may_stand_in_any_order(tmp_path: Path) -> None:
    assert pairs(tmp_path / "a.tsv", "target\tsource\nGeh\tGo\n") == [("Go", "Geh")]


def test_more_columns_need_names(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"3 columns; .*--columns source=NAME,target=NAME"):
        pairs(tmp_path / "a.tsv", "Go.\tGeh.\tby me\n")
    named = pairs(
        tmp_path / "b.tsv", "n\ten\tde\n1\tGo\tGeh\n", rename={"source": "en", "target": "de"}
    )
    assert named == [("Go", "Geh")]


def test_a_line_of_another_width_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 2 has 1 columns, not 2"):
        pairs(tmp_path / "a.tsv", "Go there.\tGeh hin.\nlost\n")


def test_jsonl_and_csv_are_read_by_name(tmp_path: Path) -> None:
    assert pairs(tmp_path / "a.jsonl", '{"source": "Go", "target": "Geh"}\n') == [("Go", "Geh")]
    assert pairs(tmp_path / "a.csv", 'source,target\n"Go, now",Geh\n') == [("Go, now", "Geh")]


def test_a_file_of_one_language_holds_sources(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("Go\n\nStay\n")
    rows = read(str(tmp_path / "a.en"), {"source": COLUMNS["source"]})
    assert rows["source"] == ["Go", "", "Stay"]
