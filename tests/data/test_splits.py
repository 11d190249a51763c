"""Training and validation sides."""

from collections import Counter

import numpy as np
import pytest

from apps.data import Examples, split
from apps.errors import UserError


def examples(labels, groups=None):
    columns = {"text": [f"text {i}" for i in range(len(labels))], "label": list(labels)}
    if groups is not None:
        columns["group"] = [str(group) for group in groups]
    return Examples(columns, [f"data.csv row {i + 1}" for i in range(len(labels))], "data.csv")


def random_examples(seed, *, grouped):
    random = np.random.default_rng(seed)
    rows = int(random.integers(40, 400))
    labels = random.choice(list("abcd"), rows, p=[0.6, 0.25, 0.1, 0.05])
    return examples(labels, random.integers(0, rows // 4, rows) if grouped else None)


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("fraction", [0.1, 0.3])
def test_every_row_is_on_one_side_and_every_class_in_training(seed, fraction, grouped):
    rows = random_examples(seed, grouped=grouped)
    training, validation = split(rows, fraction, seed)
    assert sorted([*training["text"], *validation["text"]]) == sorted(rows["text"])
    assert set(training["label"]) == set(rows["label"])
    assert len(validation) == pytest.approx(fraction * len(rows), abs=1 + 0.1 * grouped * len(rows))
    if grouped:
        assert not set(training["group"]) & set(validation["group"])


@pytest.mark.parametrize("seed", range(20))
def test_classes_are_in_proportion(seed):
    rows = random_examples(seed, grouped=False)
    _, validation = split(rows, 0.2, seed)
    found = Counter(validation["label"])
    for label, count in Counter(rows["label"]).items():
        assert abs(found[label] - 0.2 * count) < 1.0 + 1e-9 or count < 3


def test_classes_are_in_proportion_where_whole_groups_allow_it():
    rows = examples("ab" * 300, np.arange(600) // 3)
    _, validation = split(rows, 0.2, 0)
    assert len(validation) == pytest.approx(120, abs=6)
    assert abs(Counter(validation["label"])["a"] - len(validation) / 2) <= 3


def test_equal_seeds_give_equal_sides_and_others_do_not():
    rows = examples("ab" * 50)
    assert split(rows, 0.2, 1) == split(rows, 0.2, 1)
    assert split(rows, 0.2, 1) != split(rows, 0.2, 2)


@pytest.mark.parametrize("groups", [None, range(60)])
def test_rows_keep_their_order_and_places(groups):
    training, validation = split(examples("abc" * 20, groups), 0.25, 3)
    for side in (training, validation):
        numbers = [int(text.split()[1]) for text in side["text"]]
        assert numbers == sorted(numbers)
        assert side.places == [f"data.csv row {number + 1}" for number in numbers]


def test_many_small_classes_still_leave_rows_to_validate_on():
    rows = examples([f"class {i // 2}" for i in range(200)])
    training, validation = split(rows, 0.1, 0)
    assert len(validation) == 20
    assert len(set(training["label"])) == 100


def test_a_class_of_one_row_is_trained_on():
    training, validation = split(examples("a" * 9 + "b"), 0.5, 0)
    assert Counter(training["label"]) == {"a": 4, "b": 1}
    assert Counter(validation["label"]) == {"a": 5}


def test_the_group_that_misses_the_fraction_least_is_taken_where_all_are_larger():
    rows = examples("ab" * 30, [0] * 30 + [1] * 20 + [2] * 10)
    _, validation = split(rows, 0.02, 0)
    assert set(validation["group"]) == {"2"}


def test_large_groups_are_not_preferred():
    rows = examples("ab" * 50, [0] * 10 + list(range(1, 91)))
    held_out = [split(rows, 0.1, seed)[1]["group"] for seed in range(30)]
    assert sum("0" in groups for groups in held_out) < 15


def test_a_group_that_holds_all_of_a_class_is_trained_on():
    rows = examples("a" * 20 + "b" * 5, [*range(20), *[99] * 5])
    for seed in range(10):
        training, validation = split(rows, 0.3, seed)
        assert "99" in training["group"]
        assert len(validation) > 0


def test_without_labels_rows_are_drawn_at_random():
    rows = Examples({"text": list("abcdefghij")}, [f"row {i}" for i in range(10)], "data.csv")
    training, validation = split(rows, 0.3, 0)
    assert (len(training), len(validation)) == (7, 3)


@pytest.mark.parametrize(
    "rows",
    [
        examples(""),
        examples("a"),
        examples("ab"),
        examples("aabb", [1, 1, 1, 1]),
        examples("aabb", [1, 1, 2, 2]),
    ],
)
def test_too_few_rows(rows):
    with pytest.raises(UserError) as error:
        split(rows, 0.5, 0)
    assert f"data.csv: {len(rows)} rows cannot be divided" in str(error.value)
    assert "--validation FILE" in str(error.value)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5])
def test_a_fraction_that_is_none(fraction):
    with pytest.raises(UserError, match="not between 0 and 1; give 0"):
        split(examples("abab"), fraction, 0)
