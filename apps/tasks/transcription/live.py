"""The text of a stream, word by word as it settles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from apps.following import Decision, Follower

_SPACE = " "


@dataclass(frozen=True)
class Word:
    """A word that no later sound changes.

    Attributes:
        start: seconds from the beginning of the sound.
        end: the same.
        text: the word.
        confidence: mean of those of its tokens.
    """

    start: float
    end: float
    text: str
    confidence: float


@dataclass(frozen=True)
class _Token:
    text: str
    time: float
    confidence: float


class LiveTranscript:
    """Words out of the tokens that a transcription model's `step` answers with.

    Args:
        step_seconds: how long a token lasts, which is known by its beginning.

    Attributes:
        partial: the text behind the words that have settled, if the stream ended now.
        settled_until: end of the last word that has settled, seconds.
    """

    def __init__(self, step_seconds: float) -> None:
        self._step_seconds = step_seconds
        self._begun: list[_Token] = []
        self._rest: list[_Token] = []
        self.partial = ""
        self.settled_until = 0.0

    def push(self, answer: Mapping[str, np.ndarray]) -> list[Word]:
        """Take the answer to a chunk.

        Args:
            answer: one stream's, by name: `tokens`, `times`, `confidences` `(tokens,)` and
                `counts`, and the same with `partial_` in front.

        Returns:
            Words whose end has settled.
        """
        words, self._begun = self._words([*self._begun, *_tokens(answer, "")])
        self._rest = _tokens(answer, "partial_")
        letters = "".join(token.text for token in [*self._begun, *self._rest])
        self.partial = " ".join(letters.split())
        return words

    def finish(self) -> list[Word]:
        """The words that have not settled, as the stream ends."""
        words, _ = self._words([*self._begun, *self._rest, _Token(_SPACE, 0.0, 1.0)])
        self._begun, self._rest, self.partial = [], [], ""
        return words

    def _words(self, tokens: list[_Token]) -> tuple[list[Word], list[_Token]]:
        """Words that a space follows, and the tokens behind the last space."""
        words: list[Word] = []
        begun: list[_Token] = []
        for token in tokens:
            if token.text != _SPACE:
                begun.append(token)
            elif begun:
                words.append(self._word(begun))
                begun = []
        if words:
            self.settled_until = words[-1].end
        return words, begun

    def _word(self, tokens: list[_Token]) -> Word:
        return Word(
            start=round(tokens[0].time, 3),
            end=round(tokens[-1].time + self._step_seconds, 3),
            text="".join(token.text for token in tokens),
            confidence=round(sum(token.confidence for token in tokens) / len(tokens), 4),
        )


class TranscriptFollower(Follower):
    """Words as they settle; meanwhile the text behind them, which may still change.

    Args:
        step_seconds: how long a token lasts.
    """

    running = True

    def __init__(self, step_seconds: float) -> None:
        self._transcript = LiveTranscript(step_seconds)

    def push(self, answer: Mapping[str, np.ndarray], end: float) -> list[Decision]:
        found = [_settled(word) for word in self._transcript.push(answer)]
        partial = self._transcript.partial
        if partial != self.undecided:
            self.undecided = partial
            start = self._transcript.settled_until
            fields = {"start": start, "end": round(end, 3), "text": partial, "settled": False}
            found.append(Decision(fields, ""))
        return found

    def finish(self) -> list[Decision]:
        self.undecided = ""
        return [_settled(word) for word in self._transcript.finish()]


def _settled(word: Word) -> Decision:
    fields: dict[str, Any] = {**asdict(word), "settled": True}
    return Decision(fields, word.text)


def _tokens(answer: Mapping[str, np.ndarray], prefix: str) -> list[_Token]:
    count = int(answer[f"{prefix}counts"])
    columns = (answer[f"{prefix}{name}"][:count] for name in ("tokens", "times", "confidences"))
    return [
        _Token(text.decode("utf-8"), float(time), float(confidence))
        for text, time, confidence in zip(*columns, strict=True)
    ]
