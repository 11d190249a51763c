"""Applications that start from a language model."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
from apps.components import ASSETS
from apps.data import Examples
from apps.layers.bounded_tokens import BoundedTokens
from apps.layers.text_tokens import WordTokens
from apps.layers.token_layer import UNKNOWN
from apps.text.entities import Entities
from apps.text.generation import Generation
from apps.text.pretrained import read_pretrained, word_rows
from apps.text.sample_news import sample_news
from apps.text.sample_reviews import sample_reviews
from apps.text.sentiment import Sentiment

ROOT = Path(__file__).parents[2]
SMALL = {"epochs": 2, "batch_size": 16, "learning_rate": 0.01, "updates": 1, "ngrams": 2}


def language_run(folder: Path, texts: Sequence[str] = (), **settings: Any) -> Path:
    """A run of `generation`, untrained, with what others read of one."""
    values = {"units": "10,12", "depth": 2, "embedding": 8, "window": 16, **settings}
    application = Generation(Generation.Config.from_values(values), 4)
    texts = texts or list(sample_reviews(2)["text"][:80])
    examples = Examples({"text": texts}, [""] * len(texts), "reviews")
    assets = application.compose(application.check(examples, learning=True)).assets
    folder.mkdir()
    if assets:
        np.savez(folder / ASSETS, allow_pickle=False, **assets)
    application.served.save(folder / "model.keras")
    (folder / "config.json").write_text(json.dumps({"application": "generation"}))
    return folder


def records() -> list[dict[str, str]]:
    """Labelled reviews."""
    rows = sample_reviews(0).select(range(80))
    pairs = zip(rows["text"], rows["label"], strict=True)
    return [{"text": text, "label": label} for text, label in pairs]


@pytest.fixture(scope="module", params=["word", "bpe"])
def language(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("language") / request.param
    return language_run(folder, tokens=request.param, pieces=300, lower=True)


def test_sentiment_begins_with_what_the_language_model_knows(language: Path) -> None:
    config = Sentiment.Config.from_values({**SMALL, "pretrained": str(language)})
    application = Sentiment(config)
    reviews = sample_reviews(0).select(range(60))
    application.compose(application.check(reviews, learning=True))
    known = read_pretrained(str(language)).network
    embedding = application.model.get_layer("embedding").get_weights()[0]
    np.testing.assert_array_equal(embedding, known.vectors(range(known.size)))
    stack = application.model.get_layer("lstm")
    for one, other in zip(stack.get_weights(), known.stack.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert application.model.get_layer("mixture").apart
    paces = application.paces()
    assert [pace.layers for pace in paces] == [("lstm/lstm_1",), ("lstm/lstm_0",), ("embedding",)]
    assert all(a.rate > b.rate and a.begins < b.begins for a, b in itertools.pairwise(paces))
    # It reads a text as the language model does.
    text = reviews["text"][0]
    ids = application.adapted["words"](tf.constant([text]))["ids"].numpy()[0]
    np.testing.assert_array_equal(ids, read_pretrained(str(language)).tokens.flat([text])[0])


def test_entities_read_with_what_the_language_model_knows(tmp_path: Path) -> None:
    language = language_run(tmp_path / "language", tokens="word", lower=True)
    application = Entities(Entities.Config.from_values({"pretrained": str(language), "units": 8}))
    news = application.check(sample_news(0, rows=40), learning=True)
    application.compose(news)
    known = read_pretrained(str(language))
    tokens, vectors = application.adapted["tokens"], known.vectors
    embedding = application.adapted["embedding"].get_weights()[0]
    rows = word_rows(known, "")
    assert "acting" in rows
    for word in ("acting", "story", "."):
        row = tokens.first_id + tokens.vocabulary.index(word)
        np.testing.assert_array_equal(embedding[row], vectors[rows[word]])
    stack = application.model.get_layer("language").get_weights()
    for one, other in zip(stack, known.network.stack.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    # Words that only the language model has seen stay new ones to a reader of the report.
    odd = Examples({"text": ["acting Zyx"], "spans": [[]]}, ["row 1"], "rows")
    assert len(application.input.shown(odd)[0]["unseen"]) == 2
    pieces = language_run(tmp_path / "pieces", tokens="bpe", pieces=300)
    with pytest.raises(apps.UserError, match="reads byte pairs, where words are needed"):
        word_rows(read_pretrained(str(pieces)), str(pieces))


def test_a_run_needs_the_language_model_no_more(tmp_path: Path) -> None:
    language = language_run(tmp_path / "language", tokens="word", lower=True)
    run = apps.train(
        "sentiment",
        records(),
        run=tmp_path / "run",
        log=lambda line: None,
        pretrained=str(language),
        **SMALL,
    )
    known = read_pretrained(str(language)).network.stack.get_weights()
    learnt = run.model.get_layer("lstm").get_weights()
    assert all((one != other).any() for one, other in zip(learnt, known, strict=True))
    assert run.model.get_layer("documents").get_weights()[0].std() > 0
    shutil.rmtree(language)
    again = apps.load(run.folder)
    assert again.predict(["not dull", ""]) == run.predict(["not dull", ""])


def test_words_that_no_labelled_text_has_are_known_from_the_plain_texts(tmp_path: Path) -> None:
    praise = "bright warm clever lively tender graceful witty rich".split()
    blame = "dull cold silly lifeless harsh clumsy stale poor".split()
    draw = np.random.default_rng(0)

    def said(words: list[str], count: int, length: int) -> list[str]:
        return [" ".join(draw.choice(words, length)) for _ in range(count)]

    plain = said(praise, 40, 12) + said(blame, 40, 12)
    language = language_run(tmp_path / "language", plain, tokens="word", lower=True)
    settings = {**SMALL, "pretrained": str(language), "ngrams": 0}
    application = Sentiment(Sentiment.Config.from_values(settings))
    texts = said(praise[:4], 30, 5) + said(blame[:4], 30, 5)
    rows = {"text": texts, "label": ["good"] * 30 + ["bad"] * 30}
    labelled = Examples(rows, [""] * 60, "labelled")
    application.compose(application.check(labelled, learning=True))
    linear = keras.Model(application.model.inputs, application.model.get_layer("mixture").input[1])
    others = said(praise[4:], 20, 5) + said(blame[4:], 20, 5)
    read = application.adapted["words"](tf.constant(others))
    sides = [application.labels[side] for side in np.argmax(linear(read), 1)]
    assert sides == ["good"] * 20 + ["bad"] * 20
    # The mean over real words alone.
    table = application.adapted["documents"].get_weights()[0]
    ids, length = read["ids"][0].numpy(), int(read["lengths"][0])
    about = keras.Model(application.model.inputs, application.model.get_layer("about").output)
    np.testing.assert_allclose(about(read)[0], table[ids[:length]].mean(0), atol=1e-5)


def test_a_language_model_without_such_vectors_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    language = language_run(tmp_path / "language", tokens="word", lower=True)
    (language / ASSETS).unlink()
    assert read_pretrained(str(language)).documents is None
    settings = {**SMALL, "pretrained": str(language)}
    application = Sentiment(Sentiment.Config.from_values(settings))
    reviews = sample_reviews(0).select(range(60))
    application.compose(application.check(reviews, learning=True))
    assert "documents" not in application.adapted
    assert "holds no document vectors" in capsys.readouterr().err
    (language / ASSETS).write_bytes(b"damaged")
    with pytest.raises(apps.UserError, match="cannot be read"):
        read_pretrained(str(language))


def test_a_run_of_words_holds_them_for_others(tmp_path: Path) -> None:
    texts = list(sample_reviews(2)["text"][:60])
    small = {"units": 8, "depth": 1, "embedding": 8, "window": 32, "epochs": 1, "updates": 1}
    rows = [{"text": text} for text in texts]
    silent = {"log": lambda line: None}
    apps.train("generation", rows, run=tmp_path / "run", tokens="word", **silent, **small)
    assert read_pretrained(str(tmp_path / "run")).documents is not None
    assert not (language_run(tmp_path / "characters", tokens="char") / ASSETS).exists()


def test_processes_that_have_not_made_the_language_model_read_it(tmp_path: Path) -> None:
    language = language_run(tmp_path / "language", tokens="word", lower=True)
    settings = {**SMALL, "pretrained": language}
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in records()))
    named = [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]
    train = ["train", "sentiment", "--data", "rows.jsonl", "--run", "run", *named]
    examine = ["doctor", "language/model.keras"]
    for command in (examine, train, ["predict", "run", "not dull"]):
        done = subprocess.run(
            [sys.executable, "-m", "apps", *command],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if command == examine:
            assert "2 of 2 recurrent layers on cuDNN" in done.stdout
            assert "Not examined" not in done.stdout
    assert json.loads(done.stdout)["label"] in {row["label"] for row in records()}


def test_runs_that_are_no_language_models_are_refused(tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    (other / "config.json").write_text('{"application": "keywords"}')
    for folder, what in ((tmp_path / "no", "there is no run"), (other, "is a run of keywords")):
        with pytest.raises(apps.UserError, match=what):
            read_pretrained(str(folder))
    characters = language_run(tmp_path / "characters", tokens="char")
    with pytest.raises(apps.UserError, match="reads characters, where words or byte pairs"):
        read_pretrained(str(characters))
    (characters / "model.keras").write_bytes(b"damaged")
    with pytest.raises(apps.UserError, match="cannot be read"):
        read_pretrained(str(characters))


def test_texts_are_cut_in_the_middle_and_never_empty() -> None:
    tokens = WordTokens.adapt(["a b c d e f g h"], 100, "spaces")
    bounded = BoundedTokens(tokens, 5)
    texts = ["a b c d e f g h", "a b", "", "a b c d e", "a b c d e f"]
    ids, offsets = bounded.flat(texts)
    rows = [ids[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    a, b, c, d, e, f, g, h = tokens.flat([texts[0]])[0].tolist()
    assert rows == [[a, b, c, g, h], [a, b], [UNKNOWN], [a, b, c, d, e], [a, b, c, e, f]]
    inside = bounded(tf.constant(texts))
    for row, expected in enumerate(rows):
        assert inside["ids"][row, : inside["lengths"][row]].numpy().tolist() == expected
    nothing = bounded(tf.constant([""]))
    assert nothing["ids"].numpy().tolist() == [[UNKNOWN]]
    again = BoundedTokens.from_config(bounded.get_config())
    np.testing.assert_array_equal(again.flat(texts)[0], ids)
