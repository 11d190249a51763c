"""The answers of a version, and whether they are right."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from apps.export.gate.requests import Request
from apps.export.gate.verdict import RefusedError, SkippedError

# A version trained on a GPU and checked on a CPU differs by the rounding of different kernels.
RELATIVE, ABSOLUTE = 1e-3, 1e-4
# TensorFlow's codes for values that a model cannot use: INVALID_ARGUMENT and OUT_OF_RANGE.
VALUES_REFUSED = frozenset({3, 11})
NO_KERNEL = re.compile(r"No OpKernel|No registered '\w+' OpKernel")
# The heading that a session puts above TensorFlow's message.
HEADING = "Graph execution error:"
MOST_SHOWN = 200
TRAINED_AGAIN = "export the run again; if that does not help, train it again"


@dataclass(frozen=True)
class Answer:
    """The answer to one request.

    Attributes:
        outputs: arrays by the names that a client sees; empty after an error.
        code: TensorFlow's error code; 0 for no error.
        message: TensorFlow's message.
    """

    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    code: int = 0
    message: str = ""


def judge(requests: Sequence[Request], answers: Sequence[Answer]) -> str:
    """Compare answers with the golden ones.

    Args:
        requests: what was asked.
        answers: one for each request.

    Returns:
        What was found, one line.

    Raises:
        RefusedError: a request fails in a way that real requests would too, or an answer differs or
            is not finite.
        SkippedError: the model can use none of the made-up inputs, and there are no other inputs.
    """
    differences, ran, declined, infinite = [0.0], 0, 0, 0
    for request, answer in zip(requests, answers, strict=True):
        if answer.code and _declined(request, answer):
            declined += 1
            continue
        if answer.code:
            raise RefusedError(
                f"{request} fails: {_first_line(answer.message)}", _remedy(answer.message)
            )
        ran += 1
        for name, got in answer.outputs.items():
            golden = request.golden[name] if request.golden else None
            if golden is not None:
                differences.append(_difference(f"{request}: {name}", got, golden))
            elif not _finite(got):
                if not request.made_up:
                    raise RefusedError(f"{request}: {name} is not finite", TRAINED_AGAIN)
                infinite += 1
    made_up = sum(request.made_up for request in requests)
    if not ran:
        raise SkippedError(
            "the model can use none of the inputs made from its signatures"
            if made_up
            else "no input can be made for its signatures"
        )
    return _summary(requests, made_up, max(differences), declined, infinite)


def _declined(request: Request, answer: Answer) -> bool:
    return (
        request.made_up and answer.code in VALUES_REFUSED and not NO_KERNEL.search(answer.message)
    )


def _summary(
    requests: Sequence[Request], made_up: int, difference: float, declined: int, infinite: int
) -> str:
    parts = []
    recorded = len(requests) - made_up
    golden = sum(request.golden is not None for request in requests)
    if recorded:
        parts.append(f"{recorded} warm-up requests")
    if golden:
        within = f"within {difference:.0e} of" if difference else "equal to"
        parts.append(f"outputs {within} the golden ones")
    elif recorded:
        parts.append("no golden answers to compare with")
    if made_up:
        called = sorted({request.signature for request in requests if request.made_up})
        parts.append(f"{made_up} requests made up for {', '.join(called)}")
    if declined:
        parts.append(f"{declined} of them with values that the model cannot use")
    if infinite:
        parts.append(f"{infinite} answers to them not finite")
    return ", ".join(parts)


def _difference(what: str, got: np.ndarray, golden: np.ndarray) -> float:
    """The largest difference of two arrays, as a share of the largest number if that is above 1.

    It is zero for texts and integers, which must be equal.
    """
    if got.shape != golden.shape:
        raise RefusedError(
            f"{what} has shape {got.shape}, the golden one {golden.shape}", TRAINED_AGAIN
        )
    if (got.dtype == object) != (golden.dtype == object):
        raise RefusedError(f"{what} is {got.dtype}, the golden one {golden.dtype}", TRAINED_AGAIN)
    exact = got.dtype == object or got.dtype.kind in "biuSU"
    if exact:
        agree = np.asarray(got == golden)
    else:
        got, golden = (np.asarray(array, _wide(array)) for array in (got, golden))
        agree = np.isclose(got, golden, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True)
    if not agree.all():
        place = tuple(int(axis) for axis in np.argwhere(~agree)[0])
        raise RefusedError(
            f"{what}{list(place) if place else ''} is {_shown(got[place])}, "
            f"the golden one {_shown(golden[place])}",
            TRAINED_AGAIN,
        )
    if exact:
        return 0.0
    finite = np.isfinite(golden)
    largest = np.abs(golden[finite]).max(initial=1.0)
    return float(np.abs(got[finite] - golden[finite]).max(initial=0.0) / largest)


def _wide(array: np.ndarray) -> type:
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _finite(array: np.ndarray) -> bool:
    if array.dtype == object or array.dtype.kind in "biuSU":
        return True
    return bool(np.isfinite(np.asarray(array, _wide(array))).all())


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        return repr(value.decode("utf-8", "backslashreplace"))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _first_line(message: str) -> str:
    lines = [line for line in message.splitlines() if line.strip() and line != HEADING]
    line = lines[0] if lines else "no reason given"
    return line if len(line) <= MOST_SHOWN else f"{line[:MOST_SHOWN]}…"


def _remedy(message: str) -> str:
    if NO_KERNEL.search(message):
        return "export where no GPU is visible (CUDA_VISIBLE_DEVICES=-1)"
    return "TensorFlow Serving would give its clients this error; mend the model and export again"
