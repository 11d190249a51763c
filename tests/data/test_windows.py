"""Windows over series, and the split by time with a gap between its sides."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from apps.data import Windows, split_by_time


def series_of(*lengths: int) -> list[np.ndarray]:
    """Series whose values tell series and step."""
    return [
        np.stack([np.full(length, number), np.arange(length)], 1)
        for number, length in enumerate(lengths)
    ]


FORMS = list(product((1, 3, 8), (0, 1, 4), (1, 2, 5, 20)))


@pytest.mark.parametrize(("context", "horizon", "stride"), FORMS)
def test_windows_are_those_that_fit(context: int, horizon: int, stride: int) -> None:
    series = series_of(0, 1, 7, 8, 30, 11)
    windows = Windows(series, context, horizon, stride)
    expected = [
        (number, start)
        for number, one in enumerate(series)
        for start in range(0, len(one), stride)
        if start + context + horizon <= len(one)
    ]
    assert windows.places.tolist() == [list(place) for place in expected]
    assert len(windows) == len(expected)
    for window, (number, start) in enumerate(expected):
        steps = range(start, start + context)
        assert windows[window].tolist() == [[number, step] for step in steps]
        behind = range(start + context, start + context + horizon)
        assert windows.future(window).tolist() == [[number, step] for step in behind]


def test_the_last_window_ends_where_its_series_ends() -> None:
    windows = Windows(series_of(12), context=4, horizon=2)
    assert windows.future(len(windows) - 1)[-1].tolist() == [0, 11]


def test_series_that_are_all_too_short_have_no_windows() -> None:
    windows = Windows(series_of(3, 0), context=4)
    assert (len(windows), windows.places.shape, windows.blocks.shape) == (0, (0, 2), (0,))
    assert len(Windows([], context=4)) == 0


@pytest.mark.parametrize(("context", "horizon", "stride"), FORMS)
def test_windows_that_share_a_step_are_in_one_block_or_in_neighbouring_ones(
    context: int, horizon: int, stride: int
) -> None:
    windows = Windows(series_of(30, 7, 25), context, horizon, stride)
    size, blocks, places = context + horizon, windows.blocks, windows.places
    assert sorted(set(blocks)) == list(range(max(blocks) + 1))
    for one, other in product(range(len(windows)), repeat=2):
        same, apart = places[one, 0] == places[other, 0], abs(places[one, 1] - places[other, 1])
        if blocks[one] == blocks[other]:
            assert same
            assert apart < size
        elif same and apart < size:
            assert abs(blocks[one] - blocks[other]) == 1


@pytest.mark.parametrize("wrong", [{"context": 0}, {"horizon": -1}, {"stride": 0}])
def test_sizes_that_make_no_window(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        Windows(series_of(9), **{"context": 2, **wrong})


@pytest.mark.parametrize("length", [0, 1, 10, 99, 1000])
@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
@pytest.mark.parametrize("gap", [0, 1, 24])
def test_sides_are_parted_by_the_gap(length: int, fraction: float, gap: int) -> None:
    training, validation = split_by_time(length, fraction, gap)
    steps = np.arange(length)
    learnt, held_out = steps[training], steps[validation]
    assert len(held_out) == round(fraction * length)
    assert len(learnt) == max(length - len(held_out) - gap, 0)
    if len(learnt):
        assert learnt[0] == 0
    if len(held_out):
        assert held_out[-1] == length - 1
    if len(learnt) and len(held_out):
        assert held_out[0] - learnt[-1] == gap + 1


def test_no_window_of_one_side_touches_one_of_the_other() -> None:
    (one,) = series_of(200)
    context, horizon = 8, 4
    sides = [one[side] for side in split_by_time(len(one), 0.25, context + horizon)]
    seen = []
    for side in sides:
        windows = Windows([side], context, horizon, stride=3)
        assert len(windows) > 5
        both = (part for i in range(len(windows)) for part in (windows[i], windows.future(i)))
        seen.append(np.concatenate(list(both))[:, 1])
    assert seen[0].max() + context + horizon < seen[1].min()
