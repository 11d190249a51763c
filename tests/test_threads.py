"""Work in threads: in order, and never far ahead of who takes it."""

from __future__ import annotations

import os
from collections.abc import Iterator

from apps.threads import in_threads


def test_results_come_in_order_and_items_are_taken_a_few_ahead() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(100):
            taken = item + 1
            yield item

    for number, made in enumerate(in_threads(lambda item: item * item, items()), 1):
        assert made == (number - 1) ** 2
        assert taken <= number + (os.cpu_count() or 1)
    assert number == 100
