"""Numbers: what is one, what is refused, what an empty cell becomes."""

import math
from decimal import Decimal

import numpy as np
import pytest

from apps.data import number, read
from apps.errors import UserError

COLUMNS = {"price": number()}
HOLES = {"price": number(missing="nan")}


def prices(values, columns=COLUMNS):
    return read({"price": values}, columns)["price"]


@pytest.mark.parametrize(
    "value", [1.5, "1.5", " 1.5\n", "1.5e0", b"1.5", np.float32(1.5), np.array(1.5), Decimal("1.5")]
)
def test_one_number_in_all_its_spellings(value):
    found = prices([2, value])
    assert found == [2.0, 1.5]
    assert all(type(one) is float for one in found)


@pytest.mark.parametrize("value", ["soon", "1,5", "1_000", "1.5 €", [1.0], {"a": 1}, 1j])
def test_what_is_no_number(value):
    with pytest.raises(UserError, match=r"dict row 2: the price is .*not a number; write it like"):
        prices([1, value])


@pytest.mark.parametrize("value", [math.inf, "-inf", "1e999"])
def test_infinite_numbers(value):
    with pytest.raises(UserError, match=r"dict row 2: the price is .*, not a finite number;"):
        prices([1, value])


@pytest.mark.parametrize("value", [None, "", "  ", "NaN", "nan", "NA", "null", math.nan])
def test_missing_numbers_are_refused_unless_they_may_be(value):
    with pytest.raises(UserError) as error:
        prices(["1", value, value])
    assert str(error.value) == (
        "dict row 2: the price is empty (2 of 3 rows); fill it in or remove the row"
    )
    first, second = prices(["1", value], HOLES)
    assert first == 1.0
    assert math.isnan(second)


def test_holes_do_not_hide_words():
    with pytest.raises(UserError, match=r"row 2: the price is 'x', not a number"):
        prices(["", "x"], HOLES)


def test_a_table_and_python_agree(tmp_path):
    path = tmp_path / "prices.csv"
    path.write_text("day,price\n1,0.1\n2,1e3\n3,-7\n")
    assert read(path, COLUMNS)["price"] == prices([0.1, 1000, -7])
    path.write_text("price\n0.1\nx\n")
    with pytest.raises(UserError, match=r"prices\.csv row 2: the price is 'x'"):
        read(path, COLUMNS)


def test_plain_numbers_where_nothing_else_is_required():
    assert read([1, 2.5], COLUMNS)["price"] == [1.0, 2.5]


def test_a_batch_is_refused():
    with pytest.raises(UserError, match=r"the price holds 2 values; pass single rows"):
        read([{"price": np.zeros(2)}], COLUMNS)
