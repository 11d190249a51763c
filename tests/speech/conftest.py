"""A few spoken sentences, a model that knows them by heart, and recordings of them on disk."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import apps
from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.run import Run
from apps.speech.synthesis import RATE, Speaker, spoken

SENTENCES = ("go left", "stop", "turn right", "no", "light on", "yes go up")


def sentence(text: str, seed: int) -> Clip:
    """One speaker's recording of a text, without noise."""
    voice = Speaker.drawn(np.random.default_rng(1))
    wave = spoken(text.split(), voice, np.random.default_rng(seed))
    # A model that cannot see what comes tells the last letters when it has heard them.
    wave = np.pad(wave, (RATE // 20, RATE // 4))
    return Clip.of(0.3 * wave / np.abs(wave).max(), RATE)


@pytest.fixture(scope="session")
def sentences() -> Examples:
    """Six short sentences."""
    clips = [sentence(text, seed) for seed, text in enumerate(SENTENCES)]
    places = [f"said.csv row {row}" for row in range(1, len(SENTENCES) + 1)]
    columns: dict[str, list[Any]] = {"audio": clips, "transcript": list(SENTENCES)}
    return Examples(columns, places, "said.csv")


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    """Settings of a transcription model that streams and learns six sentences in seconds."""
    return {
        "units": 48,
        "depth": 1,
        "bidirectional": False,
        "look_ahead": 4,
        "channels": 8,
        "bands": 32,
        "sample_rate": 8000,
        "input_dropout": 0.0,
        "layer_dropout": 0.0,
        "output_dropout": 0.0,
        "speed_change": 0.0,
        "gain_db": 0.0,
        "time_masking": 0.0,
        "frequency_masking": 0.0,
        "beam": 8,
    }


@pytest.fixture(scope="session")
def transcription_run(
    tmp_path_factory: pytest.TempPathFactory, sentences: Examples, tiny: dict[str, Any]
) -> Run:
    """A run that has learnt the sentences by heart."""
    rows = [
        {"audio": clip, "transcript": text}
        for clip, text in zip(sentences["audio"], sentences["transcript"], strict=True)
    ]
    return apps.train(
        "transcription",
        rows * 60,
        validation=rows,
        run=tmp_path_factory.mktemp("transcription") / "run",
        seed=1,
        log=lambda line: None,
        **tiny,
        batch_size=6,
        epochs=6,
        learning_rate=0.02,
    )
