"""Language models of `transcription`: they decide where the ear does not, with chosen weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from ctc_outputs import built, go_or_no, heard, outputs_of, texts, truth

from apps.data import Examples
from apps.data.recordings.clip import Clip
from apps.layers.ctc import BeamDecoder
from apps.layers.language.ngram import NgramModel
from apps.speech.transcription import Transcription, TranscriptionConfig
from apps.tasks.transcription import CtcTranscription
from apps.tasks.transcription.decoders import new_decoder


@pytest.fixture(scope="module")
def learnt(tiny: dict[str, Any], sentences: Examples) -> Transcription:
    return built(tiny, sentences)


def searching(learnt: Transcription, **settings: Any) -> CtcTranscription:
    """The task with the decoder of a config, estimated from sentences of both words."""
    config = TranscriptionConfig.from_values({"beam": 8, **settings})
    decoder = new_decoder(config, learnt.task.tokens, ["go", "no"])
    return Transcription.task.bound(config, 0, {**learnt.adapted, "decoder": decoder})


def chosen(task: CtcTranscription) -> tuple[float, float]:
    """Weight of the language model and bonus of a word."""
    decoder = task.adapted["decoder"]
    assert isinstance(decoder, BeamDecoder)
    return decoder.alpha, decoder.beta


@pytest.mark.parametrize(
    ("name", "said", "otherwise"), [("go.arpa", "go", "no"), ("no.arpa.gz", "no", "go")]
)
def test_a_language_model_from_a_file_decides_where_the_ear_does_not(
    name: str, said: str, otherwise: str, learnt: Transcription, tmp_path: Path
) -> None:
    NgramModel.train([said] * 30 + [otherwise], 1).write_arpa(tmp_path / name)
    task = searching(learnt, language=str(tmp_path / name))
    unheard = heard(task.tokens, {"u": 1.0}, {"p": 1.0})
    outputs = outputs_of(*(go_or_no(task.tokens, go)[0] for go in (0.45, 0.55)), unheard)
    # A word that the file lacks is heard where nothing else will do.
    assert texts(task, outputs) == [said, said, "up"]


@pytest.mark.parametrize("kind", ["greedy", "beam"])
def test_a_decoder_without_a_language_model_believes_its_ears(
    kind: str, learnt: Transcription
) -> None:
    task = searching(learnt, decoder=kind)
    outputs = go_or_no(task.tokens, 0.45)
    assert texts(task, outputs) == ["no"]
    assert set(task.decoders()) == {"greedy", "beam"} - {kind}
    task.calibrate([({"truth": truth("go")}, outputs)])
    assert texts(task, outputs) == ["no"]


def test_decoders_that_are_measured_beside_know_no_language(
    misled: tuple[Transcription, np.ndarray],
) -> None:
    model, outputs = misled
    assert texts(model.task, outputs) == ["go"]
    others = model.task.decoders()
    assert set(others) == {"greedy", "beam"}
    assert others["beam"](outputs).tolist() == [b"no"]
    # After an epoch no search is run.
    assert model.task.provisional(outputs).tolist() == [b"no"]


@pytest.fixture(scope="module")
def misled(
    tmp_path_factory: pytest.TempPathFactory, tiny: dict[str, Any], sentences: Examples
) -> tuple[Transcription, np.ndarray]:
    """A model whose language model likes "go" much, and what it hears of a "no".

    With half of the language model's say it hears "go", with a quarter of it "no".
    """
    file = tmp_path_factory.mktemp("language") / "go.arpa"
    language = NgramModel.train(["go"] * 50 + ["no"], 1)
    language.write_arpa(file)
    liking = (language.log10("go") - language.log10("no")) * math.log(10)
    model = built(tiny, sentences, language=str(file))
    return model, go_or_no(model.task.tokens, 1 / (1 + math.exp(0.375 * liking)))


def test_weights_chosen_by_validation_rows_travel_with_the_model(
    misled: tuple[Transcription, np.ndarray], tmp_path: Path
) -> None:
    model, outputs = misled
    model.task.calibrate([({"truth": truth("go")}, outputs)])
    assert chosen(model.task)[0] == 0.5
    # As many batches as there are, of lengths of their own.
    longer = np.concatenate([outputs, outputs_of(heard(model.task.tokens, {"": 1.0}))], 1)
    model.task.calibrate([({"truth": truth("no")}, one) for one in (outputs, longer)])
    assert texts(model.task, outputs) == ["no"]
    weight, bonus = chosen(model.task)
    assert weight == 0.25
    model.served.save(tmp_path / "model.keras")
    served = keras.models.load_model(tmp_path / "model.keras", compile=False)
    other = Transcription.restored(model.config, 0, served)
    assert chosen(other.task) == (weight, bonus)
    assert texts(other.task, outputs) == ["no"]


def test_weights_that_are_set_are_not_chosen(misled: tuple[Transcription, np.ndarray]) -> None:
    model, outputs = misled
    settings = {"language_weight": 0.75, "word_insertion_bonus": -1.5}
    task = searching(model, language=model.config.language, **settings)
    task.calibrate([({"truth": truth("no")}, outputs)])
    assert texts(task, outputs) == ["go"]
    assert chosen(task) == (0.75, -1.5)


def test_a_bonus_for_words_is_chosen_too(learnt: Transcription) -> None:
    """A space that is hard to hear is there where words are welcome."""
    steps: list[Mapping[str, float]] = [{letter: 1.0} for letter in "no"]
    unsure = [{" ": 0.18, "": 0.82}]
    task = searching(learnt, language_weight=0.0)
    outputs = outputs_of(heard(task.tokens, *steps, *unsure, *steps))
    task.calibrate([({"truth": truth("nono")}, outputs)])
    assert texts(task, outputs) == ["nono"]
    _, reluctant = chosen(task)
    task.calibrate([({"truth": truth("no no")}, outputs)])
    assert texts(task, outputs) == ["no no"]
    assert chosen(task)[1] > reluctant


def test_a_few_minutes_of_speech_are_learnt_by_a_smaller_model() -> None:
    minute = Clip.of(np.zeros(60 * 100), 100)

    def chosen(minutes: int) -> Mapping[str, Any]:
        rows: dict[str, Any] = {"audio": [minute] * minutes, "transcript": ["a"] * minutes}
        examples = Examples(rows, [""] * minutes, "minutes")
        return Transcription(TranscriptionConfig()).settings_for(examples)

    assert chosen(10) == {}
    few = chosen(9)
    assert few["units"] < TranscriptionConfig.defaults()["units"]
    TranscriptionConfig.from_values(few)
