"""Speech from a table of sounds: a glottal source and noise, filtered by moving formants.

The model is that of Klatt 1980, "Software for a cascade/parallel formant synthesizer": pulses and
aspiration pass a cascade of resonators, frication passes a band of its own. The filters are applied
frame by frame in the frequency domain, and the frames are overlapped and added, which takes a few
milliseconds a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft

from apps.speech.phonemes import Segment, pause, segments_of

RATE = 16_000
"""Sampling rate of synthetic speech, in Hz."""

_HOP = RATE // 100
_WINDOW = 2 * _HOP
_FFT = 5 * _HOP
_BANDWIDTHS = (60.0, 90.0, 150.0, 250.0, 300.0)
_HIGHER_FORMANTS = (3500.0, 4500.0)
_FRAME_MS = 1000 * _HOP / RATE


@dataclass(frozen=True)
class Speaker:
    """The properties that all utterances of one invented person share.

    Attributes:
        pitch: mean fundamental frequency, in Hz.
        tract: factor on all formants; above 1 for a vocal tract shorter than a man's.
        accent: factors on this person's first three formants.
        rate: factor on durations; above 1 for slow speech.
        melody: range of the pitch within an utterance, as a fraction of it.
        jitter: deviation from cycle to cycle, as a fraction of the pitch.
        breath: amplitude of the noise that accompanies voicing.
        tilt: change of the voice's spectrum, in dB an octave above 500 Hz.
        noise: level of the background noise, in dB below the speech.
        colour: slope of the noise's spectrum, in dB an octave.
    """

    pitch: float
    tract: float
    accent: tuple[float, float, float]
    rate: float
    melody: float
    jitter: float
    breath: float
    tilt: float
    noise: float
    colour: float

    @classmethod
    def drawn(cls, draw: np.random.Generator) -> Speaker:
        """A person drawn at random: men, women and children, in quiet and noisy places."""
        tract = draw.uniform(0.92, 1.3)
        return cls(
            pitch=float(100 * tract**3 * draw.uniform(0.85, 1.2)),
            tract=float(tract),
            accent=tuple(draw.uniform(0.9, 1.1, 3).tolist()),
            rate=float(draw.uniform(0.75, 1.3)),
            melody=float(draw.uniform(0.05, 0.3)),
            jitter=float(draw.uniform(0.005, 0.02)),
            breath=float(draw.uniform(0.01, 0.1)),
            tilt=float(draw.uniform(-5.0, 2.0)),
            noise=float(draw.uniform(10.0, 35.0)),
            colour=float(draw.uniform(-6.0, 1.0)),
        )


def spoken(words: Sequence[str], speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    """An utterance without noise around it.

    Words run into each other: formants glide across the boundary, and only some boundaries have a
    pause.

    Args:
        words: at least one, of `apps.speech.phonemes.PRONUNCIATIONS`.
        speaker: who says them.
        draw: random numbers for everything that differs between utterances.

    Returns:
        `(samples,)` float64 at `RATE` Hz, with a root mean square of 1 where it is voiced.
    """
    segments: list[Segment] = []
    for place, word in enumerate(words):
        if place and draw.random() < 0.5:
            segments.append(pause(draw.uniform(40, 250)))
        segments += segments_of(word)
    return _voice(segments, speaker, draw)


def coloured_noise(samples: int, slope: float, draw: np.random.Generator) -> np.ndarray:
    """Noise whose spectrum has a slope.

    Args:
        samples: how many.
        slope: in dB an octave: 0 is white, -3 pink, -6 brown.
        draw: random numbers for the noise.

    Returns:
        `(samples,)` float64 with a root mean square of 1.
    """
    size = fft.next_fast_len(samples, real=True)
    spectrum = fft.rfft(draw.standard_normal(size))
    hertz = fft.rfftfreq(size, 1 / RATE)
    noise = fft.irfft(spectrum * _slope(np.maximum(hertz, 50.0), slope), size)[:samples]
    return noise / np.sqrt(np.mean(noise**2) + 1e-12)


def _slope(hertz: np.ndarray, decibels: float) -> np.ndarray:
    return (hertz / 500.0) ** (decibels / 20 / np.log10(2))


def _voice(segments: Sequence[Segment], speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    tracks = _Tracks(segments, speaker, draw)
    frames = len(tracks.voicing)
    voicing, aspiration, frication = (
        _by_sample(track) for track in (tracks.voicing, tracks.aspiration, tracks.frication)
    )
    hiss, turbulence = draw.standard_normal((2, frames * _HOP))
    pulses = _pulses(_pitch(frames, speaker, draw), speaker, draw)
    glottis = pulses * voicing + hiss * (aspiration + speaker.breath * voicing)
    spectrum = _spectra(glottis) * tracks.cascade(speaker.tilt)
    spectrum += _spectra(turbulence * frication) * tracks.bands()
    wave = _overlap_add(fft.irfft(spectrum, _FFT, axis=-1))
    loudness = np.mean(wave[: frames * _HOP].reshape(frames, _HOP) ** 2, -1)
    return wave / np.sqrt(np.mean(loudness[tracks.voicing > 0.3]))


class _Tracks:
    """Targets of an utterance frame by frame, smoothed as by the inertia of a tongue."""

    def __init__(
        self, segments: Sequence[Segment], speaker: Speaker, draw: np.random.Generator
    ) -> None:
        pad = pause(40)
        segments = [pad, *segments, pad]
        last_vowel = max(i for i, s in enumerate(segments) if s.vowel)
        lasting = np.array([s.milliseconds for s in segments]) * speaker.rate
        lasting *= np.exp(draw.normal(0, 0.15, len(segments)))
        lasting[last_vowel] *= 1.3
        ends = np.rint(np.cumsum(lasting) / _FRAME_MS).astype(int)
        rows = np.searchsorted(ends, np.arange(ends[-1]), side="right")

        voiced = np.array([s.voicing for s in segments])
        formants = np.array([s.formants for s in segments])
        # An articulator that is not needed already moves towards the next target.
        for row in range(len(segments) - 1, 0, -1):
            if voiced[row - 1] == 0 and segments[row - 1].aspiration > 0:
                formants[row - 1] = (formants[row - 1] + formants[row]) / 2
        formants *= speaker.tract * np.array(speaker.accent)
        formants *= np.exp(draw.normal(0, 0.04, formants.shape))

        self.formants = _smooth(formants[rows], 9)
        self.damping = _smooth(np.array([s.damping for s in segments])[rows], 3)
        self.voicing = _smooth(voiced[rows], 3)
        self.aspiration = _smooth(np.array([s.aspiration for s in segments])[rows], 3)
        self.frication = _smooth(np.array([s.frication for s in segments])[rows], 2)
        self.band = np.array([s.band for s in segments])[rows]
        self.higher = speaker.tract * np.array(_HIGHER_FORMANTS)

    def cascade(self, tilt: float) -> np.ndarray:
        """Response of the resonators in series, `(frames, frequencies)` complex64.

        Each is that of Klatt 1980, equations 1 and 2.
        """
        gain = np.ones(len(self.formants))
        denominator = np.ones((len(gain), 1))
        higher = np.broadcast_to(self.higher, (len(gain), len(self.higher)))
        for formant, bandwidth in zip(
            np.concatenate([self.formants, higher], 1).T, _BANDWIDTHS, strict=True
        ):
            radius = np.exp(-np.pi * bandwidth * self.damping / RATE)
            c = -(radius**2)
            b = 2 * radius * np.cos(2 * np.pi * formant / RATE)
            gain = gain * (1 - b - c)
            longer = np.pad(denominator, ((0, 0), (0, 2)))
            longer[:, 1:-1] -= b[:, None] * denominator
            longer[:, 2:] -= c[:, None] * denominator
            denominator = longer
        hertz = np.maximum(fft.rfftfreq(_FFT, 1 / RATE), 500.0)
        numerator = (gain[:, None] * _slope(hertz, tilt)).astype(np.float32)
        return numerator / fft.rfft(denominator, _FFT, axis=-1).astype(np.complex64)

    def bands(self) -> np.ndarray:
        """Response of the constriction: a Gaussian about its centre, `(frames, frequencies)`."""
        hertz = fft.rfftfreq(_FFT, 1 / RATE).astype(np.float32)
        centre, width = self.band[:, :1].astype(np.float32), self.band[:, 1:].astype(np.float32)
        return np.exp(-0.5 * ((hertz - centre) / width) ** 2)


def _by_sample(track: np.ndarray) -> np.ndarray:
    places = (np.arange(len(track) * _HOP) + 0.5) / _HOP - 0.5
    return np.interp(places, np.arange(len(track)), track)


def _smooth(track: np.ndarray, frames: int) -> np.ndarray:
    """Weighted mean over some frames to each side, with the weights of a Hann window."""
    window = np.hanning(2 * frames + 1)[1:-1] if frames > 1 else np.ones(1)
    padded = np.concatenate([track[:1]] * (len(window) // 2) + [track])
    padded = np.concatenate([padded] + [track[-1:]] * (len(window) // 2))
    return sliding_window_view(padded, len(window), axis=0) @ (window / window.sum())


def _pitch(frames: int, speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    """Fundamental frequency in Hz per frame: it declines, with bends and a final rise or fall."""
    places = np.linspace(0, 1, frames)
    bends = np.interp(places, np.linspace(0, 1, 4), draw.normal(0, 0.4, 4))
    turn = draw.normal(-0.3, 0.5) * np.maximum(places - 0.7, 0) / 0.3
    height = speaker.pitch * np.exp(draw.normal(0, 0.08))
    return height * (1 + speaker.melody * (0.5 - places + bends + turn)).clip(0.5, 2.0)


def _pulses(pitch: np.ndarray, speaker: Speaker, draw: np.random.Generator) -> np.ndarray:
    """Derivative of the glottal flow of KLGLOTT88, `(frames · hop,)`.

    The flow of an open phase is q²(1 - q) (Klatt & Klatt 1990). Taking differences of the flow,
    instead of its derivative at the samples, keeps the closure from aliasing.
    """
    knots = draw.standard_normal(2 * len(pitch) + 1)
    wander = np.interp(np.arange(len(pitch) * _HOP), np.arange(len(knots)) * _HOP / 2, knots)
    hertz = np.repeat(pitch, _HOP) * (1 + speaker.jitter * wander)
    phase = np.concatenate([[0.0], np.cumsum(hertz / RATE)]) % 1.0
    q = np.minimum(phase / 0.6, 1.0)
    return np.diff(q**2 * (1 - q)) * RATE / np.mean(pitch)


def _spectra(wave: np.ndarray) -> np.ndarray:
    """Spectra of windows that overlap by half, `(frames, frequencies)` complex64."""
    padded = np.pad(wave, (_HOP, 0)).astype(np.float32)
    windows = sliding_window_view(padded, _WINDOW)[::_HOP]
    hann = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)
    return fft.rfft(windows * hann, _FFT, axis=-1)


def _overlap_add(frames: np.ndarray) -> np.ndarray:
    count, parts = len(frames), _FFT // _HOP
    wave = np.zeros((count + parts, _HOP))
    for part in range(parts):
        wave[part : part + count] += frames[:, part * _HOP : (part + 1) * _HOP]
    return wave.reshape(-1)[_HOP:]
