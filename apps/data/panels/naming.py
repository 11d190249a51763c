"""Columns by their names: those that a role names, and words by which times and ids are called."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from apps.data.columns import quoted
from apps.errors import UserError, nearest

# Dates, then words that may also stand for a number, in the languages of the forms of dates.
DATES = frozenset(
    "date datetime timestamp ds datum zeitpunkt zeitstempel fecha horodatage tijdstip dato "
    "datetimeutc dateutc utc 日期 日付 时间 時間 日時 дата".split()
)
TIMES = frozenset("time t zeit tiempo temps tijd tid data ora hora tempo время".split())
COARSE = frozenset(
    "day week month quarter year period step tick jahr monat woche tag quartal annee an mois "
    "semaine jour ano mes semana dia anno mese settimana giorno jaar maand dag yearmonth "
    "yyyymm yyyymmdd".split()
)
# Words of which a longer name of a time holds one.
TIMED = DATES | {"time", "zeit"}
YEARS = frozenset("year yr yyyy jahr annee an ano anno jaar 年".split())
MONTHS = frozenset("month mo mm monat mois mes mese maand 月".split())
DAYS = frozenset("day dd tag jour dia giorno dag 日".split())
HOURS = frozenset("hour hr hh stunde heure hora ora uur".split())
CLOCKS = frozenset("time hour clock zeit uhrzeit heure hora ora tijd".split())
IDS = tuple(
    "unique_id series_id series item_id store store_id store_nbr shop shop_id symbol ticker isin "
    "product product_id sku item item_nbr dept department dept_id family brand category machine "
    "machine_id device device_id sensor sensor_id station station_id meter meter_id unit unit_id "
    "turbine engine plant site site_id building building_id asset coin id name group entity "
    "location zone area region state county country city customer customer_id client household "
    "user user_id patient subject person".split()
)
# Names of columns that count rows.
COUNTERS = frozenset(
    "index no nr row rownum id rowid unnamed column instant obs observation sno".split()
)


def plain(name: str) -> str:
    """A name without case, marks on letters, and what is neither letter nor digit."""
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return re.sub(r"[\W_]+", "", "".join(c for c in letters if not unicodedata.combining(c)))


def words(name: str) -> set[str]:
    """The words of a name: "saleDate" and "sale_date" have sale and date."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {plain(word) for word in re.split(r"[\W_]+", parted) if word}


def alike(name: str, columns: Iterable[str]) -> str | None:
    """The column of a name: exactly, else the only one regardless of case and marks."""
    known = list(columns)
    if name in known:
        return name
    for form in (lambda n: unicodedata.normalize("NFC", n).casefold().strip(), plain):
        found = [column for column in known if form(column) == form(name)]
        if len(found) == 1:
            return found[0]
    return None


def named(role: str, text: str, columns: Sequence[str], source: str) -> tuple[str, ...]:
    """The columns that have a role.

    Args:
        role: for the message.
        text: a column's name, or several with "+" between.
        columns: of the source.
        source: for the message.

    Raises:
        UserError: there is no such column.
    """
    whole = alike(text, columns)
    if whole is not None:
        return (whole,)
    found: list[str] = []
    for part in text.split("+"):
        column = alike(part.strip(), columns)
        if column is None:
            raise UserError(
                f"{source} has no column '{part.strip()}' for the role {role}"
                f"{nearest(part.strip(), columns)}"
            )
        if column not in found:
            found.append(column)
    return tuple(found)


def resolved(roles: dict[str, str], columns: Sequence[str], source: str) -> dict[str, list[str]]:
    """Role to columns, each of which has one role.

    Raises:
        UserError: a column is missing, or has two roles.
    """
    found = {role: list(named(role, text, columns, source)) for role, text in roles.items()}
    owners: dict[str, str] = {}
    for role, names in found.items():
        for name in names:
            if name in owners and {owners[name], role} != {"id", "static"}:
                raise UserError(
                    f"{source}: the column '{name}' has the roles {owners[name]} and {role}; "
                    "name it once"
                )
            owners[name] = role
    return found


def counted(count: int, what: str) -> str:
    """A number of things for a line: "1 row", "2 rows"."""
    return f"{count} {what}{'s' * (count != 1)}"


def listed(names: Sequence[str]) -> str:
    """Names in quotes for a line that tells of them."""
    return quoted(names, 6)
