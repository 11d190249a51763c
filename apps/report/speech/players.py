"""Evidence in a row of `predictions.jsonl`: its sound, its spectrogram, its track.

A report is made from these rows alone, without the recordings and without the model.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from apps.report.speech.mistakes import instructive, judge, worst

SECONDS = 30.0
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000)
_BANDS = 64
_COLUMNS = 400
_WINDOW, _HOP = 0.025, 0.010
_HIGHEST_HZ = 8000.0
_RANGE_DB = 70.0
_SHADES = 32
_QUIETEST = 1e-10
# More than one frame of MPEG audio, which lasts 72 ms at the lowest rate.
_SHORTEST = 0.1


def add_evidence(
    rows: Sequence[MutableMapping[str, Any]],
    clip: Callable[[int], tuple[NDArray[Any], int]],
    track: Callable[[int], Mapping[str, Any]],
) -> None:
    """Add sound, picture and track to the rows that the report shows, in place.

    Args:
        rows: finished rows of `predictions.jsonl`, in the form that `apps.report.speech.sections`
            describes. The worst ten get `audio` with sound; six to look at get `audio` with a
            spectrogram, and `track`.
        clip: gives samples `(n,)` in [-1, 1] and rate in Hz of the row at a position.
        track: gives what `attention_track` or `ctc_track` made for the row at a position.
    """
    judged = judge(rows)
    heard, seen = set(worst(judged)), set(instructive(judged))
    for position in sorted(heard | seen):
        samples, rate = clip(position)
        rows[position]["audio"] = audio_evidence(
            samples, rate, sound=position in heard, picture=position in seen
        )
        if position in seen:
            rows[position]["track"] = dict(track(position))


def audio_evidence(
    samples: ArrayLike, rate: int, *, sound: bool = True, picture: bool = True
) -> dict[str, Any]:
    """A clip in a form that a page can play and show, at most its first 30 seconds.

    Args:
        samples: `(n,)` in [-1, 1]; values outside are clipped, NaN becomes 0.
        rate: in Hz.
        sound: whether to include a compressed copy; half a minute takes about 150 kB.
        picture: whether to include a spectrogram; it takes about 20 kB.

    Returns:
        JSON values: `seconds`, the whole length; `shown`, the length of what is included; `sound`,
        a `data:` address of MPEG audio, absent for an empty clip; `spectrogram`, a `data:` address
        of a grey PNG of at most 400 columns and 64 bands of equal width on the mel scale, from 0 Hz
        at the bottom to `high_hz`; white is the loudest, black 70 dB below it.
    """
    whole = np.nan_to_num(np.asarray(samples, np.float32).reshape(-1), posinf=1.0, neginf=-1.0)
    shown = np.clip(whole[: int(SECONDS * rate)], -1.0, 1.0)
    evidence: dict[str, Any] = {
        "seconds": round(len(whole) / rate, 3),
        "shown": round(len(shown) / rate, 3),
    }
    if sound and len(shown):
        evidence["sound"] = _address("audio/mpeg", _mp3(shown, rate))
    if picture and len(shown):
        high = min(_HIGHEST_HZ, rate / 2)
        evidence["spectrogram"] = _address("image/png", _png(_levels(shown, rate, high)))
        evidence["high_hz"] = high
    return evidence


def attention_track(weights: ArrayLike, step_seconds: float) -> dict[str, Any]:
    """Attention over time, as the report draws it.

    Args:
        weights: `(steps,)`, the weight of each step; they sum to 1.
        step_seconds: time from one step to the next, in seconds.

    Returns:
        JSON values: `step_seconds`, and `weights` of the first 30 seconds.
    """
    first = np.asarray(weights, np.float64).reshape(-1)[: _first_steps(step_seconds)]
    return {"step_seconds": step_seconds, "weights": _rounded(first)}


def ctc_track(
    log_posteriors: ArrayLike,
    texts: Sequence[str],
    step_seconds: float,
    words: Iterable[tuple[float, str]],
) -> dict[str, Any]:
    """What a CTC model recognised and when, as the report draws it.

    Args:
        log_posteriors: `(steps, tokens)`, token 0 is the blank.
        texts: the text of each token.
        step_seconds: time from one step to the next, in seconds.
        words: time in seconds and text of each word that the decoder answered.

    Returns:
        JSON values, all of the first 30 seconds: `step_seconds`; `blank`, the posterior of the
        blank at each step; `tokens` of the most probable path (Graves et al. 2006, section 3.2) as
        `[time, text, probability]`, where the time is that of its first step; `words` as `[time,
        text]`.
    """
    posteriors = np.exp(np.asarray(log_posteriors, np.float64))[: _first_steps(step_seconds)]
    path = posteriors.argmax(axis=1)
    runs = np.append(np.flatnonzero(np.diff(path, prepend=-1)), len(path))
    return {
        "step_seconds": step_seconds,
        "blank": _rounded(posteriors[:, 0]),
        "tokens": [
            [
                round(float(start * step_seconds), 3),
                str(texts[path[start]]),
                round(float(posteriors[start:end, path[start]].max()), 4),
            ]
            for start, end in pairwise(runs)
            if path[start]
        ],
        "words": [[round(float(time), 3), str(word)] for time, word in words if time < SECONDS],
    }


def mel(hz: ArrayLike) -> NDArray[np.float64]:
    """Mel scale: 2595 log10(1 + f / 700) (O'Shaughnessy 1987, page 150)."""
    return 2595.0 * np.log10(1.0 + np.asarray(hz, np.float64) / 700.0)


def _first_steps(step_seconds: float) -> int:
    return round(SECONDS / step_seconds)


def _rounded(values: NDArray[np.float64]) -> list[float]:
    return np.round(np.nan_to_num(values), 4).tolist()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _mp3(samples: NDArray[np.float32], rate: int) -> bytes:
    """MPEG audio: every browser plays it, and unlike Ogg, equal samples give equal bytes."""
    import soundfile
    import soxr

    chosen = next((r for r in _MP3_RATES if r >= rate), _MP3_RATES[-1])
    if chosen != rate:
        samples = np.clip(soxr.resample(samples, rate, chosen), -1.0, 1.0)
    missing = max(0, int(_SHORTEST * chosen) - len(samples))
    file = io.BytesIO()
    soundfile.write(
        file,
        np.pad(samples, (0, missing)),
        chosen,
        format="MP3",
        subtype="MPEG_LAYER_III",
        compression_level=0.5,
    )
    return file.getvalue()


def _levels(samples: NDArray[np.float32], rate: int, high: float) -> NDArray[np.uint8]:
    """Loudness `(bands, columns)`, highest band first; 255 is the loudest, 0 is 70 dB below it."""
    window, hop = max(2, round(_WINDOW * rate)), max(1, round(_HOP * rate))
    padded = np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    size = 1 << (window - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * np.hanning(window).astype(np.float32), size)) ** 2
    points = 700.0 * (10.0 ** (np.linspace(0.0, mel(high), _BANDS + 1) / 2595.0) - 1.0)
    edges = np.minimum((points * size / rate).astype(int), size // 2)
    bands = np.add.reduceat(power[:, : edges[-1] + 1], edges[:-1], axis=1)
    bands /= np.maximum(np.diff(edges), 1)
    starts = np.unique(np.linspace(0, len(bands), _COLUMNS, endpoint=False).astype(int))
    columns = np.maximum.reduceat(bands, starts, axis=0)
    loudness = 10.0 * np.log10(np.maximum(columns, _QUIETEST))
    peak = loudness.max()
    if columns.max() <= _QUIETEST:
        return np.zeros(columns.T.shape, np.uint8)
    share = np.clip(1.0 + (loudness - peak) / _RANGE_DB, 0.0, 1.0)
    # Shades of about two decibels: the eye sees no finer ones, and they take half the bytes.
    return np.round(np.round(_SHADES * share) * (255 / _SHADES)).astype(np.uint8).T[::-1]


def _png(levels: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(levels)).save(file, format="PNG", optimize=True)
    return file.getvalue()
