"""Entities from files to answers: schemes, spans, tokens, odd sentences, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import apps
from apps.data import Examples
from apps.data.tagged.schemes import TokenSpan, tags_of
from apps.run import Run
from apps.serving.local import LocalModel
from apps.text.entities import Entities
from apps.text.sample_news import sample_news
from apps.training.plan import Plan
from apps.training.session import Session

SMALL = {
    "units": 8,
    "embedding": 8,
    "character_units": 4,
    "character_embedding": 4,
    "epochs": 2,
    "batch_size": 16,
    "learning_rate": 0.01,
    "lists": "none",
}


def columns(examples: Examples, scheme: str) -> str:
    """Generated sentences as a file of columns; a token is what stands between spaces."""
    lines = []
    for text, spans in zip(examples["text"], examples["spans"], strict=True):
        marked = text
        for start, end, _ in sorted(spans, reverse=True):
            marked = f"{marked[:start]} \0{marked[start:end]}\0 {marked[end:]}"
        words: list[str] = []
        found: list[TokenSpan] = []
        open_at = None
        kinds = iter([kind for _, _, kind in spans])
        for word in marked.split():
            if word.startswith("\0"):
                open_at = len(words)
            words.append(word.strip("\0"))
            if word.endswith("\0") and open_at is not None:
                found.append(TokenSpan(open_at, len(words) - 1, next(kinds)))
                open_at = None
        tags = tags_of(found, len(words), scheme)
        lines += [f"{word}\t{tag}" for word, tag in zip(words, tags, strict=True)] + [""]
    return "\n".join(lines)


@pytest.fixture(scope="module")
def news() -> Examples:
    return sample_news(3, rows=90)


@pytest.fixture(scope="module")
def run(news: Examples, tmp_path_factory: pytest.TempPathFactory) -> Run:
    file = tmp_path_factory.mktemp("news") / "news.conll"
    file.write_text(columns(news, "IOB2"), encoding="utf-8")
    folder = tmp_path_factory.mktemp("runs") / "entities"
    return apps.train("entities", file, run=folder, seed=2, log=lambda line: None, **SMALL)


def test_spans_of_the_sample_lie_on_whole_words(capsys: pytest.CaptureFixture[str]) -> None:
    examples = sample_news(0, rows=400)
    application = Entities(Entities.Config())
    checked = application.check(examples, learning=True)
    assert [list(row) for row in checked["spans"]] == [list(row) for row in examples["spans"]]
    assert capsys.readouterr().err == ""
    assert sample_news(0, rows=400) == examples != sample_news(1, rows=400)
    named = {
        text[a:b] for text, row in zip(*examples.columns.values(), strict=True) for a, b, _ in row
    }
    assert len(named) > 500


@pytest.mark.parametrize("scheme", ["IOB1", "BIOES"])
def test_every_scheme_of_a_file_gives_the_same_model(
    run: Run, news: Examples, scheme: str, tmp_path: Path
) -> None:
    file = tmp_path / "news.conll"
    file.write_text(columns(news, scheme), encoding="utf-8")
    other = apps.train(
        "entities", file, run=tmp_path / "run", seed=2, log=lambda line: None, **SMALL
    )
    for one, two in zip(run.model.weights, other.model.weights, strict=True):
        np.testing.assert_array_equal(one, two)


def test_predictions_say_where_and_how_surely(run: Run) -> None:
    texts = ["Ada Brond told reporters in Port Lask", "", "日本語。", "cafe\u0301 👩\u200d💻"]
    for text, answer in zip(texts, run.predict(texts), strict=True):
        assert set(answer) == {"spans"}
        for span in answer["spans"]:
            assert set(span) == {"start", "end", "type", "score"}
            assert 0 <= span["start"] < span["end"] <= len(text)
            assert span["type"] in {"amount", "company", "date", "person", "place", "product"}
            assert 0 <= span["score"] <= 1
    json.dumps(run.predict(texts), allow_nan=False)


def test_tokens_are_taken_in_place_of_a_text(run: Run) -> None:
    text = "Heavy rain kept the road between Brond and Lask closed"
    assert run.predict([text.split()]) == run.predict([text])
    assert run.predict([{"tokens": text.split()}]) == run.predict([text])


def test_evaluation_counts_types_that_training_never_saw(run: Run, news: Examples) -> None:
    rows = [
        {"text": text, "spans": [[*span[:2], "new"] for span in spans]}
        for text, spans in zip(news["text"], news["spans"], strict=True)
    ]
    measured = run.evaluate(rows)
    assert measured["f1"] == 0
    assert set(measured["by_class"]) >= {"(other)"}
    assert measured["by_class"]["(other)"]["spans"] == sum(map(len, news["spans"]))


def test_figures_by_type_add_up(run: Run, news: Examples) -> None:
    rows = [
        {"text": text, "spans": spans}
        for text, spans in zip(news["text"], news["spans"], strict=True)
    ]
    measured = run.evaluate(rows)
    by_type = measured["by_class"].values()
    assert sum(row["spans"] for row in by_type) == sum(map(len, news["spans"]))
    found = sum(row["recall"] * row["spans"] for row in by_type)
    assert measured["recall"] == pytest.approx(found / sum(map(len, news["spans"])))
    assert set(measured["baselines"]) == {"mentions", "linear_alone"}


def test_a_sentence_of_ten_thousand_words(run: Run) -> None:
    text = "Ada Brond lives in Lask . " * 1667
    spans = run.predict([text, "Ada Brond"])[0]["spans"]
    assert all(0 <= span["score"] <= 1 for span in spans)


@pytest.mark.usefixtures("trusting")
def test_answers_of_the_exported_version_have_offsets_in_the_text_that_was_sent(
    run: Run, tmp_path: Path
) -> None:
    version = run.export(tmp_path, log=lambda line: None)
    texts = ["In Po\u0301rt Lask, Ada Brond paid $30.", "In Pórt Lask, Ada Brond paid $30.", ""]
    served = LocalModel(version).predict(texts)
    for one, other in zip(served, run.predict(texts), strict=True):
        assert [(s["start"], s["end"], s["type"]) for s in one["spans"]] == [
            (s["start"], s["end"], s["type"]) for s in other["spans"]
        ]
    # Both forms of one text have the same spans, each counted in its own characters.
    decomposed, composed, empty = (
        [(text[s["start"] : s["end"]], s["type"]) for s in answer["spans"]]
        for text, answer in zip(texts, served, strict=True)
    )
    assert [kind for _, kind in decomposed] == [kind for _, kind in composed]
    assert empty == []


def test_word_vectors_are_read_from_a_file(news: Examples, tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("told 1 0 0 0 0 0 0 0\nreporters 0 1 0 0 0 0 0 0\n")
    application = Entities(Entities.Config.from_values({**SMALL, "embeddings": str(vectors)}))
    application.compose(application.check(news, learning=True))
    table = application.adapted["embedding"].get_weights()[0]
    place = application.adapted["tokens"].vocabulary.index("told") + 2
    assert np.flatnonzero(table[place]).tolist() == [0]


BAD: dict[str, tuple[str, list[str]]] = {
    "ragged rows": ("Ann B-per\nran\n\nBo B-per\n", ["bad.conll line 2", "1 columns"]),
    "tags outside the scheme": ("Ann Q-per\nran O\nto O\n", ["bad.conll line 1", "'Q-per'"]),
    "one tag only": ("Ann O\nran O\n\nBo O\n", ["bad.conll", "no row has a span"]),
    "two columns swapped": ("B-per Ann\nO ran\n", ["bad.conll line 1", "first column"]),
    "nothing": ("", ["bad.conll"]),
    "blank lines": ("\n\n\n", ["bad.conll"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_met_with_one_line(
    case: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    content, words = BAD[case]
    (tmp_path / "bad.conll").write_text(content)
    line = refused("train", "entities", "--data", tmp_path / "bad.conll", "--run", tmp_path / "run")
    assert [word for word in words if word not in line] == [], line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("record", "words"),
    [
        ({"text": "Ann ran", "spans": [[0, 9, "per"]]}, ["row 1", "ends behind the text"]),
        ({"text": "Ann ran", "spans": [[0, 3, "a"], [2, 7, "b"]]}, ["row 1", "overlap"]),
        ({"text": "Ann ran"}, ["'spans'", "--columns spans=NAME"]),
        ({"text": 3, "spans": []}, ["row 1", "text"]),
    ],
)
def test_bad_records_are_met_with_one_line(
    record: dict[str, Any], words: list[str], refused: Callable[..., str], tmp_path: Path
) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text(json.dumps(record) + "\n")
    line = refused("train", "entities", "--data", file, "--run", tmp_path / "run")
    assert [word for word in ["bad.jsonl", *words] if word not in line] == [], line


def test_rows_without_words_are_counted(tmp_path: Path) -> None:
    rows = [{"text": "Ann ran", "spans": [[0, 3, "per"]]}] * 20 + [{"text": " ", "spans": []}]
    lines: list[str] = []
    Session(Plan("entities", rows, settings=SMALL), run=tmp_path / "run", log=lines.append)
    assert any("1 skipped (without a word)" in line for line in lines)
