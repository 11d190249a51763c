"""Which column of a table of quotes is the close, the open, the volume, by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from apps.data.panels.naming import plain, words

OPEN, HIGH, LOW, CLOSE, VOLUME, ADJUSTED = "open", "high", "low", "close", "volume", "adjusted"
QUOTES = (OPEN, HIGH, LOW, CLOSE, VOLUME)

# Names as programs, exchanges and newspapers write them, the surest first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    ADJUSTED: tuple(
        "adjclose adjustedclose adjcloseprice adjustedcloseprice closeadj closeadjusted adjprice "
        "adjustedprice adjustedclosingprice adjustiertschluss bereinigterschlusskurs coursajuste "
        "cierreajustado fechamentoajustado".split()
    ),
    CLOSE: tuple(
        "close closelast closeprice closingprice priceclose c last lastprice pxlast settle "
        "settlement settlementprice price schluss schlusskurs schlussstand zuletzt letzter cloture "
        "derniercours dernier fermeture cierre ultimo fechamento chiusura slotkoers slot 终值 收盘 "
        "収盤 終値 kurs cours precio prix preis px rate index value".split()
    ),
    OPEN: tuple(
        "open openprice openingprice priceopen o pxopen eroffnung eroffnungskurs erster ouverture "
        "ouv apertura abertura 开盘 始値".split()
    ),
    HIGH: tuple(
        "high highprice pricehigh h pxhigh hoch hochst hochstkurs tageshoch haut plushaut alto "
        "maximo max maximum massimo maxima hoog 最高 高値".split()
    ),
    LOW: tuple(
        "low lowprice pricelow l pxlow tief tiefst tiefstkurs tagestief bas plusbas bajo minimo "
        "min minimum minima laag 最低 安値".split()
    ),
    VOLUME: tuple(
        "volume vol v volumes pxvolume tradedvolume sharestraded umsatz stuck volumen volumem "
        "handelsvolumen 成交量 出来高".split()
    ),
}
_ADJUSTED, _CHANGES = {"adj", "adjusted"}, {"change", "chg"}
_RANKS = {kind: {name: rank for rank, name in enumerate(n)} for kind, n in _NAMES.items()}


def quotes_of(columns: Sequence[str]) -> dict[str, str]:
    """Kind of quote to the column that holds it; a kind that none holds is left out.

    A name may have a number before it, as in "4. close", or a ticker beside it, as in "SPY.Close",
    where no column has the bare name.
    """
    found: dict[str, str] = {}
    for kind, ranks in _RANKS.items():
        called = {column: re.sub(r"^\d+(?=\D)", "", plain(column)) for column in columns}
        known = sorted((ranks[n], columns.index(c)) for c, n in called.items() if n in ranks)
        if known:
            found[kind] = columns[known[0][1]]
    for kind, ranks in _RANKS.items():
        if kind in found:
            continue
        long = {name for name in ranks if len(name) > 2}
        beside = [c for c in columns if c not in found.values() and words(c) & (long | _ADJUSTED)]
        beside = [c for c in beside if bool(words(c) & _ADJUSTED) == (kind == ADJUSTED)]
        beside = [c for c in beside if not words(c) & _CHANGES]
        if len(beside) == 1:
            found[kind] = beside[0]
    return found
