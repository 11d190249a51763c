"""Batches of pairs that are alike in both lengths."""

from __future__ import annotations

import numpy as np

from apps.data import Rows, Sequences


def view(rows: int = 900) -> Rows:
    draw = np.random.default_rng(0)
    sizes = draw.integers(1, 40, (rows, 2))
    columns = {
        "ids": Sequences.from_rows([np.full(own, n) for n, (own, _) in enumerate(sizes)]),
        "target": Sequences.from_rows([np.full(other, n) for n, (_, other) in enumerate(sizes)]),
    }
    return Rows(columns, alike="target")


def test_every_row_comes_once_whole_and_with_little_padding() -> None:
    rows = view()
    batches = rows.epoch(30, seed=1, epoch=0)
    assert sorted(np.concatenate([batch.rows for batch in batches])) == list(range(900))
    padding = steps = 0
    for batch in batches:
        arrays = rows.fetch(batch)
        for name, own in (("ids", "lengths"), ("target", "target_lengths")):
            lengths = rows.columns[name].lengths
            assert lengths is not None
            assert (arrays[own] == lengths[batch.rows]).all()
        padding += arrays["target"].size - int(arrays["target_lengths"].sum())
        steps += int(arrays["target_lengths"].sum())
    assert padding < 0.15 * steps


def test_an_epoch_follows_from_seed_and_number() -> None:
    one, same, other = (view().epoch(30, 1, n) for n in (0, 0, 1))
    assert all((a.rows == b.rows).all() for a, b in zip(one, same, strict=True))
    assert any((a.rows != b.rows).any() for a, b in zip(one, other, strict=True))


def test_rows_without_a_target_are_measured_by_the_source() -> None:
    rows = Rows({"ids": view().columns["ids"]}, alike="target")
    assert sum(len(batch.rows) for batch in rows.sweep(64)) == 900
    assert len(rows.epoch(64, 0, 0)) == 15
