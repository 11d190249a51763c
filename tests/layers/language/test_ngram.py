"""N-gram models: estimates, ARPA files, scores with back-off."""

from __future__ import annotations

import gzip
import itertools
import math
import random
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from apps.errors import UserError
from apps.layers.language.ngram import NgramModel

GRAMMAR = {
    "<s>": ["go", "turn", "stop", "please"],
    "please": ["go", "turn", "stop"],
    "go": ["left", "right", "on"],
    "turn": ["left", "right"],
    "left": ["then", "now"],
    "right": ["then", "now"],
    "then": ["go", "turn", "stop"],
}


def commands(count: int, seed: int) -> list[str]:
    """Sentences of a small grammar, most of them short."""
    draw = random.Random(seed)
    sentences = []
    for _ in range(count):
        words = ["<s>"]
        while len(words) < 12 and words[-1] in GRAMMAR:
            words.append(draw.choice(GRAMMAR[words[-1]]))
        sentences.append(" ".join(words[1:]))
    return sentences


@pytest.fixture(scope="module")
def model() -> NgramModel:
    return NgramModel.train(commands(300, seed=0), order=3)


def probability(model: NgramModel, word: str, *context: str) -> float:
    return 10 ** model.log10(word, context)


def test_a_case_worked_out_by_hand() -> None:
    """Two sentences are too few to estimate discounts, so 0.5, 1 and 1.5 are used."""
    model = NgramModel.train(["a b", "a a"], order=2)
    assert model.words == ("<unk>", "<s>", "</s>", "a", "b")
    expected = {
        ("<unk>",): 0.5 / 4,
        ("</s>",): 1 / 5 + 0.5 / 4,
        ("a",): 1 / 5 + 0.5 / 4,
        ("b",): 0.5 / 5 + 0.5 / 4,
        ("a", "<s>"): 1 / 2 + 0.5 * 0.325,
        ("b", "<s>"): 0.5 * 0.225,
        ("b", "a"): 0.5 / 3 + 0.5 * 0.225,
        ("a", "a"): 0.5 / 3 + 0.5 * 0.325,
        ("</s>", "a"): 0.5 / 3 + 0.5 * 0.325,
        ("</s>", "b"): 0.5 + 0.5 * 0.325,
        ("zebra", "a"): 0.5 * 0.125,
        ("a", "zebra"): 0.325,
    }
    for (word, *context), value in expected.items():
        assert probability(model, word, *context) == pytest.approx(value, rel=1e-5)


def literal_kneser_ney(sentences: list[str], order: int) -> dict[tuple[str, ...], float]:
    """Probabilities of all n-grams by the printed formulas, over dictionaries."""
    counts: Counter[tuple[str, ...]] = Counter()
    for sentence in sentences:
        words = ["<s>", *sentence.split(), "</s>"]
        for k in range(1, order + 1):
            counts.update(tuple(words[i : i + k]) for i in range(len(words) - k + 1))
    left = defaultdict(set)
    for gram in counts:
        left[gram[1:]].add(gram[0])
    adjusted = {
        gram: count if len(gram) == order or gram[0] == "<s>" else len(left[gram])
        for gram, count in counts.items()
        if gram != ("<s>",)
    }
    vocabulary = len({gram for gram in adjusted if len(gram) == 1}) + 1  # with <unk>
    found: dict[tuple[str, ...], float] = {}
    for k in range(1, order + 1):
        grams = {gram: count for gram, count in adjusted.items() if len(gram) == k}
        of = Counter(grams.values())
        y = of[1] / (of[1] + 2 * of[2])
        discounts = {n: n - (n + 1) * y * of[n + 1] / of[n] for n in (1, 2, 3)}
        assert all(0 < discounts[n] <= n for n in discounts)
        after = defaultdict(list)
        for gram, count in grams.items():
            after[gram[:-1]].append(count)
        for gram, count in grams.items():
            same = after[gram[:-1]]
            gamma = sum(discounts[min(other, 3)] for other in same) / sum(same)
            lower = found[gram[1:]] if k > 1 else 1 / vocabulary
            found[gram] = (count - discounts[min(count, 3)]) / sum(same) + gamma * lower
    return found


def test_estimates_are_those_of_the_printed_formulas() -> None:
    draw = random.Random(3)
    words = [f"w{round(draw.paretovariate(0.7))}" for _ in range(3000)]
    sentences = [" ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    model = NgramModel.train(sentences, order=3)
    expected = literal_kneser_ney(sentences, order=3)
    assert len(expected) > 2500
    for gram, value in expected.items():
        assert probability(model, gram[-1], *gram[:-1]) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("order", range(1, 7))
def test_probabilities_sum_to_one_after_any_context(order: int) -> None:
    model = NgramModel.train(commands(60, seed=1), order)
    assert model.order == order
    words = [word for word in model.words if word != "<s>"]
    contexts: list[tuple[str, ...]] = [
        (),
        ("<s>",),
        ("<s>", "go"),
        ("go", "left", "then"),
        ("left", "left"),
        ("now", "zebra"),
        ("zebra", "go"),
        ("<s>", "go", "left", "then", "stop", "now"),
    ]
    for context in contexts:
        total = sum(probability(model, word, *context) for word in words)
        assert total == pytest.approx(1, abs=1e-5), context


@pytest.mark.parametrize(
    "transcripts",
    [["a"], ["a"] * 20, ["a a a a a a a a"], [*"abcdefghij"], ["one two", "", "one"]],
)
@pytest.mark.parametrize("order", [1, 3, 6])
def test_tiny_transcripts_give_a_proper_distribution(transcripts: list[str], order: int) -> None:
    model = NgramModel.train(transcripts, order)
    words = [word for word in model.words if word != "<s>"]
    for context in [(), ("<s>",), ("<s>", "a"), ("a", "a", "a"), ("one", "two")]:
        values = [probability(model, word, *context) for word in words]
        assert min(values) > 0
        assert sum(values) == pytest.approx(1, abs=1e-5)
    assert model.order <= max(len(text.split()) for text in transcripts) + 2
    assert perplexity(model, transcripts) < math.inf


def perplexity(model: NgramModel, texts: list[str]) -> float:
    """Per word, with the end of each text counted as a word."""
    scores = []
    for text in texts:
        said = ["<s>", *text.split(), "</s>"]
        scores += [model.log10(word, said[:place]) for place, word in enumerate(said) if place]
    return 10 ** -(sum(scores) / len(scores))


def test_context_helps_on_sentences_not_seen(model: NgramModel) -> None:
    unseen = commands(100, seed=2)
    unigram = NgramModel.train(commands(300, seed=0), order=1)
    assert perplexity(model, unseen) < 0.5 * perplexity(unigram, unseen)


def test_special_words_in_transcripts_are_no_words_of_their_own() -> None:
    marked = NgramModel.train(["<s> yes no </s>", "yes <unk>"], order=2)
    assert marked.words == ("<unk>", "<s>", "</s>", "no", "yes")
    assert probability(marked, "zebra", "yes") > 0.2


def test_what_cannot_be_trained_is_said() -> None:
    for transcripts in ([], ["", "  "], ["<s> </s>"]):
        with pytest.raises(UserError, match="no transcript has a word"):
            NgramModel.train(transcripts)
    with pytest.raises(UserError, match="give one from 1 to 6"):
        NgramModel.train(["a"], order=7)


# ARPA files


def katz(grams: dict[tuple[str, ...], tuple[float, float]], words: tuple[str, ...]) -> float:
    """Score of the last word by the recursion that defines ARPA files."""
    if words in grams:
        return grams[words][0]
    if len(words) == 1:
        return grams[("<unk>",)][0]
    return grams.get(words[:-1], (0, 0.0))[1] + katz(grams, words[1:])


def listed(path: Path) -> dict[tuple[str, ...], tuple[float, float]]:
    grams, order = {}, 0
    for line in path.read_text().splitlines():
        fields = line.split()
        if line.startswith("\\") and line.endswith("-grams:"):
            order = int(line[1:-7])
        elif order and len(fields) > order:
            backoff = float(fields[order + 1]) if len(fields) == order + 2 else 0.0
            grams[tuple(fields[1 : order + 1])] = (float(fields[0]), backoff)
    return grams


@pytest.mark.parametrize("name", ["model.arpa", "model.arpa.gz"])
def test_a_written_model_is_read_back_bit_by_bit(
    model: NgramModel, name: str, tmp_path: Path
) -> None:
    model.write_arpa(tmp_path / name)
    again = NgramModel.read_arpa(tmp_path / name)
    assert again.words == model.words
    for level, same in zip(model.levels, again.levels, strict=True):
        for array in ("contexts", "words", "log10", "backoff"):
            np.testing.assert_array_equal(getattr(same, array), getattr(level, array))


def test_scores_are_those_of_the_format(model: NgramModel, tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    model.write_arpa(path)
    grams = listed(path)
    assert Counter(len(gram) for gram in grams) == {
        order: len(level) for order, level in enumerate(model.levels, 1)
    }
    draw = random.Random(5)
    words = [word for word in model.words if word != "<s>"]
    for _ in range(500):
        context = draw.choices(words, k=draw.randint(0, 4))
        if draw.random() < 0.3:
            context = ["<s>", *context]
        word = draw.choice(words)
        expected = katz(grams, (*context[-2:], word))
        assert model.log10(word, context) == pytest.approx(expected, rel=1e-5, abs=1e-6)


PRUNED = """
made by hand; the trigram's shorter end "no no" is not listed

\\data\\
ngram 1=5
ngram  2 = 2
ngram 3=1

\\1-grams:
-1.0 <UNK>
-99 <s> -0.5
-0.7\t</s>
-0.4\tyes\t-0.25
-0.6   no   -0.125

\\2-grams:
-0.2 <s> yes -0.3
-0.3 yes no

\\3-grams:
-0.1 <s> yes no

\\end\\
anything may follow
"""


def test_a_pruned_file_with_spaces_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "pruned.arpa"
    path.write_text(PRUNED)
    model = NgramModel.read_arpa(path)
    assert model.words == ("<unk>", "<s>", "</s>", "yes", "no")
    grams = listed(path)
    grams[("<unk>",)] = grams.pop(("<UNK>",))
    for length in range(4):
        for context in itertools.product(["yes", "no", "<unk>"], repeat=length):
            for word in ("yes", "no", "</s>", "<unk>"):
                for said in (context, ("<s>", *context)):
                    expected = katz(grams, (*said[-2:], word))
                    assert model.log10(word, said) == pytest.approx(expected, abs=1e-6)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert NgramModel.read_arpa(path).log10("no", ["<s>", "yes"]) == pytest.approx(-0.1)


def test_a_file_without_special_words(tmp_path: Path) -> None:
    path = tmp_path / "bare.arpa"
    path.write_text("\\data\\\nngram 1=1\n\n\\1-grams:\n-inf\tja\n\n\\end\\\n")
    model = NgramModel.read_arpa(path)
    assert model.words == ("<unk>", "<s>", "</s>", "ja")
    assert [model.log10(word) for word in ("ja", "nein", "</s>")] == [-99, -99, -99]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("\\data\\", "data", r"line \d+: no '\\data\\'"),
        ("ngram 1=5", "ngram 1=6", r"line 16: one of 6 1-grams expected"),
        ("ngram 1=5", "ngram 1=4", r"line 14: '\\2-grams:' expected"),
        ("ngram 1=5", "ngram 1=0", "no count of single words"),
        ("ngram 3=1", "ngram 4=1", r"line 7: 'ngram 3=…' expected"),
        ("\\3-grams:", "\\4-grams:", r"line 20: '\\3-grams:' expected"),
        ("-0.3 yes no", "-0.3 yes maybe", "line 18: 'maybe' is not among the 1-grams"),
        ("-0.3 yes no", "-0.3x yes no", "line 18: '-0.3x' is no log10"),
        ("-0.3 yes no", "0.3 yes no", "line 18: '0.3' is no log10"),
        ("-0.3 yes no", "-0.3 yes no nan", "line 18: 'nan' is no log10"),
        ("-0.3 yes no", "-0.3 yes no no -1", "line 18: one of 2 2-grams expected"),
        ("-0.3 yes no", "-0.3 <s> yes", "line 18: the same n-gram a second time"),
        ("-0.6   no   -0.125", "-0.6 yes", "line 14: the same n-gram a second time"),
        ("-0.1 <s> yes no", "-0.1 no yes no", "line 21: the first 2 words are no 2-gram"),
        ("\\end\\\nanything may follow\n", "", r"line \d+: '\\end\\' expected"),
        ("-0.4\tyes", "-0.4\ty\ufffdes", "'yes' is not among the 1-grams"),
    ],
)
def test_a_damaged_file_is_refused_with_its_line(
    old: str, new: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.arpa"
    assert old in PRUNED
    path.write_text(PRUNED.replace(old, new, 1))
    with pytest.raises(UserError, match=rf"damaged\.arpa: .*{message}"):
        NgramModel.read_arpa(path)


def test_files_that_are_no_text_or_cut_off(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        NgramModel.read_arpa(tmp_path / "none.arpa")
    with pytest.raises(UserError, match="cannot be read"):
        NgramModel.read_arpa(tmp_path)
    path = tmp_path / "model.arpa"
    packed = gzip.compress(PRUNED.encode())
    for damaged in (packed[:60], packed[:20] + b"\xff" * 8 + packed[28:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="cannot be read"):
            NgramModel.read_arpa(path)
    path.write_bytes(PRUNED.replace("yes", "caf\u00e9").encode("latin-1"))
    with pytest.raises(UserError, match="not in UTF-8"):
        NgramModel.read_arpa(path)
    path.write_bytes(b"")
    with pytest.raises(UserError, match=r"no '.data.' in the file"):
        NgramModel.read_arpa(path)


def test_nothing_is_left_of_a_file_that_cannot_be_written(
    model: NgramModel, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match="none"):
        model.write_arpa(tmp_path / "none" / "model.arpa")
    assert list(tmp_path.iterdir()) == []
