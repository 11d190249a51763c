"""Lists of names: packaged, a user's own, or none; and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from apps.errors import UserError
from apps.layers.phrases import BEGINS, GOES_ON, NONE
from apps.layers.token_features import TokenFeatures
from apps.text.entities import Entities
from apps.text.known_names import PACKAGED, known_names
from apps.text.sample_news import sample_news

TEXTS = ["The quick brown fox jumps over the lazy dog, he said in St. John's."]


def codes(lists: dict[str, Any], text: str) -> dict[str, list[int]]:
    """What each token of a text is, by list."""
    features = TokenFeatures.adapt([text], 100, 8, letters=False, lists=lists, name="tokens")
    found = features(tf.constant([text]))["lists"].numpy()[0]
    return {name: found[:, number].tolist() for number, name in enumerate(lists["lists"])}


def test_packaged_names_know_persons_and_places(capsys: pytest.CaptureFixture[str]) -> None:
    lists = known_names(PACKAGED, TEXTS, letters=False)
    assert lists is not None
    (line,) = capsys.readouterr().err.splitlines()
    assert "first name" in line
    assert "lists=none" in line
    phrases = [line.split("\t")[0] for line in lists["lines"].splitlines()]
    assert phrases == sorted({*phrases})
    found = codes(lists, "john smith moved from los angeles to london, france")
    assert found["first name"][0] == found["surname"][1] == BEGINS
    assert found["city"][4:6] == [BEGINS, GOES_ON]
    assert found["city"][7] == BEGINS
    assert found["country"][9] == BEGINS
    assert found["first name"][3] == NONE
    # Another script is not in the training texts.
    assert not any("а" in phrase or "山" in phrase for phrase in phrases)
    assert known_names(PACKAGED, TEXTS, letters=False) == lists


def test_a_table_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "parts.tsv"
    file.write_text(
        "name\ttype\nPump 17\tpart\nSt. John's\tsite\npump 17\tpart\n山\tsite\nx\tsite\n"
    )
    lists = known_names(str(file), TEXTS, letters=False)
    assert lists == {
        "lists": ["part", "site"],
        "lines": "pump 00\t0\nst . john ' s\t1\n",
    }
    assert "2 of part, 1 of site; 2 left out" in capsys.readouterr().err
    found = codes(lists, "PUMP 42 of St. John's")
    assert found == {
        "part": [BEGINS, GOES_ON, *[NONE] * 6],
        "site": [*[NONE] * 3, BEGINS, *[GOES_ON] * 4],
    }


def test_names_that_cannot_be_in_the_texts_leave_no_lists(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "names.csv"
    file.write_text("name,type\n山,place\n", encoding="utf-8")
    assert known_names(str(file), TEXTS, letters=False) is None
    assert "0 of place; 1 left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("name,type\nPump,part\nValve\n", ["names.csv", "row 2"]),
        ("name,type\nPump,part\n,part\n", ["names.csv row 2", "name"]),
        ("name,type\nPump,\n", ["names.csv row 1", "type"]),
        ("Pump,part\n", ["names.csv", "columns 'name' and 'type'"]),
        ("name,type\n", ["names.csv"]),
        ("name,type\n" + "".join(f"a{n},t{n}\n" for n in range(32)), ["32 types", "at most 31"]),
    ],
)
def test_bad_tables_are_refused_by_row(content: str, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text(content)
    with pytest.raises(UserError) as refusal:
        known_names(str(file), TEXTS, letters=False)
    assert [word for word in words if word not in str(refusal.value)] == [], refusal.value


def test_a_missing_file_is_refused_before_training(
    refused: Callable[..., str], tmp_path: Path
) -> None:
    setting = f"lists={tmp_path / 'absent.csv'}"
    line = refused("train", "entities", "--set", setting, "--run", tmp_path / "run")
    assert "absent.csv" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("source", ["none", PACKAGED])
def test_with_and_without_lists(source: str) -> None:
    small = {"units": 4, "embedding": 4, "linear": True, "lists": source}
    application = Entities(Entities.Config.from_values(small))
    rows = application.check(sample_news(0, rows=60), learning=True)
    application.compose(rows)
    given = {tensor.name for tensor in application.model.inputs}
    assert ("lists" in given) == (source != "none")
    assert ("lists" in application.adapted["tokens"].inputs) == (source != "none")
    assert {"ids", "characters", "casing"} <= given
    assert len(application.view(application.input.units(rows))) == len(rows)
