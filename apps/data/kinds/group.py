"""Groups, such as speakers or patients, whose rows stay on the same side of a split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from apps.data.columns import Column
from apps.data.kinds.label import Label


def group(*, required: bool = False, aliases: Iterable[str] = ()) -> Column:
    """A column of speakers, sources, patients…: the rows of each stay on one side of a split."""
    return Column(Group(), required, tuple(aliases))


@dataclass(frozen=True)
class Group(Label):
    """The group that a row belongs to; values are stripped, non-empty `str`."""

    names_classes: ClassVar[bool] = False
    keeps_rows_together: ClassVar[bool] = True
