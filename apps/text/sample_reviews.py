"""Generated reviews whose label depends on negation and contrast, not on single words."""

from __future__ import annotations

import random

from apps.data import Examples

LABEL_NOISE = 0.03

_PRAISE = [
    "gripping",
    "warm",
    "clever",
    "funny",
    "tender",
    "bold",
    "fresh",
    "moving",
    "elegant",
    "sharp",
    "honest",
    "lovely",
    "brilliant",
    "graceful",
    "vivid",
    "charming",
]
_BLAME = [
    "dull",
    "clumsy",
    "cold",
    "stale",
    "shallow",
    "noisy",
    "lazy",
    "bland",
    "tedious",
    "hollow",
    "forced",
    "dreary",
    "messy",
    "awkward",
    "lifeless",
    "predictable",
]
_SUBJECTS = [
    "the story",
    "the acting",
    "the plot",
    "the ending",
    "the music",
    "the camera work",
    "the dialogue",
    "the cast",
    "the script",
    "the pacing",
    "the lead",
    "the middle act",
    "the humour",
    "the first hour",
    "the direction",
]
_DEGREES = ("", "", "", "really ", "rather ", "quite ", "utterly ", "so ")
_PLAIN = ("{s} is {d}{a}", "{s} felt {d}{a}", "i found {s} {d}{a}", "{s} turned out {d}{a}")
_NEGATED = (
    "{s} is not {d}{a}",
    "{s} was never {a}",
    "nobody could call {s} {a}",
    "{s} is anything but {a}",
    "i would not say that {s} was {a}",
    "{s} is far from {a}",
    "there is nothing {a} about {s}",
)
_DOUBLED = ("it is not true that {s} is not {a}", "nobody can deny that {s} is {a}")
_CONTRAST = (
    "{weak}, but {strong}",
    "although {weak}, {strong}",
    "{weak}; even so, {strong}",
    "{strong}, even though {weak}",
    "people told me that {weak}, yet {strong}",
    "i had read that {weak}. in truth {strong}",
)
_NEUTRAL = (
    "we saw it on a rainy evening",
    "my brother chose it",
    "it runs for about two hours",
    "the hall was half full",
    "it was shot in the north",
    "this is the second film of the series",
    "i had a coffee before it began",
    "the subtitles were on",
    "it is set in a small harbour town",
    "we talked about it on the way home",
)


def sample_reviews(seed: int, reviews: int = 6000) -> Examples:
    """Reviews labelled `positive` or `negative`.

    Every statement draws a word of praise or blame and a form that keeps or negates its meaning
    with equal probability, so that single words say next to nothing; contrast decides between two
    statements. A share of `LABEL_NOISE` of the labels is flipped, so accuracy cannot exceed 1 -
    `LABEL_NOISE`.

    Args:
        seed: the same seed gives the same reviews.
        reviews: how many.

    Returns:
        Examples with the columns `text` and `label`.
    """
    draw = random.Random(seed)
    texts, labels = [], []
    for _ in range(reviews):
        positive = draw.random() < 0.5
        texts.append(_review(draw, positive))
        labels.append("positive" if positive != (draw.random() < LABEL_NOISE) else "negative")
    places = [f"sample row {row}" for row in range(1, reviews + 1)]
    return Examples({"text": texts, "label": labels}, places, "sample")


def _review(draw: random.Random, positive: bool) -> str:
    sentences = draw.sample(_NEUTRAL, draw.randrange(1, 4))
    sentences.insert(draw.randrange(len(sentences) + 1), _verdict(draw, positive))
    return " ".join(sentence[0].upper() + sentence[1:] + "." for sentence in sentences)


def _verdict(draw: random.Random, positive: bool) -> str:
    if draw.random() < 0.4:
        return _statement(draw, positive)
    weak, strong = _statement(draw, not positive), _statement(draw, positive)
    return draw.choice(_CONTRAST).format(weak=weak, strong=strong)


def _statement(draw: random.Random, positive: bool) -> str:
    subject, degree = draw.choice(_SUBJECTS), draw.choice(_DEGREES)
    negated = draw.random() < 0.5
    adjective = draw.choice(_PRAISE if positive != negated else _BLAME)
    forms = _NEGATED if negated else (_PLAIN if draw.random() < 0.8 else _DOUBLED)
    return draw.choice(forms).format(s=subject, d=degree, a=adjective)
