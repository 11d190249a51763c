"""Transcripts to tokens and back: characters and pieces."""

from __future__ import annotations

import json
import random

import pytest

from apps.errors import UserError
from apps.layers.ctc.tokens import BLANK, SPACE, Tokens, normalized

TRANSCRIPTS = [
    "the thin thief thanked them",
    "their  other\tbrother\n bathes",
    "Äpfel kosten drei Euro",
    "nothing gathers there either",
]


@pytest.fixture(scope="module")
def pieces() -> Tokens:
    return Tokens.adapt(TRANSCRIPTS * 3, kind="pieces", size=60)


def test_characters_are_those_of_the_transcripts_case_kept() -> None:
    tokens = Tokens.adapt(["b a", "A ç"])
    assert tokens.texts == ("", " ", "A", "a", "b", "ç")
    assert len(tokens) == 6
    assert tokens.encode("b a") == [4, SPACE, 3]


def test_white_space_and_composition_are_normalised() -> None:
    assert normalized(" a\u00a0 e\u0301\n") == "a é"
    tokens = Tokens.adapt(["a é"])
    assert tokens.encode("\te\u0301   a ") == tokens.encode("é a") == [3, SPACE, 2]
    assert tokens.encode("  ") == []


def test_unseen_characters_are_dropped_and_told_or_refused() -> None:
    tokens = Tokens.adapt(["a b"])
    assert tokens.unseen("xa b?") == "x?"
    assert tokens.unseen("a b") == ""
    assert tokens.encode("xa ?? b?") == tokens.encode("a b")
    assert tokens.encode("xyz") == []
    assert tokens.encode("a b", unknown="error") == [2, SPACE, 3]
    with pytest.raises(UserError, match="'x' is in no training transcript"):
        tokens.encode("ax", unknown="error")


def test_pieces_stay_within_words_and_include_every_character(pieces: Tokens) -> None:
    assert pieces.kind == "pieces"
    assert len(pieces) <= 60
    assert pieces.texts[:2] == ("", " ")
    assert not any(" " in text or "\u2581" in text for text in pieces.texts[2:])
    assert set("".join(TRANSCRIPTS).replace(" ", "").replace("\t", "").replace("\n", "")) <= set(
        pieces.texts
    )
    assert len(pieces.encode(TRANSCRIPTS[0])) < len(TRANSCRIPTS[0])


def test_a_word_is_spelt_alike_wherever_it_stands(pieces: Tokens) -> None:
    there, brother = pieces.spell("there"), pieces.spell("brother")
    assert there is not None
    assert brother is not None
    assert pieces.encode("there brother there") == [*there, SPACE, *brother, SPACE, *there]


def test_words_that_cannot_be_spelt(pieces: Tokens) -> None:
    for tokens in (pieces, Tokens.adapt(TRANSCRIPTS)):
        assert tokens.spell("thx") is None
        assert tokens.spell("the thin") is None
        assert tokens.spell("") is None
        assert tokens.spell("e\u0301") is None
        assert tokens.spell("A\u0308pfel") == tokens.encode("Äpfel")


@pytest.mark.parametrize("kind", ["characters", "pieces"])
def test_text_of_ids_is_the_normalised_transcript(kind: str, pieces: Tokens) -> None:
    tokens = pieces if kind == "pieces" else Tokens.adapt(TRANSCRIPTS)
    draw = random.Random(1)
    letters = sorted(set("".join(TRANSCRIPTS)))
    for text in [*TRANSCRIPTS, *("".join(draw.choices(letters, k=30)) for _ in range(50))]:
        ids = tokens.encode(text)
        assert BLANK not in ids
        assert tokens.text(ids) == normalized(text)


@pytest.mark.parametrize("kind", ["characters", "pieces"])
def test_equal_tokens_come_back_from_json(kind: str, pieces: Tokens) -> None:
    tokens = pieces if kind == "pieces" else Tokens.adapt(TRANSCRIPTS)
    again = Tokens.from_config(json.loads(json.dumps(tokens.to_config())))
    assert again.texts == tokens.texts
    assert [again.encode(text) for text in TRANSCRIPTS] == [
        tokens.encode(text) for text in TRANSCRIPTS
    ]


@pytest.mark.parametrize("odd", ["a\u2581b", "\u2585a", "a\0b", "<unk>", "<s>", "🎬x", "\u200bab"])
def test_odd_words_give_no_blank(odd: str) -> None:
    tokens = Tokens.adapt([f"ab xy {odd}", "ab"], kind="pieces", size=40)
    ids = tokens.encode(f"ab {odd} xy")
    assert BLANK not in ids
    kept = "".join(c for c in odd if c not in tokens.unseen(odd))
    assert tokens.text(ids) == normalized(f"ab {kept} xy")


def test_what_cannot_be_learnt_is_said() -> None:
    with pytest.raises(UserError, match="no transcript has a letter"):
        Tokens.adapt(["", "  "])
    with pytest.raises(UserError, match="no transcript has a letter"):
        Tokens.adapt([], kind="pieces")
    with pytest.raises(UserError, match=r"pieces 5: too few for the 6 .* give 8 or more"):
        Tokens.adapt(["abc def"], kind="pieces", size=5)
    with pytest.raises(UserError, match="no such kind"):
        Tokens.adapt(["a"], kind="words")
