"""Sounds of English as targets of a formant synthesiser, and the pronunciations of words."""

from __future__ import annotations

from dataclasses import dataclass, replace

Formants = tuple[float, float, float]
Band = tuple[float, float]

_SONORANTS = frozenset("W Y R L".split())


@dataclass(frozen=True)
class Segment:
    """A stretch of speech with constant targets; a sound consists of one or more.

    Attributes:
        milliseconds: its duration at the ordinary rate of speech.
        formants: the first three, in Hz, of a man's vocal tract.
        voicing: amplitude of the glottal pulses, 1 in a vowel.
        aspiration: amplitude of the noise made at the glottis.
        frication: amplitude of the noise made at a constriction.
        band: centre and width of that noise, in Hz.
        damping: factor on the bandwidths of the formants; those of a nasal are wide.
        vowel: whether it is part of a vowel, which the end of a phrase lengthens.
    """

    milliseconds: float
    formants: Formants
    voicing: float = 0.0
    aspiration: float = 0.0
    frication: float = 0.0
    band: Band = (2500.0, 1500.0)
    damping: float = 1.0
    vowel: bool = False


def pause(milliseconds: float) -> Segment:
    """A stretch of silence."""
    return Segment(milliseconds, (500.0, 1500.0, 2500.0))


def _vowel(milliseconds: float, *targets: Formants) -> tuple[Segment, ...]:
    share = milliseconds / len(targets)
    return tuple(Segment(share, target, voicing=1.0, vowel=True) for target in targets)


def _glide(milliseconds: float, formants: Formants, voicing: float = 0.7) -> tuple[Segment, ...]:
    return (Segment(milliseconds, formants, voicing),)


def _nasal(formants: Formants) -> tuple[Segment, ...]:
    return (Segment(75, formants, voicing=0.5, damping=3.0),)


def _fricative(
    milliseconds: float, formants: Formants, frication: float, band: Band, voicing: float = 0.0
) -> tuple[Segment, ...]:
    return (Segment(milliseconds, formants, voicing, frication=frication, band=band),)


def _stop(formants: Formants, band: Band, *, voiced: bool) -> tuple[Segment, ...]:
    """Closure, burst and, unless it is voiced, aspiration up to the onset of the next sound."""
    closure = Segment(55, formants, voicing=0.12 if voiced else 0.0, damping=4.0)
    burst = Segment(15, formants, voicing=0.1 * voiced, frication=0.5, band=band)
    if voiced:
        return closure, burst
    return closure, burst, Segment(40, formants, aspiration=0.35)


# Values near those of Peterson & Barney 1952 (table II, men) for vowels and of Klatt 1980
# (tables II and III) for diphthongs and consonants; ARPAbet names.
PHONEMES: dict[str, tuple[Segment, ...]] = {
    "IY": _vowel(130, (270, 2290, 3010)),
    "IH": _vowel(100, (390, 1990, 2550)),
    "EH": _vowel(120, (530, 1840, 2480)),
    "AE": _vowel(150, (660, 1720, 2410)),
    "AA": _vowel(150, (730, 1090, 2440)),
    "AO": _vowel(150, (570, 840, 2410)),
    "UH": _vowel(100, (440, 1020, 2240)),
    "UW": _vowel(130, (300, 870, 2240)),
    "AH": _vowel(110, (640, 1190, 2390)),
    "ER": _vowel(130, (490, 1350, 1690)),
    "EY": _vowel(160, (480, 1720, 2520), (330, 2200, 2600)),
    "AY": _vowel(180, (690, 1200, 2550), (400, 1880, 2500)),
    "OW": _vowel(160, (540, 1100, 2300), (400, 850, 2300)),
    "AW": _vowel(180, (680, 1230, 2550), (400, 940, 2350)),
    "W": _glide(65, (290, 610, 2150)),
    "Y": _glide(60, (260, 2150, 3020)),
    "R": _glide(65, (310, 1060, 1380)),
    "L": _glide(65, (310, 1050, 2880)),
    "M": _nasal((280, 1000, 2200)),
    "N": _nasal((280, 1650, 2550)),
    "F": _fricative(100, (340, 1100, 2080), 0.12, (5000, 4000)),
    "V": _fricative(60, (220, 1100, 2080), 0.06, (5000, 4000), voicing=0.4),
    "TH": _fricative(90, (320, 1290, 2540), 0.10, (6000, 3000)),
    "DH": _fricative(50, (270, 1290, 2540), 0.05, (6000, 3000), voicing=0.4),
    "S": _fricative(110, (320, 1390, 2530), 0.50, (5800, 1500)),
    "Z": _fricative(80, (240, 1390, 2530), 0.30, (5800, 1500), voicing=0.3),
    "SH": _fricative(110, (300, 1840, 2750), 0.60, (3000, 1000)),
    "HH": (Segment(60, (500, 1500, 2500), aspiration=0.4),),
    "P": _stop((400, 1100, 2150), (800, 1200), voiced=False),
    "B": _stop((200, 1100, 2150), (800, 1200), voiced=True),
    "T": _stop((400, 1600, 2600), (4500, 1500), voiced=False),
    "D": _stop((200, 1600, 2600), (4500, 1500), voiced=True),
    "K": _stop((300, 1990, 2850), (2000, 700), voiced=False),
    "G": _stop((200, 1990, 2850), (2000, 700), voiced=True),
}

PRONUNCIATIONS: dict[str, tuple[str, ...]] = {
    word: tuple(sounds.split())
    for word, sounds in {
        "zero": "Z IH R OW",
        "one": "W AH N",
        "two": "T UW",
        "three": "TH R IY",
        "four": "F AO R",
        "five": "F AY V",
        "six": "S IH K S",
        "seven": "S EH V AH N",
        "eight": "EY T",
        "nine": "N AY N",
        "yes": "Y EH S",
        "no": "N OW",
        "stop": "S T AA P",
        "go": "G OW",
        "left": "L EH F T",
        "right": "R AY T",
        "up": "AH P",
        "down": "D AW N",
        "on": "AA N",
        "off": "AO F",
        "turn": "T ER N",
        "the": "DH AH",
        "and": "AE N D",
        "light": "L AY T",
        "bed": "B EH D",
        "cat": "K AE T",
        "good": "G UH D",
        "happy": "HH AE P IY",
        "house": "HH AW S",
        "sheila": "SH IY L AH",
        "tree": "T R IY",
        "wow": "W AW",
    }.items()
}


def segments_of(word: str) -> list[Segment]:
    """The segments of a word, with the changes that neighbouring sounds cause in each other.

    A stop after /s/ and one at the end of a word lose their aspiration, a plosive before a liquid
    keeps it short, and /h/ takes the formants of the vowel after it.

    Args:
        word: one of `PRONUNCIATIONS`.

    Returns:
        Segments in the order in which they are spoken.

    Raises:
        KeyError: the word is not in the table.
    """
    sounds = PRONUNCIATIONS[word]
    segments: list[Segment] = []
    for place, sound in enumerate(sounds):
        before = sounds[place - 1] if place else ""
        after = sounds[place + 1] if place + 1 < len(sounds) else ""
        spoken = list(PHONEMES[sound])
        if sound in ("P", "T", "K"):
            if before == "S" or not after:
                spoken[-1] = replace(spoken[-1], milliseconds=12, aspiration=0.12)
            elif after in _SONORANTS:
                spoken[-1] = replace(spoken[-1], milliseconds=25)
        if sound == "HH" and after:
            spoken = [replace(spoken[0], formants=PHONEMES[after][0].formants)]
        segments += spoken
    return segments
