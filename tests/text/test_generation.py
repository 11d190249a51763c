"""Language models from files to texts: windows, options, streams, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import apps
from apps.data import Examples, read
from apps.run import Run
from apps.text.generation import Generation
from apps.text.sample_prose import agreements, sample_prose
from apps.training.measuring import calibrate, measured
from apps.training.prediction import Predictor

SMALL = {
    "units": 12,
    "embedding": 8,
    "window": 16,
    "epochs": 2,
    "batch_size": 8,
    "learning_rate": 0.02,
    "max_tokens": 20,
}


def prose(documents: int = 3, sentences: int = 8) -> str:
    return "\n".join(sample_prose(5, documents, sentences)["text"])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("texts") / "story.txt"
    path.write_text(prose(), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("runs") / "generation"
    return apps.train("generation", file, run=folder, log=lambda line: None, **SMALL)


def composed(texts: list[str], **settings: Any) -> Generation:
    """An untrained application."""
    application = Generation(Generation.Config.from_values({**SMALL, **settings}), 1)
    examples = Examples({"text": texts}, [f"text {i}" for i in range(len(texts))], "texts")
    application.compose(application.check(examples, learning=True))
    return application


def test_the_end_of_a_single_text_is_held_out() -> None:
    application = Generation(Generation.Config.from_values(SMALL))
    texts = [prose(), "short"]
    examples = application.check(Examples({"text": texts}, ["a", "b"], "texts"), learning=True)
    training, validation = application.input.split(examples, 0.1, None)
    for head, tail, text in zip(training["text"], validation["text"], texts, strict=True):
        assert head + tail == text
        assert len(head) == int(0.9 * len(text))


def test_of_many_texts_whole_ones_are_held_out() -> None:
    application = Generation(Generation.Config.from_values(SMALL))
    examples = application.check(sample_prose(0, documents=30), learning=True)
    training, validation = application.input.split(examples, 0.1, None)
    assert sorted([*training["text"], *validation["text"]]) == sorted(examples["text"])
    assert len(validation) == 3


def test_of_a_long_text_no_more_is_held_out_than_an_epoch_can_wait_for() -> None:
    application = Generation(Generation.Config.from_values(SMALL))
    text = "a line of text\n" * 600_000
    examples = application.check(Examples({"text": [text]}, ["a"], "texts"), learning=True)
    training, validation = application.input.split(examples, 0.1, None)
    assert training["text"][0] + validation["text"][0] == text
    assert len(validation["text"][0]) == pytest.approx(500_000, abs=2)


@pytest.mark.parametrize("tokens", ["char", "word", "bpe"])
def test_windows_are_the_text_and_every_token_is_measured_once(tokens: str) -> None:
    texts = [prose(), "Ein kurzer – Text.\n", "\n\nlast  one"]
    application = composed(texts, tokens=tokens, pieces=400)
    checked = application.check(Examples({"text": texts}, ["a", "b", "c"], "texts"), learning=False)
    units = application.input.units(checked)
    ids, offsets = application.adapted["tokens"].flat(texts)
    for document in range(3):
        rows = [i for i, number in enumerate(units["document"]) if number == document]
        own = np.concatenate([units["ids"][row] for row in rows])
        np.testing.assert_array_equal(own, ids[offsets[document] : offsets[document + 1]])
        assert application.input.text(own, begins=True) == texts[document]
        assert all(len(units["ids"][row]) == SMALL["window"] for row in rows[:-1])
    view = application.view(units)
    assert len(view) == len(units)
    seen = [view.fetch(batch) for batch in view.sweep(4)]
    assert sum(int(batch["lengths"].sum()) for batch in seen) == len(ids)


def test_what_suits_few_texts_and_words_is_chosen() -> None:
    def chosen(characters: int, **settings: Any) -> Mapping[str, Any]:
        application = Generation(Generation.Config.from_values(settings))
        text = Examples({"text": ["some words " * (characters // 11)]}, ["a"], "text")
        return application.settings_for(text)

    usual = Generation.Config.defaults()
    assert chosen(5_000_000) == {}
    for tokens in ("word", "bpe"):
        assert chosen(5_000_000, tokens=tokens)["cache"] > usual["cache"]
        assert chosen(400_000, tokens=tokens) == chosen(400_000)
    assert chosen(400_000)["units"] < usual["units"]
    for settings in (chosen(5_000_000, tokens="word"), chosen(400_000)):
        Generation.Config.from_values(settings)


def test_a_cache_is_weighed_on_validation_texts(tmp_path: Path) -> None:
    text = "\n".join(["the baker of Ossendrecht sings", "Ossendrecht is old"] * 12)
    application = composed([text], tokens="word", cache=20)
    examples = application.check(Examples({"text": [text]}, ["a"], "texts"), learning=False)
    units = application.input.units(examples)

    def nats() -> float:
        found = measured(application, Predictor(application), application.view(units), None)
        return application.task.measure(found.statistics)["nats_per_token"]

    before = nats()
    calibrate(application, Predictor(application), units)
    # An untrained softmax knows nothing, and the text says the same again and again.
    assert float(application.model.get_layer("cache").share) > 0.1
    assert nats() < 0.8 * before
    application.served.save(tmp_path / "model.keras")
    again = Generation.restored(
        application.config, 1, keras.models.load_model(tmp_path / "model.keras")
    )
    view = again.view(again.input.units(examples))
    found = measured(again, Predictor(again), view, None)
    assert again.task.measure(found.statistics)["nats_per_token"] == pytest.approx(nats())


def test_token_by_token_says_what_the_whole_says(run: Run) -> None:
    application = run.application
    for prompt, options in (
        ("The old king", {"temperature": 0.9, "seed": 3}),
        ("", {"temperature": 0.0, "seed": 0}),
        ("b\n", {"temperature": 1.5, "seed": 8, "top_k": 4, "top_p": 0.9}),
    ):
        whole = run.predict([{"text": prompt, **options}])[0]["text"]
        states = {
            name: tf.zeros([1, *spec.shape[1:]], spec.dtype)
            for name, spec in application.stream_states().items()
        }
        usual = {"top_k": 0, "top_p": 1.0, **options}
        said = {
            name: tf.constant([usual[name]], spec.dtype)
            for name, spec in application.stream_inputs().items()
            if name != "text"
        }
        parts = []
        for number in range(20):
            text = tf.constant([prompt if number == 0 else ""])
            answer = application.step(text=text, **said, **states)
            states = {name: answer[name] for name in states}
            parts.append(answer["text"].numpy()[0].decode())
        assert "".join(parts) == whole


def test_a_stream_prints_the_text_that_predict_gives(
    run: Run, tmp_path: Path, answered: Callable[..., str], refused: Callable[..., str]
) -> None:
    (prompt := tmp_path / "prompt.txt").write_text("The old king\n", encoding="utf-8")
    expected = run.predict([{"text": "The old king", "seed": 5}])[0]["text"]
    assert answered("stream", run.folder, prompt, "--seed", 5) == f"{expected}\n"
    stop = expected[7]
    printed = answered("stream", run.folder, prompt, "--seed", 5, "--stop", stop, "--json")
    said = "".join(json.loads(line)["text"] for line in printed.splitlines())
    assert said == expected.partition(stop)[0]
    line = refused("stream", run.folder, prompt, "--temperature=-1")
    assert "--temperature -1: must be at least 0" in line


def test_prompts_come_from_lines_and_rows(
    run: Run, tmp_path: Path, answered: Callable[..., str], refused: Callable[..., str]
) -> None:
    (lines := tmp_path / "prompts.txt").write_text("The king\n\nA baker\n", encoding="utf-8")
    printed = answered("predict", run.folder, "--file", lines)
    answers = [json.loads(line) for line in printed.splitlines()]
    assert [answer["text"] for answer in answers] == [
        one["text"] for one in run.predict(["The king", "", "A baker"])
    ]
    rows = [
        {"text": "The king", "temperature": 0, "max_tokens": 5},
        {"text": "The king", "top_k": 10_000_000, "seed": 4, "stop": " "},
        {"text": "The king", "max_tokens": 0},
    ]
    (table := tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    printed = answered("predict", run.folder, "--file", table)
    answers = [json.loads(line) for line in printed.splitlines()]
    assert [answer["tokens"] for answer in answers[::2]] == [5, 0]
    assert " " not in answers[1]["text"]
    rows[1]["temperature"] = -2
    table.write_text("\n".join(map(json.dumps, rows)))
    line = refused("predict", run.folder, "--file", table)
    assert "rows.jsonl row 2: temperature is -2; give a number from 0 to 100" in line


def test_any_file_is_measured_token_by_token(run: Run, tmp_path: Path) -> None:
    text = prose(1, 5)
    (file := tmp_path / "other.txt").write_text(text, encoding="utf-8")
    found = run.evaluate(file)
    assert found["nats_per_token"] == pytest.approx(found["nats_per_character"])
    assert found["unknown"] == 0
    nats = run.predict([{"text": text, "max_tokens": 0}])[0]["prompt_nats"]
    assert len(nats) == len(text)
    assert np.mean(nats) == pytest.approx(found["nats_per_token"], abs=1e-3)
    file.write_text(text + "ß", encoding="utf-8")
    found = run.evaluate(file)
    assert found["unknown"] == pytest.approx(1 / (len(text) + 1))
    assert found["nats_per_character"] is None
    assert np.isfinite(found["perplexity"])


def test_odd_prompts_are_answered(run: Run) -> None:
    prompts = ["", "שלום עולם", "🙂🙂", "e\u0301", "a\r\nb", "ßß", "word " * 10_000]
    for answer in run.predict([{"text": prompt, "max_tokens": 3} for prompt in prompts]):
        assert answer["tokens"] == 3
        assert all(np.isfinite(answer["prompt_nats"]))


def test_a_request_of_the_text_alone_gets_what_is_usual(run: Run) -> None:
    signatures = run.application.signatures()
    text = tf.constant(["The king", ""])
    alone = signatures["serving_default"].call(text)
    usual = run.application.raw(Examples({"text": ["The king", ""]}, ["a", "b"], ""))
    asked = signatures["generate"].call(*(tf.constant(value) for value in usual.values()))
    assert alone["text"].numpy().tolist() == asked["text"].numpy().tolist()


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "every text is empty"),
        (b" \n\n\t ", "every text is empty"),
        (b"a longer text with a \0 in it\n", "a zero byte"),
        (b"a", "too short to hold back"),
        ("Grüße".encode("latin-1") * 9, "is not UTF-8"),
    ],
)
def test_files_that_are_no_texts_are_refused(content: bytes, what: str, tmp_path: Path) -> None:
    (file := tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(apps.UserError, match=what):
        apps.train("generation", file, run=tmp_path / "run", log=lambda line: None, **SMALL)
    assert not (tmp_path / "run").exists()


def test_a_vocabulary_of_one_goes_on() -> None:
    application = composed(["a" * 400])
    raw = application.raw(Examples({"text": ["a"], "max_tokens": [4]}, ["a"], ""))
    answer = application.served({name: tf.constant(value) for name, value in raw.items()})
    assert answer["text"].numpy().tolist() == [b"aaaa"]
    with pytest.raises(apps.UserError, match="has a single token"):
        composed(["a"])


def test_sources_of_whole_texts(tmp_path: Path) -> None:
    columns = Generation.columns()
    (tmp_path / "below").mkdir()
    (tmp_path / "b.txt").write_text("second\ntext")
    (tmp_path / "below" / "a.txt").write_text("first")
    (tmp_path / "._b.txt").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert list(read(tmp_path, columns)["text"]) == ["second\ntext", "first"]
    (tokens := tmp_path / "wiki.train.tokens").write_text("a text of another suffix")
    assert list(read(tokens, columns)["text"]) == ["a text of another suffix"]
    (table := tmp_path / "t.csv").write_text('text,label\n"one\ntwo",x\nthree,y\n')
    assert list(read(table, columns)["text"]) == ["one\ntwo", "three"]
    assert list(read(tmp_path / "b.txt", columns, asking=True)["text"]) == ["second", "text"]


def test_a_noun_and_its_verb_agree_across_clauses() -> None:
    for clauses in range(4):
        found = agreements(0, 200, clauses)
        nouns = [one.prefix.partition(" that ")[0].split()[-1] for one in found]
        several = [noun.endswith("s") for noun in nouns]
        for one, plural in zip(found, several, strict=True):
            assert one.prefix.count(" that ") == clauses
            assert one.right.endswith("s") != plural
            assert one.wrong.endswith("s") == plural
        assert 60 < sum(several) < 140
    assert sample_prose(3)["text"] == sample_prose(3)["text"]
