"""Decisions that are also drawn onto the source of their stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from apps.following import Annotator, Decision, Follower


class AnnotatedFollower(Follower):
    """A follower whose decisions an annotator hears of too.

    Args:
        follower: draws the decisions.
        annotator: takes them, and finishes with the stream.
    """

    def __init__(self, follower: Follower, annotator: Annotator) -> None:
        self._follower, self._annotator = follower, annotator

    @property
    def running(self) -> bool:
        return self._follower.running

    @property
    def undecided(self) -> str:
        return self._follower.undecided

    def push(self, answer: Mapping[str, np.ndarray], end: Any) -> list[Decision]:
        return self._told(self._follower.push(answer, end))

    def finish(self) -> list[Decision]:
        last = self._told(self._follower.finish())
        self._annotator.finish()
        return last

    def _told(self, decisions: list[Decision]) -> list[Decision]:
        for decision in decisions:
            self._annotator.add(decision)
        return decisions
