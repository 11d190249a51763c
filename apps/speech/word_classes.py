"""The classes of a keyword model besides its keywords: other words, and no word at all."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

import keras
import numpy as np

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.errors import UserError, nearest
from apps.tasks.classification import ClassAnswers, Classification

UNKNOWN, SILENCE = "unknown", "silence"

# Names in Speech Commands (Warden 2018), whose folder of noise holds minutes of it.
_CLASSES = {
    "_unknown_": UNKNOWN,
    UNKNOWN: UNKNOWN,
    "_silence_": SILENCE,
    SILENCE: SILENCE,
    "_background_noise_": SILENCE,
}
_PIECE_SECONDS = 1.0
# Root mean square of generated noise, as a share of full scale; a quiet room is near 1e-3.
_LEVELS = (1e-4, 3e-2)
_DIGITAL_SILENCE = 0.1
_MOST_GENERATED = 1000


class WordClasses(Classification):
    """Words as classes, with `unknown` for other words and `silence` for none.

    Args:
        column: holds the labels.
    """

    passed_over = "labelled as a word, but without any sound"

    def __init__(self, column: str = "label") -> None:
        super().__init__(column, background=(SILENCE, UNKNOWN))

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        """Turn labels into classes, and leave out soundless rows that are labelled as a word."""
        keywords = chosen_keywords(self.config.keywords)
        if learning:
            require_keywords(examples, keywords)
        classed = with_classes(examples, keywords)
        labelled = zip(classed["audio"], classed[self.column], strict=True)
        heard = [
            row
            for row, (clip, label) in enumerate(labelled)
            if label == SILENCE or not soundless(clip)
        ]
        if not heard:
            raise UserError(
                f"{examples.source}: every recording is digital silence; give recordings with sound"
            )
        return super().check(classed.select(heard), learning=learning)

    def adapt(self, examples: Examples) -> dict[str, keras.layers.Layer]:
        found = super().adapt(examples)
        if self.generates_silence(examples):
            labels = (*found["answers"].labels, SILENCE)
            found["answers"] = ClassAnswers(labels, name="answers")
        return found

    def generates_silence(self, examples: Examples) -> bool:
        """Whether silence becomes a class although no training row is silent."""
        return self.config.silence > 0 and SILENCE not in examples[self.column]


def chosen_keywords(text: str) -> tuple[str, ...]:
    """Keywords from a list separated by commas, `yes,no,stop`; none from an empty text."""
    parts = unicodedata.normalize("NFC", text).split(",")
    return tuple(dict.fromkeys(name for part in parts if (name := part.strip())))


def with_classes(examples: Examples, keywords: Sequence[str]) -> Examples:
    """Examples whose labels are keywords, `unknown` or `silence`.

    Args:
        examples: with the columns `audio` and `label`.
        keywords: the labels that keep their names; if empty, all do.

    Returns:
        The examples with `_unknown_` and any word that is not a keyword as `unknown`, `_silence_`
        and `_background_noise_` as `silence`. Recordings of silence of two seconds or more are cut
        into pieces of one second, at most as many as the most frequent other class has rows.
    """
    labels = [_class(label, keywords) for label in examples["label"]]
    return _with_noise_in_pieces(_replaced(examples, label=labels))


def require_keywords(examples: Examples, keywords: Sequence[str]) -> None:
    """Refuse keywords that are not labels of the data.

    Args:
        examples: training rows with the labels of the source.
        keywords: the labels that were asked for.

    Raises:
        UserError: names the keyword and the most similar label.
    """
    found = set(examples["label"])
    for name in keywords:
        if name not in found:
            raise UserError(
                f"keywords: no recording of {examples.source} has the label '{name}'"
                f"{nearest(name, found)}; give labels of the data, separated by commas"
            )


def with_generated_silence(examples: Examples, share: float, seed: int) -> Examples:
    """The examples, followed by rows of generated noise labelled `silence`.

    Args:
        examples: with the columns `audio` and `label`.
        share: rows to generate, as a share of the given rows; at most a thousand.
        seed: seeds the noise, whose colour is between white and brown and whose level is between a
            noisy room and digital silence. Each row is as long as one of the given rows, so that
            batches of similar length hold both.
    """
    draw = np.random.default_rng(seed)
    count = min(max(1, round(share * len(examples))), _MOST_GENERATED)
    like = draw.integers(len(examples), size=count)
    clips = [_noise(examples["audio"][row], draw) for row in like]
    columns = {name: [*values, *[SILENCE] * count] for name, values in examples.columns.items()}
    columns["audio"] = [*examples["audio"], *clips]
    places = [*examples.places, *(f"generated silence {i + 1}" for i in range(count))]
    return Examples(columns, places, examples.source)


def soundless(clip: Clip) -> bool:
    """Whether all samples are equal."""
    samples = clip.samples
    return len(samples) == 0 or int(samples.min()) == int(samples.max())


def _class(label: str, keywords: Sequence[str]) -> str:
    if label in keywords:
        return label
    return _CLASSES.get(label.casefold(), UNKNOWN if keywords else label)


def _with_noise_in_pieces(examples: Examples) -> Examples:
    clips, labels = examples["audio"], examples["label"]
    long = {
        row
        for row, (clip, label) in enumerate(zip(clips, labels, strict=True))
        if label == SILENCE and clip.seconds >= 2 * _PIECE_SECONDS
    }
    if not long:
        return examples
    pieces = [
        (row, start)
        for row in sorted(long)
        for start in range(int(clips[row].seconds / _PIECE_SECONDS))
    ]
    counts = Counter(label for label in labels if label != SILENCE)
    most = max([*counts.values(), len(long)])
    if len(pieces) > most:
        pieces = [pieces[i] for i in np.linspace(0, len(pieces) - 1, most).round().astype(int)]
    whole = [row for row in range(len(examples)) if row not in long]
    kept = examples.select([*whole, *(row for row, _ in pieces)])
    cut = [_piece(clips[row], start) for row, start in pieces]
    places = [
        *kept.places[: len(whole)],
        *(f"{examples.places[row]} second {start + 1}" for row, start in pieces),
    ]
    audio = [*kept["audio"][: len(whole)], *cut]
    return Examples({**kept.columns, "audio": audio}, places, examples.source)


def _piece(clip: Clip, number: int) -> Clip:
    size = round(_PIECE_SECONDS * clip.rate)
    return clip.part(number * size, (number + 1) * size, clip.path)


def _noise(like: Clip, draw: np.random.Generator) -> Clip:
    """Noise with the rate and the length of a clip."""
    rate, samples = like.rate, like.count
    if draw.random() < _DIGITAL_SILENCE:
        return Clip(np.zeros(samples, np.int16), rate)
    hertz = np.maximum(np.fft.rfftfreq(samples, 1 / rate), 50.0)
    # Amplitudes fall with this power of the frequency: 0 is white noise, 1 is brown.
    colour = hertz ** -draw.uniform(0.0, 1.0)
    noise = np.fft.irfft(np.fft.rfft(draw.standard_normal(samples)) * colour, samples)
    level = np.exp(draw.uniform(*np.log(_LEVELS)))
    return Clip.of(noise * level / np.sqrt(np.mean(noise**2)), rate)


def _replaced(examples: Examples, **columns: Sequence[str]) -> Examples:
    return Examples({**examples.columns, **columns}, examples.places, examples.source)
