"""What is measured of a language model, its n-grams, and its text as it comes."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from apps.data import Examples
from apps.layers.language.ngram import NgramModel
from apps.layers.text_tokens import CharacterTokens, WordTokens
from apps.layers.token_layer import UNKNOWN
from apps.tasks.language_modelling import LanguageModelling
from apps.tasks.language_modelling.follower import TextFollower
from apps.tasks.language_modelling.ngrams import NgramBaseline

TEXTS = ["the old king sleeps\nthe king", "a king that the old baker praises sleeps", "the baker"]


def windows(tokens: Any, text: str, size: int) -> Examples:
    ids, _ = tokens.flat([text])
    starts = range(0, len(ids), size)
    columns = {
        "ids": [ids[start : start + size] for start in starts],
        "context": [ids[max(0, start - 8) : start] for start in starts],
    }
    return Examples(columns, [f"window {start}" for start in starts], "windows")


@pytest.mark.parametrize("order", [1, 2, 3, 5])
def test_ngrams_are_those_of_a_back_off_model(order: int) -> None:
    tokens = WordTokens.adapt(TEXTS, 100, "spaces")
    baseline = NgramBaseline(tokens, order)
    baseline.fit(Examples({"text": TEXTS}, ["a", "b", "c"], "texts"))
    words = ["<unk>", "<s>", "</s>", *tokens.vocabulary]
    model = NgramModel(words, baseline.levels)
    text = "the old baker that the dragon praises sleeps the king the old king sleeps a a king"
    for size in (1, 4, 50):
        found = baseline.predict(windows(tokens, text, size))["log_probs"]
        read = np.concatenate([row[:size] for row in found])[: len(text.split())]
        history = ["<s>"]
        for place, word in enumerate(text.split()):
            known = word if word in tokens.vocabulary else "<unk>"
            context = history[-(order - 1) :] if order > 1 else ()
            right, ends = (10 ** model.log10(one, context) for one in (known, "</s>"))
            expected = np.log(right / (1 - ends))
            assert read[place] == pytest.approx(expected, abs=1e-4), (place, word)
            history.append(known)


def test_ngrams_of_any_context_add_up_to_one() -> None:
    tokens = CharacterTokens.adapt(TEXTS, 100)
    baseline = NgramBaseline(tokens, 4)
    baseline.fit(Examples({"text": TEXTS}, ["a", "b", "c"], "texts"))
    every = [*range(4, tokens.size), UNKNOWN]
    for context in ("", "t", "the", "ing", "xyz"):
        before, _ = tokens.flat([context])
        columns = {
            "ids": [np.array([token]) for token in every],
            "context": [before] * len(every),
        }
        found = baseline.predict(Examples(columns, [""] * len(every), ""))["log_probs"]
        assert np.exp(found).sum() == pytest.approx(1.0, abs=1e-4)
    other = NgramBaseline(tokens, 4)
    other.restore(baseline.state())
    rows = windows(tokens, TEXTS[1], 7)
    np.testing.assert_array_equal(
        other.predict(rows)["log_probs"], baseline.predict(rows)["log_probs"]
    )


def test_figures_are_counted_over_tokens_and_characters() -> None:
    task = LanguageModelling()
    tokens = WordTokens.adapt(TEXTS, 100, "spaces")
    task.adapted = {"tokens": tokens}
    king, the = (4 + tokens.vocabulary.index(word) for word in ("king", "the"))
    batch = {"target": np.array([[king, the, king], [the, 0, 0]]), "lengths": np.array([3, 1])}
    answered = {"log_probs": np.log(np.array([[0.5, 0.25, 0.5], [0.25, 0.9, 0.9]]))}
    statistics = task.statistics(batch, answered)
    assert statistics["tokens"].tolist() == [3, 1]
    assert statistics["characters"].tolist() == [14, 4]
    found = task.measure(statistics)
    nats = 2 * np.log(2) + 2 * np.log(4)
    assert found["nats_per_token"] == pytest.approx(nats / 4)
    assert found["perplexity"] == pytest.approx(np.exp(nats / 4))
    assert found["nats_per_character"] == pytest.approx(nats / 18)
    assert found["unknown"] == 0
    batch["target"][0, 1] = UNKNOWN
    found = task.measure(task.statistics(batch, answered))
    assert found["unknown"] == 0.25
    assert np.isnan(found["nats_per_character"])


@pytest.mark.parametrize("stop", ["", "end", "\n", "ab", "aab", "zz"])
def test_a_text_is_printed_up_to_its_stop_whatever_its_pieces(stop: str) -> None:
    text = "aaab the end\nend of it aab z"
    expected = text.partition(stop)[0] if stop else text
    draw = np.random.default_rng(0)
    for _ in range(20):
        cuts = sorted({0, len(text), *draw.integers(0, len(text), 6).tolist()})
        follower = TextFollower(stop)
        said = []
        for start, end in itertools.pairwise(cuts):
            answer = {"text": np.array(text[start:end].encode(), object)}
            said += follower.push(answer, end)
        said += follower.finish()
        assert "".join(decision.text for decision in said) == expected
        assert "".join(decision.fields["text"] for decision in said) == expected
