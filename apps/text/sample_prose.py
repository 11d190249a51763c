"""Generated prose in which a verb agrees with a noun that stands several clauses before it."""

from __future__ import annotations

import random
from typing import NamedTuple

from apps.data import Examples

_PEOPLE = (
    "baker farmer sailor king weaver singer miller hunter painter shepherd doctor miner".split()
)
_PLACES = "river mill tower garden bridge harbour barn well market road forest castle".split()
_TRAITS = "old tall quiet proud clever weary young gentle stern merry".split()
_PREPOSITIONS = "near behind beside before above below".split()
# What people do to others, then what they do by themselves; the plural is the bare form.
_TO_OTHERS = "praise follow admire greet visit teach paint warn trust amuse".split()
_ALONE = "sing sleep work dance whistle wait travel laugh swim listen".split()
_ENDINGS = ("", " in the evening", " every day", " at dawn", " without a sound", " all winter")


class Agreement(NamedTuple):
    """A sentence up to its verb, and the two forms of that verb.

    Attributes:
        prefix: ends with a space.
        right: the form that agrees with the first noun.
        wrong: the other form.
    """

    prefix: str
    right: str
    wrong: str


def sample_prose(seed: int, documents: int = 200, sentences: int = 24) -> Examples:
    """Stories of one sentence a line, with up to three clauses between a noun and its verb.

    A model that sees few words before the verb cannot know whether the noun was one or several:
    nouns of either number stand in between, each with its own verb.

    Args:
        seed: decides all of it.
        documents: number of texts.
        sentences: of each text.
    """
    draw = random.Random(seed)
    texts = []
    for _ in range(documents):
        lines = []
        for _ in range(sentences):
            one = _agreement(draw, draw.choice((0, 0, 1, 1, 2, 3)))
            line = f"{one.prefix}{one.right}{draw.choice(_ENDINGS)}."
            lines.append(line[0].upper() + line[1:])
        texts.append("\n".join(lines) + "\n")
    places = [f"made text {number}" for number in range(1, documents + 1)]
    return Examples({"text": texts}, places, "made prose")


def agreements(seed: int, count: int, clauses: int) -> list[Agreement]:
    """Sentences with so many clauses between the noun and its verb, as the sample has them."""
    draw = random.Random(f"agreements {seed} {clauses}")
    found = [_agreement(draw, clauses) for _ in range(count)]
    return [one._replace(prefix=one.prefix[0].upper() + one.prefix[1:]) for one in found]


def _agreement(draw: random.Random, clauses: int) -> Agreement:
    several = draw.random() < 0.5
    words = _noun(draw, _PEOPLE, several)
    for _ in range(clauses):
        other = draw.random() < 0.5
        words += f" that {_noun(draw, _PEOPLE, other)} {_verb(draw.choice(_TO_OTHERS), other)}"
        place = _noun(draw, _PLACES, draw.random() < 0.5)
        words += f" {draw.choice(_PREPOSITIONS)} {place}"
    verb = draw.choice(_ALONE)
    return Agreement(f"{words} ", _verb(verb, several), _verb(verb, not several))


def _noun(draw: random.Random, nouns: list[str], several: bool) -> str:
    trait = f"{draw.choice(_TRAITS)} " if draw.random() < 0.3 else ""
    return f"the {trait}{draw.choice(nouns)}{'s' if several else ''}"


def _verb(verb: str, several: bool) -> str:
    if several:
        return verb
    return verb + ("es" if verb.endswith(("s", "sh", "ch")) else "s")
