"""Pairs of texts with words that no vocabulary knows, so that copying them is learnt."""

from __future__ import annotations

import numpy as np

from apps.data import Examples

# A character for private use: no text has it, so no piece does.
STRANGER = "\uf8ff"


def with_copied_words(
    examples: Examples, names: tuple[str, str], share: float, seed: int
) -> Examples:
    """The pairs, and behind them some once more with a word that is unknown on both sides.

    It takes the place of a word that both sides have, or stands at the end of both.

    Args:
        examples: pairs.
        names: of their columns.
        share: of the pairs that come once more.
        seed: of the choice.
    """
    count = round(share * len(examples))
    if not count:
        return examples
    draw = np.random.default_rng(seed)
    shared = []
    for row, (one, other) in enumerate(zip(*(examples[name] for name in names), strict=True)):
        both = sorted({*one.split()} & {*other.split()})
        if both and any(letter.isalnum() for letter in both[0]):
            shared.append(row)
    rows = draw.choice(shared, min(count, len(shared)), replace=False).tolist() if shared else []
    rest = [row for row in draw.permutation(len(examples)).tolist() if row not in {*rows}]
    rows += rest[: count - len(rows)]
    more = examples.select(rows)
    columns: dict[str, list[str]] = {name: list(examples[name]) for name in names}
    for one, other in zip(*(more[name] for name in names), strict=True):
        both = sorted({*one.split()} & {*other.split()})
        for name, text in zip(names, (one, other), strict=True):
            words = text.split()
            if both:
                words = [STRANGER if word == both[0] else word for word in words]
            else:
                words.append(STRANGER)
            columns[name].append(" ".join(words))
    places = [*examples.places, *more.places]
    return Examples(columns, places, examples.source)
