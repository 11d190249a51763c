"""Which decoder a transcription model has, what it is made of, and how it is chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from apps import environment
from apps.data.columns import quoted
from apps.layers.ctc import BeamDecoder, Decoder, GreedyDecoder
from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.lexicon import Lexicon
from apps.layers.ctc.transcripts import Transcripts
from apps.layers.language.ngram import NgramModel
from apps.tasks.transcription.decoding import Decoding, word_error_rate

if TYPE_CHECKING:
    from apps.speech.transcription import TranscriptionConfig

KINDS = ("ngram", "beam", "greedy")
TRANSCRIPTS = "transcripts"

# Weight of the language model and bonus of a word until validation rows have chosen others.
_USUAL_WEIGHT, _USUAL_BONUS = 0.5, 1.0
_ROWS_TO_CHOOSE_BY = 300


class Decoders:
    """The decoder that a config asks for, and the others beside it.

    Args:
        config: names the decoder and its settings.
        transcripts: makes texts of what a decoder gives.
        chosen: the decoder that serves.
    """

    def __init__(
        self, config: TranscriptionConfig, transcripts: Transcripts, chosen: Decoder
    ) -> None:
        self.transcripts = transcripts
        self.chosen = chosen
        self._config = config
        self._decoding = Decoding(chosen, transcripts)

    @classmethod
    def learn(
        cls, config: TranscriptionConfig, transcripts: Transcripts, texts: Sequence[str]
    ) -> Self:
        """The decoder of a new model.

        Args:
            config: `language` names an ARPA file, or says that the n-gram model is learnt from the
                texts.
            transcripts: made of the model's tokens.
            texts: the training transcripts.

        Raises:
            UserError: the ARPA file cannot be read.
        """
        if config.decoder != "ngram":
            return cls(config, transcripts, _decoder(config.decoder, config.beam))
        if config.language == TRANSCRIPTS:
            model = NgramModel.train(texts, config.order)
        else:
            model = NgramModel.read_arpa(Path(config.language))
        lexicon = Lexicon.of(model, transcripts.tokens)
        if lexicon.left_out:
            environment.say(
                f"language model: {len(lexicon.left_out)} of its words cannot be spelt with the "
                f"letters of the training transcripts, such as {quoted(lexicon.left_out, 3)}"
            )
        language = NgramTables.of(model, lexicon, name="language")
        weight = _USUAL_WEIGHT if config.language_weight is None else config.language_weight
        bonus = _USUAL_BONUS if config.word_bonus is None else config.word_bonus
        return cls(config, transcripts, _decoder("ngram", config.beam, language, weight, bonus))

    def decode(self, outputs: np.ndarray) -> np.ndarray:
        """What the chosen decoder finds; arguments and result as of `Decoding`."""
        return self._decoding(outputs)

    def others(self, outputs: np.ndarray) -> dict[str, np.ndarray]:
        """What the model alone says, without a language model, by the name of the decoder."""
        kinds = [kind for kind in ("greedy", "beam") if kind != self._config.decoder]
        return {
            kind: Decoding(_decoder(kind, self._config.beam), self.transcripts)(outputs)
            for kind in kinds
        }

    def calibrate(self, truth: np.ndarray, outputs: np.ndarray) -> None:
        """Choose the weights that the config leaves open by validation rows.

        Args:
            truth: what was said, texts `(rows,)`.
            outputs: of the final model.
        """
        config, decoder = self._config, self.chosen
        if not isinstance(decoder, BeamDecoder) or decoder.language is None:
            return

        def wrong(weight: float, bonus: float) -> float:
            decoder.weigh(weight, bonus)
            return word_error_rate(truth, self.decode(outputs))

        truth, outputs = truth[:_ROWS_TO_CHOOSE_BY], outputs[:_ROWS_TO_CHOOSE_BY]
        weights = _open(config.language_weight, (_USUAL_WEIGHT, 0.25, 0.75, 1.0, 1.5, 2.0))
        bonuses = _open(config.word_bonus, (_USUAL_BONUS, 0.0, 2.0))
        # The first of equals wins: a few recordings must not decide on nothing.
        weight = _best(weights, lambda one: wrong(one, bonuses[0]))
        bonus = _best(bonuses, lambda one: wrong(weight, one))
        decoder.weigh(weight, bonus)
        environment.say(f"language model: weight {weight:g}, bonus of a word {bonus:g}")


def _best(values: tuple[float, ...], wrong: Callable[[float], float]) -> float:
    return min(values, key=wrong) if len(values) > 1 else values[0]


def _open(set_to: float | None, otherwise: tuple[float, ...]) -> tuple[float, ...]:
    return otherwise if set_to is None else (set_to,)


def _decoder(
    kind: str,
    beam: int,
    language: NgramTables | None = None,
    weight: float = _USUAL_WEIGHT,
    bonus: float = _USUAL_BONUS,
) -> Decoder:
    if kind == "greedy":
        return GreedyDecoder(name="decoder")
    return BeamDecoder(beam, language=language, alpha=weight, beta=bonus, name="decoder")
