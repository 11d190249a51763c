"""The gate's verdict on a SavedModel version, and how it is shown on a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from apps.errors import UserError

State = Literal["passed", "failed", "skipped"]
_SHOWN = {"passed": "ok", "failed": "FAIL", "skipped": "skip"}


class RefusedError(Exception):
    """A finding that makes a version unfit to be served.

    Args:
        detail: what was found, one line.
        remedy: what to do about it, one line; may be empty.
    """

    def __init__(self, detail: str, remedy: str = "") -> None:
        super().__init__(detail)
        self.detail, self.remedy = " ".join(detail.split()), remedy


class SkippedError(Exception):
    """Why a check could not be run, or had nothing to check."""


@dataclass(frozen=True)
class Check:
    """The outcome of one check.

    Attributes:
        name: `folder`, `kernels`, `swap`, `C API` or `session`.
        state: `passed`, `failed` or `skipped`.
        detail: what was found, one line.
        remedy: what to do about a failure, one line; may be empty.
        seconds: how long the check took.
        transient: whether the host may have caused the failure, by a lack of memory or time.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""
    seconds: float = 0.0
    transient: bool = False

    def __str__(self) -> str:
        shown = f"{_SHOWN[self.state]:5} {self.name}: {self.detail} ({self.seconds:.1f} s)"
        return f"{shown}\n      fix: {self.remedy}" if self.remedy else shown


@dataclass(frozen=True)
class Verdict:
    """Whether a version may take traffic.

    Attributes:
        folder: the version.
        checks: the checks that ran, in order; none follows a failed one.
    """

    folder: Path
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        return self.refusal is None

    @property
    def transient(self) -> bool:
        """Whether the same version may pass at another time."""
        return any(check.state == "failed" and check.transient for check in self.checks)

    @property
    def refusal(self) -> str | None:
        """One line with the folder, the reason and the remedy; `None` for a good version."""
        for check in self.checks:
            if check.state == "failed":
                remedy = f"; {check.remedy}" if check.remedy else ""
                return f"{self.folder}: {check.name}: {check.detail}{remedy}"
        return None

    def require(self) -> None:
        """Do nothing for a good version.

        Raises:
            UserError: the version is refused; the message is `refusal`.
        """
        if self.refusal is not None:
            raise UserError(self.refusal)


def render(verdict: Verdict) -> str:
    """Show a verdict: one line for each check and one for the result.

    Args:
        verdict: what `verify` returned.

    Returns:
        Lines without a final newline.
    """
    word = "fit to be served" if verdict.passed else "refused"
    return "\n".join([*(str(check) for check in verdict.checks), f"{verdict.folder}: {word}"])
