"""The problems that memory is measured on have the answers that they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.memory import built, read, table, trained
from benchmarks.memory_tasks import problems


def test_sums_are_of_the_two_marked_numbers() -> None:
    x, target = problems((50,))["adding, 50 steps"]().test
    assert x.shape == (1000, 50, 2)
    assert x[..., 1].sum(1).tolist() == [2.0] * 1000
    np.testing.assert_allclose((x[..., 0] * x[..., 1]).sum(1), target[:, 0], rtol=1e-6)
    assert np.var(target) == pytest.approx(1 / 6, rel=0.1)


def test_what_is_copied_stood_so_many_steps_before() -> None:
    x, target = problems((30,))["copy, 30 steps"]().test
    ids = x.argmax(-1)
    assert (target[:, :-10] == -1).all()
    np.testing.assert_array_equal(ids[:, :10], target[:, -10:])
    # From a symbol to where it is asked for.
    assert ids.shape[1] - 10 == 30 + 10
    assert (ids[0, 39:] == 8).sum() + (ids[0, 39:] == 9).sum() == len(ids[0, 39:])


def test_states_are_those_of_the_group() -> None:
    made = problems(())
    x, parity = made["parity"]().test
    np.testing.assert_array_equal(x[0, :, 1].cumsum() % 2, parity[0])
    x, target = made["permutations of five"]().test
    assert set(target.ravel()) == set(range(60))
    # A cycle of three, thrice, is nothing; and so is one of five, five times.
    ids = x.argmax(-1)
    for row, states in zip(ids, target, strict=True):
        for step in range(3, len(row)):
            if (row[step - 2 : step + 1] == 0).all():
                assert states[step] == states[step - 3]
        for step in range(5, len(row)):
            if (row[step - 4 : step + 1] == 1).all():
                assert states[step] == states[step - 5]


def test_digits_stand_on_one_side_only() -> None:
    plain, mixed = (problems(())[name]() for name in ("digits", "digits, permuted"))
    assert len(plain.test[0]) == 397
    assert (plain.test[1][:, :-1] == -1).all()
    np.testing.assert_allclose(np.sort(plain.test[0], 1), np.sort(mixed.test[0], 1))


@pytest.mark.parametrize("model", ["lstm, chrono", "minlstm"])
def test_a_training_is_measured_and_its_line_is_read_again(model: str, tmp_path: Path) -> None:
    problem = problems((10,))["adding, 10 steps"]()
    wanted = built("lstm", 2, 0, 10, 0).count_params()
    assert built(model, 2, 0, 10, 0).count_params() == pytest.approx(wanted, rel=0.05)
    found, again = (trained(problem, model, 0, 3e-3, 120, 5.0) for _ in range(2))
    assert found["error"] == again["error"] < 0.167
    assert table([]).count("\n") == 1
    assert read(tmp_path / "none") == []
