"""Dates, amounts of money and clock times written out in English and in German, from rules.

No dictionary of words translates them: German says the units of a number before its tens, and joins
them into one word; names the hour to come at half past; turns a weekday and a date around; and has
another form of a word after `am` than after `der`.
"""

from __future__ import annotations

import random

from apps.data import Examples

_ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
_ONES += " fifteen sixteen seventeen eighteen nineteen"
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_EINS = "null eins zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn"
_EINS += " fünfzehn sechzehn siebzehn achtzehn neunzehn"
_ZEHN = "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig"
_ENGLISH, _ENGLISH_TENS = _ONES.split(), _TENS.split()
_GERMAN, _GERMAN_TENS = _EINS.split(), _ZEHN.split()
_IRREGULAR = {
    1: "first",
    2: "second",
    3: "third",
    5: "fifth",
    8: "eighth",
    9: "ninth",
    12: "twelfth",
}
_MONTHS = (
    *(("January", "Januar"), ("February", "Februar"), ("March", "März"), ("April", "April")),
    *(("May", "Mai"), ("June", "Juni"), ("July", "Juli"), ("August", "August")),
    *(("September", "September"), ("October", "Oktober"), ("November", "November")),
    ("December", "Dezember"),
)
_DAYS = (
    *(("Monday", "Montag"), ("Tuesday", "Dienstag"), ("Wednesday", "Mittwoch")),
    *(("Thursday", "Donnerstag"), ("Friday", "Freitag"), ("Saturday", "Samstag")),
    ("Sunday", "Sonntag"),
)
# Of each thing its plural, and in German the accusative with the article.
_THINGS = (
    ("ticket", "tickets", "die Karte", "Karten"),
    ("book", "books", "das Buch", "Bücher"),
    ("chair", "chairs", "den Stuhl", "Stühle"),
    ("lamp", "lamps", "die Lampe", "Lampen"),
    ("coat", "coats", "den Mantel", "Mäntel"),
    ("bread", "loaves of bread", "das Brot", "Brote"),
)
_PEOPLE = (
    *(("my sister", "meine Schwester"), ("our neighbour", "unser Nachbar"), ("Anna", "Anna")),
    *(("the teacher", "der Lehrer"), ("Mr. Berg", "Herr Berg"), ("your brother", "dein Bruder")),
)
# Verbs with what a German sentence has at its end.
_EVENTS = (
    ("arrives", "kommt", "an"),
    ("leaves", "fährt", "ab"),
    ("calls back", "ruft", "zurück"),
    ("gets up", "steht", "auf"),
    ("works", "arbeitet", ""),
)


def sample_translations(seed: int, pairs: int = 8000) -> Examples:
    """Pairs of an English sentence and what it is in German.

    Args:
        seed: the same seed gives the same pairs.
        pairs: how many.

    Returns:
        Examples with the columns `source` and `target`.
    """
    draw = random.Random(seed)
    kinds = (_date, _price, _time, _bought, _appointment)
    made = [_capital(draw.choice(kinds)(draw)) for _ in range(pairs)]
    places = [f"sample row {row}" for row in range(1, pairs + 1)]
    columns = {"source": [one for one, _ in made], "target": [other for _, other in made]}
    return Examples(columns, places, "sample")


def english(number: int) -> str:
    """A whole number below a million in English words."""
    if number < 20:
        return _ENGLISH[number]
    if number < 100:
        rest = number % 10
        return _ENGLISH_TENS[number // 10 - 2] + (f"-{_ENGLISH[rest]}" if rest else "")
    for size, name in ((1000, "thousand"), (100, "hundred")):
        if number >= size:
            rest = number % size
            behind = (
                "" if not rest else f" and {english(rest)}" if rest < 100 else f" {english(rest)}"
            )
            return f"{english(number // size)} {name}{behind}"
    raise AssertionError(number)


def german(number: int, one: str = "eins") -> str:
    """A whole number below a million in German words; `one` is the form of a final one."""
    if number == 1:
        return one
    if number < 20:
        return _GERMAN[number]
    if number < 100:
        rest, tens = number % 10, _GERMAN_TENS[number // 10 - 2]
        return f"{german(rest, 'ein')}und{tens}" if rest else tens
    for size, name in ((1000, "tausend"), (100, "hundert")):
        if number >= size:
            rest = number % size
            return german(number // size, "ein") + name + (german(rest, one) if rest else "")
    raise AssertionError(number)


def english_ordinal(number: int) -> str:
    """An ordinal number up to 99 in English words."""
    if number in _IRREGULAR:
        return _IRREGULAR[number]
    if number > 20 and number % 10:
        return f"{_ENGLISH_TENS[number // 10 - 2]}-{english_ordinal(number % 10)}"
    word = english(number)
    return f"{word[:-1]}ieth" if word.endswith("y") else f"{word}th"


def german_ordinal(number: int) -> str:
    """An ordinal number up to 99 in German words, as it stands after `der`."""
    special = {1: "erste", 3: "dritte", 7: "siebte", 8: "achte"}
    return special.get(number) or german(number) + ("te" if number < 20 else "ste")


def english_clock(hour: int, minute: int) -> str:
    """A time of day, hour 0 to 23, as one says it in English."""
    now, then = _on_dial(hour), _on_dial(hour + 1)
    named = {0: f"{english(now)} o'clock", 15: f"a quarter past {english(now)}"}
    named |= {30: f"half past {english(now)}", 45: f"a quarter to {english(then)}"}
    said = named.get(minute)
    if said is None and minute < 30:
        said = f"{english(minute)} minutes past {english(now)}"
    said = said or f"{english(60 - minute)} minutes to {english(then)}"
    part = "at night" if hour < 5 else "in the morning" if hour < 12 else "in the afternoon"
    return f"{said} {part if hour < 18 else 'in the evening'}"


def german_clock(hour: int, minute: int) -> str:
    """The same time in German, where half past names the hour to come."""
    now, then = _on_dial(hour), _on_dial(hour + 1)
    named = {0: f"{german(now, 'ein')} Uhr", 15: f"Viertel nach {german(now)}"}
    named |= {30: f"halb {german(then)}", 45: f"Viertel vor {german(then)}"}
    said = named.get(minute)
    if said is None:
        near, to = (
            (minute, f"nach {german(now)}") if minute < 30 else (60 - minute, f"vor {german(then)}")
        )
        said = f"{german(near, 'eine')} Minuten {to}"
    part = "nachts" if hour < 5 else "morgens" if hour < 12 else "nachmittags"
    return f"{said} {part if hour < 18 else 'abends'}"


def _on_dial(hour: int) -> int:
    return (hour - 1) % 12 + 1


def _moment(draw: random.Random) -> tuple[str, str]:
    hour, minute = draw.randrange(24), draw.choice((0, 15, 30, 45, *range(2, 59)))
    return english_clock(hour, minute), german_clock(hour, minute)


def _day(draw: random.Random) -> tuple[str, str, str]:
    """A date in English, and in German after `der` and after `am`."""
    (month, monat), number = draw.choice(_MONTHS), draw.randrange(1, 32)
    year = draw.randrange(1900, 2060)
    word = german_ordinal(number)
    named = {
        True: (f"{english(year // 100)} {_of_century(year % 100)}", _jahr(year)),
        False: (english(year), german(year)),
    }[year < 2000]
    said = f"{english_ordinal(number)} of {month}, {named[0]}"
    return said, f"{word} {monat} {named[1]}", f"{word}n {monat} {named[1]}"


def _of_century(number: int) -> str:
    if not number:
        return "hundred"
    return english(number) if number > 9 else f"oh {english(number)}"


def _jahr(year: int) -> str:
    rest = year % 100
    return f"{german(year // 100)}hundert{german(rest) if rest else ''}"


def _date(draw: random.Random) -> tuple[str, str]:
    said, der, am = _day(draw)
    (day, tag), (who, wer) = draw.choice(_DAYS), draw.choice(_PEOPLE)
    return draw.choice(
        (
            (f"today is {day}, the {said}", f"heute ist {tag}, der {der}"),
            (f"{who} was born on the {said}", f"{wer} ist am {am} geboren"),
            (f"the letter of the {said}", f"der Brief vom {am}"),
            (f"we meet on {day}, the {said}", f"am {tag}, dem {am}, treffen wir uns"),
        )
    )


def _money(draw: random.Random) -> tuple[str, str]:
    euros = draw.choice(
        (draw.randrange(1, 100), draw.randrange(100, 2000), draw.randrange(2000, 90000))
    )
    cents = draw.choice((0, draw.randrange(2, 100)))
    unit = "euro" if euros == 1 else "euros"
    behind = (f" and {english(cents)} cents", f" {german(cents)}") if cents else ("", "")
    return f"{english(euros)} {unit}{behind[0]}", f"{german(euros, 'ein')} Euro{behind[1]}"


def _price(draw: random.Random) -> tuple[str, str]:
    (money, geld), (one, _, eins, _) = _money(draw), draw.choice(_THINGS)
    nominative = eins.replace("den ", "der ")
    return draw.choice(
        (
            (f"the {one} costs {money}", f"{nominative} kostet {geld}"),
            (f"for {money} you can have the {one}", f"für {geld} kannst du {eins} haben"),
        )
    )


def _bought(draw: random.Random) -> tuple[str, str]:
    (money, geld), thing = _money(draw), draw.choice(_THINGS)
    (who, wer), count = draw.choice(_PEOPLE), draw.randrange(2, 60)
    said, stuff = f"{english(count)} {thing[1]}", f"{german(count)} {thing[3]}"
    return draw.choice(
        (
            (f"{who} bought {said} for {money}", f"{wer} hat {stuff} für {geld} gekauft"),
            (
                f"{who} has not paid {money} for {said}",
                f"{wer} hat für {stuff} nicht {geld} bezahlt",
            ),
        )
    )


def _time(draw: random.Random) -> tuple[str, str]:
    (time, zeit), (who, wer) = _moment(draw), draw.choice(_PEOPLE)
    event, verb, rest = draw.choice(_EVENTS)
    end = f" {rest}" if rest else ""
    return draw.choice(
        (
            (f"it is {time}", f"es ist {zeit}"),
            (f"{who} {event} at {time}", f"{wer} {verb} um {zeit}{end}"),
            (f"at {time} {who} {event}", f"um {zeit} {verb} {wer}{end}"),
        )
    )


def _appointment(draw: random.Random) -> tuple[str, str]:
    (time, zeit), (day, tag), (who, wer) = _moment(draw), draw.choice(_DAYS), draw.choice(_PEOPLE)
    event, verb, rest = draw.choice(_EVENTS)
    end = f" {rest}" if rest else ""
    return f"{who} {event} on {day} at {time}", f"am {tag} {verb} {wer} um {zeit}{end}"


def _capital(pair: tuple[str, str]) -> tuple[str, str]:
    one, other = (f"{text[0].upper()}{text[1:]}." for text in pair)
    return one, other
