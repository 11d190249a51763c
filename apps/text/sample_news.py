"""Generated news and orders whose names are made up, so that only their surroundings tell them."""

from __future__ import annotations

import random
import re

from apps.data import Examples
from apps.data.kinds.spans import Span

_ONSETS = "b br c ch d dr f g gr h j k l m n p r s st t tr v w".split()
_MIDDLES = "a e i o u ar en il on er al".split()
_CODAS = "d l m n r s t ck nd rt ven lin dor mar ton vik".split()
_GIVEN = "Ada Ben Cleo Dora Emil Finn Greta Hugo Ida Jonas Kira Lars Mona Nils Olga Pia".split()
_GOODS = "oil rope paper glass tea wool copper timber honey paint wire cloth".split()
_PACKS = "crates boxes rolls barrels bags pallets".split()
_MONEY = ("euros", "pounds", "dollars", "francs")
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
_MONTHS = "January March April June August October December".split()

# Slots in braces; one and the same made-up name may fill {person}, {place} or {company}.
_NEWS = (
    "{person} told reporters in {place} that {company} would close two sites.",
    "{company} has named {person} as head of its office in {place}.",
    "Heavy rain kept the road between {place} and {place} closed until {date}.",
    "The court in {place} ordered {company} to pay {amount} to {person}.",
    "{person}, who left {company} on {date}, now runs a shop in {place}.",
    "Shares in {company} fell after {person} sold {amount} of stock.",
    "Voters in {place} go to the polls on {date}, said {person}.",
    "Neither {person} nor {company} would comment.",
    "The mayor of {place} thanked {person} for a gift of {amount}.",
    "{company} bought {company} for {amount} on {date}.",
    "Thousands marched through {place} against plans of {company}.",
    '"We did what we could," said {person}, the goalkeeper from {place}.',
    "It was {person} who first warned {company} about the bridge in {place}.",
    "Trains to {place} will not run before {date}.",
)
_ORDERS = (
    "Please send {count} of {product} to {place} by {date}.",
    "hi, this is {person} from {company}, we still wait for {count} of {product}",
    "We ordered {product} on {date} and were charged {amount} twice.",
    "Can {company} deliver {count} of {product} to {person} in {place}?",
    "Cancel my order of {product}; {person} will sign for the refund of {amount}.",
    "{count} of {product} arrived broken in {place}, ask {person} about it",
    "Invoice for {company}: {count} of {product}, {amount}, due {date}.",
    "pls change the address to {place}, thx {person}",
)
_NOTHING = (
    "The weather stays mild, and little else is expected this week.",
    "Please confirm that the order was received.",
    "Nobody was hurt, and work goes on as planned.",
    "May I ask when the goods will arrive?",
    "Prices rose a little in spring and fell again later.",
    "thanks a lot, all good now",
)
_SLOT = re.compile(r"\{(\w+)\}")
_HIDDEN = {"count": "amount"}


def sample_news(seed: int, rows: int = 2400) -> Examples:
    """Short texts with persons, places, companies, products, amounts and dates.

    Nearly every name is made up for its text: a list of known names finds few of them.

    Args:
        seed: of the texts.
        rows: how many.
    """
    draw = random.Random(seed)
    texts, spans = [], []
    for _ in range(rows):
        template = draw.choice(draw.choices((_NEWS, _ORDERS, _NOTHING), (5, 4, 1))[0])
        text, found = _filled(template, draw)
        texts.append(text)
        spans.append(found)
    places = [f"generated text {row + 1}" for row in range(rows)]
    return Examples({"text": texts, "spans": spans}, places, "generated news and orders")


def _filled(template: str, draw: random.Random) -> tuple[str, tuple[Span, ...]]:
    text, found, end = "", [], 0
    for slot in _SLOT.finditer(template):
        text += template[end : slot.start()]
        filler = _FILLERS[slot[1]](draw)
        found.append((len(text), len(text) + len(filler), _HIDDEN.get(slot[1], slot[1])))
        text, end = text + filler, slot.end()
    return text + template[end:], tuple(found)


def _name(draw: random.Random) -> str:
    middle = draw.choice(("", "", draw.choice(_ONSETS)))
    rest = draw.choice(_MIDDLES) + draw.choice(_CODAS) if middle else draw.choice(_CODAS)
    return (draw.choice(_ONSETS) + draw.choice(_MIDDLES) + middle + rest).capitalize()


def _person(draw: random.Random) -> str:
    given = draw.choice(_GIVEN)
    return draw.choice((_name(draw), f"{given} {_name(draw)}", f"{given} {_name(draw)}", given))


def _place(draw: random.Random) -> str:
    name = _name(draw)
    return draw.choice((name, name, name, f"Port {name}", f"{name}-on-Sea", f"Lake {name}"))


def _company(draw: random.Random) -> str:
    name = _name(draw)
    forms = (
        name,
        name,
        f"{name} & {_name(draw)}",
        f"{name} Foods",
        f"{name} Ltd.",
        f"{name}{name[:2].upper()}",
    )
    return draw.choice(forms)


def _product(draw: random.Random) -> str:
    good = draw.choice(_GOODS)
    model = f"{_name(draw)} {draw.randint(2, 990)}"
    return draw.choice(
        (
            good,
            f"{_name(draw)} {good}",
            model,
            f"{draw.choice('ABKX')}{draw.randint(10, 99)} {good}",
        )
    )


def _count(draw: random.Random) -> str:
    return f"{draw.randint(2, 480)} {draw.choice(_PACKS)}"


def _amount(draw: random.Random) -> str:
    number = draw.choice(
        (f"{draw.randint(2, 900)}", f"{draw.randint(2, 90)},{draw.randint(0, 999):03}")
    )
    return draw.choice(
        (f"{number} {draw.choice(_MONEY)}", f"${number}", f"{number}.50 {draw.choice(_MONEY)}")
    )


def _date(draw: random.Random) -> str:
    day = f"{draw.randint(1, 28)} {draw.choice(_MONTHS)}"
    return draw.choice((draw.choice(_DAYS), day, f"{day} {draw.randint(2019, 2031)}"))


_FILLERS = {
    "person": _person,
    "place": _place,
    "company": _company,
    "product": _product,
    "count": _count,
    "amount": _amount,
    "date": _date,
}
