"""Training and validation rows: stratified, and no group on both sides."""

from __future__ import annotations

import numpy as np

from apps.data.examples import Examples
from apps.errors import UserError


def split(
    examples: Examples,
    fraction: float,
    seed: int,
    *,
    stratify: str | None = "label",
    group: str | None = "group",
) -> tuple[Examples, Examples]:
    """Set a fraction of the rows aside for validation.

    scikit-learn's stratified splits refuse classes of one row and validation sides smaller than the
    number of classes, and its grouped ones may leave a class out of training. Users' small data
    sets run into both.

    Args:
        examples: the rows.
        fraction: share of the rows that validation gets, between 0 and 1.
        seed: decides which rows; equal seeds give equal sides.
        stratify: column whose values have the same proportions on both sides. Like `group`, it is
            ignored where the examples have no such column.
        group: column whose values are never on both sides.

    Returns:
        Training and validation rows, each in their order; every class is on the training side.

    Raises:
        UserError: no split leaves every class on the training side and a row for validation.
    """
    if not 0.0 < fraction < 1.0:
        raise UserError(f"a validation fraction of {fraction:g} is not between 0 and 1; give 0.1")
    random = np.random.default_rng(seed)
    rows = len(examples)
    classes = np.zeros(rows, np.int64)
    if stratify is not None and stratify in examples:
        classes = _numbered(examples, stratify)
    if rows and group is not None and group in examples:
        validation = _grouped(classes, _numbered(examples, group), fraction, random)
    else:
        validation = _stratified(classes, fraction, random)
    if not validation.any():
        held = f"every {stratify}" if stratify else "something"
        raise UserError(
            f"{examples.source}: {rows} rows cannot be divided so that {held} stays in training, "
            "no group is on both sides and something is left to validate on; "
            "add rows, or name a file of its own: --validation FILE"
        )
    return examples.select(np.flatnonzero(~validation)), examples.select(np.flatnonzero(validation))


def _numbered(examples: Examples, column: str) -> np.ndarray:
    """Values of a column as numbers from 0, `(rows,)` int64."""
    numbers = {value: number for number, value in enumerate(sorted(set(examples[column])))}
    return np.array([numbers[value] for value in examples[column]], np.int64)


def _stratified(classes: np.ndarray, fraction: float, random: np.random.Generator) -> np.ndarray:
    """Which rows validate, `(rows,)` bool: class shares by largest remainder."""
    counts = np.bincount(classes)
    wanted = max(1, round(fraction * len(classes)))
    exact = counts * (wanted / max(1, len(classes)))
    most = counts - 1
    taken = np.minimum(np.floor(exact).astype(np.int64), most)
    # Classes of equal remainder must not be preferred by their number.
    by_remainder = random.permutation(len(counts))
    by_remainder = by_remainder[
        np.argsort(taken[by_remainder] - exact[by_remainder], kind="stable")
    ]
    while (lacking := wanted - taken.sum()) > 0 and (taken < most).any():
        taken[by_remainder[(taken < most)[by_remainder]][:lacking]] += 1

    order = random.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    rank = np.arange(len(classes)) - (np.cumsum(counts) - counts)[classes[order]]
    validation = np.zeros(len(classes), np.bool_)
    validation[order[rank < taken[classes[order]]]] = True
    return validation


def _grouped(
    classes: np.ndarray, groups: np.ndarray, fraction: float, random: np.random.Generator
) -> np.ndarray:
    """Which rows validate, `(rows,)` bool: groups in random order, each taken if it brings the
    shares of the classes nearer to the fraction."""
    counts = np.zeros((groups.max() + 1, classes.max() + 1), np.int64)
    np.add.at(counts, (groups, classes), 1)
    totals = counts.sum(axis=0)

    def distance(taken: np.ndarray) -> np.ndarray:
        """Squared error of each class's share, weighted by the size of the class."""
        return ((taken / totals - fraction) ** 2 * totals).sum(axis=-1)

    order = random.permutation(len(counts))
    taken = np.zeros_like(totals)
    chosen: list[int] = []
    for group in order:
        more = taken + counts[group]
        if (more < totals).all() and distance(more) < distance(taken):
            taken = more
            chosen.append(group)
    if not chosen:
        # Every group is larger than the fraction: take the one that misses it least.
        possible = order[(counts[order] < totals).all(axis=1)]
        chosen = list(possible[np.argsort(distance(counts[possible]), kind="stable")][:1])
    return np.isin(groups, chosen)
