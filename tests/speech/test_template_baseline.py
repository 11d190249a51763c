"""The baselines of keyword spotting: right on words, honest about doubt, carried by arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.speech.sample_words import sample_words
from apps.speech.template_baseline import (
    SpectrumBaseline,
    TemplateBaseline,
    log_spectra,
    warped_distances,
)
from apps.training.run_folder import RunFolder

Kind = type[TemplateBaseline] | type[SpectrumBaseline]
BASELINES: list[Kind] = [TemplateBaseline, SpectrumBaseline]


@pytest.fixture(scope="module")
def heard() -> tuple[Examples, Examples]:
    """Clips to learn from, and others of speakers that are not among them."""
    return sample_words(0, rows=240), sample_words(1, rows=120)


def accuracy(labels: list[str], examples: Examples, outputs: np.ndarray) -> float:
    answers = [labels[i] for i in outputs.argmax(1)]
    return float(np.mean([a == b for a, b in zip(answers, examples["label"], strict=True)]))


def glides(rows: int, labels: list[str], rate: int = 8000) -> Examples:
    """Clips whose label tells where a tone starts on its way to 2 kHz."""
    draw = np.random.default_rng(rows)
    chosen = [labels[row % len(labels)] for row in range(rows)]
    clips = []
    for label in chosen:
        start = 300 + 1500 * labels.index(label) / len(labels)
        hertz = np.linspace(start, 2000, int(rate * draw.uniform(0.3, 0.6)))
        wave = 0.3 * np.sin(2 * np.pi * np.cumsum(hertz) / rate)
        clips.append(Clip.of(wave + 0.01 * draw.standard_normal(len(wave)), rate))
    return Examples({"audio": clips, "label": chosen}, [f"row {i}" for i in range(rows)], "made")


@pytest.mark.parametrize("kind", BASELINES)
def test_words_of_unknown_speakers_are_hard_but_not_hopeless(
    kind: Kind, heard: tuple[Examples, Examples]
) -> None:
    known, unseen = heard
    labels = sorted(set(known["label"]))
    fitted = kind(labels, 16_000, seed=0)
    fitted.fit(known)
    outputs = fitted.predict(unseen)
    assert outputs.shape == (len(unseen), len(labels))
    assert 0.4 < accuracy(labels, unseen, outputs) < 0.9
    truth = np.array([labels.index(label) for label in unseen["label"]])
    chances = outputs - np.log(np.exp(outputs).sum(1, keepdims=True))
    assert -chances[np.arange(len(truth)), truth].mean() < np.log(len(labels))
    assert not np.isnan(outputs).any()


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("labels", [["no", "yes"], ["a", "b", "c", "d"]])
def test_state_restores_equal_predictions_that_are_right(
    kind: Kind, labels: list[str], tmp_path: Path
) -> None:
    fitted = kind(labels, 8000, seed=0)
    fitted.fit(glides(60, labels))
    unseen = glides(40, labels, rate=16_000)
    outputs = fitted.predict(unseen)
    assert accuracy(labels, unseen, outputs) > 0.9

    folder = RunFolder(tmp_path)
    folder.write_arrays(tmp_path / "baseline.npz", fitted.state())
    restored = kind(labels, 8000, seed=0)
    restored.restore(folder.read_arrays(tmp_path / "baseline.npz"))
    np.testing.assert_array_equal(restored.predict(unseen), outputs)


@pytest.mark.parametrize("kind", BASELINES)
def test_a_class_without_training_rows_is_the_last_to_be_answered(kind: Kind) -> None:
    fitted = kind(["a", "b", "never"], 8000, seed=0)
    fitted.fit(glides(30, ["a", "b"]))
    outputs = fitted.predict(glides(10, ["a", "b"]))
    assert np.isfinite(outputs).all()
    assert (outputs.argmax(1) < 2).all()


@pytest.mark.parametrize("kind", BASELINES)
def test_clips_at_the_edge_get_finite_answers(kind: Kind) -> None:
    fitted = kind(["a", "b"], 8000, seed=0)
    fitted.fit(glides(20, ["a", "b"]))
    waves = [np.zeros(0), np.zeros(1), np.zeros(9000), np.ones(500), np.tile([1.0, -1.0], 4000)]
    clips = [Clip.of(wave, 8000) for wave in waves]
    outputs = fitted.predict(Examples({"audio": clips}, list("12345"), "odd"))
    assert outputs.shape == (5, 2)
    assert np.isfinite(outputs).all()
    assert fitted.predict(Examples({"audio": []}, [], "none")).shape == (0, 2)


def test_templates_are_bounded() -> None:
    labels = ["a", "b", "c"]
    few = TemplateBaseline(labels, 8000, seed=0, most=4)
    few.fit(glides(60, labels))
    np.testing.assert_array_equal(few.state()["classes"], np.repeat([0, 1, 2], 4))
    assert TemplateBaseline([str(i) for i in range(200)], 8000, seed=0).most == 2
    other = TemplateBaseline(labels, 8000, seed=1, most=4)
    other.fit(glides(60, labels))
    assert np.abs(few.state()["templates"] - other.state()["templates"]).max() > 0


def test_one_template_a_class_is_enough() -> None:
    single = TemplateBaseline(["a", "b"], 8000, seed=0, most=1)
    single.fit(glides(20, ["a", "b"]))
    unseen = glides(10, ["a", "b"])
    assert accuracy(["a", "b"], unseen, single.predict(unseen)) == 1.0


def cheapest_path(a: np.ndarray, b: np.ndarray, stray: int) -> float:
    """Dynamic time warping cell by cell."""
    frames = len(a)
    cost = np.full((frames, frames), np.inf)
    for i in range(frames):
        for j in range(max(0, i - stray), min(frames, i + stray + 1)):
            here = np.linalg.norm(a[i] - b[j])
            ways = [2 * here] if i == j == 0 else []
            if i:
                ways.append(cost[i - 1, j] + here)
            if j:
                ways.append(cost[i, j - 1] + here)
            if i and j:
                ways.append(cost[i - 1, j - 1] + 2 * here)
            cost[i, j] = min(ways)
    return cost[-1, -1] / (2 * frames)


def test_warping_finds_the_cheapest_path() -> None:
    draw = np.random.default_rng(0)
    clips, templates = (draw.standard_normal((n, 40, 3)).astype(np.float32) for n in (4, 3))
    expected = [[cheapest_path(a, b, 8) for b in templates] for a in clips]
    np.testing.assert_allclose(warped_distances(clips, templates), expected, rtol=1e-4)


def test_warping_forgives_a_shift_in_time() -> None:
    bump = np.exp(-0.5 * ((np.arange(40) - 18) / 3) ** 2)[None, :, None].astype(np.float32)
    late = np.roll(bump, 4, axis=1)
    straight = np.abs(bump - late).mean()
    assert warped_distances(late, bump)[0, 0] < 0.1 * straight


def test_spectrum_of_a_tone_peaks_in_its_band() -> None:
    seconds = np.arange(16_000) / 16_000
    low, high = (
        log_spectra(np.sin(2 * np.pi * hertz * seconds).astype(np.float32), 16_000).mean(0).argmax()
        for hertz in (300, 3000)
    )
    # Mel of 300 and 3000 Hz are 402 and 1876, of 8000 Hz 2840; centres stand 113.6 apart.
    assert (low, high) == (round(402 / 113.6) - 1, round(1876 / 113.6) - 1)
