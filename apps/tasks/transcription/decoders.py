"""Which decoder a transcription model has, what it is made of, and how its weights are chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from apps import environment
from apps.data.columns import quoted
from apps.layers.ctc import BeamDecoder, Decoder, GreedyDecoder
from apps.layers.ctc.language import NgramTables
from apps.layers.ctc.lexicon import Lexicon
from apps.layers.ctc.tokens import Tokens
from apps.layers.language.ngram import NgramModel
from apps.tasks.transcription.config import TRANSCRIPTS, CtcConfig

# Weight of the language model and bonus of a word until validation rows have chosen others.
_USUAL_WEIGHT, _USUAL_BONUS = 0.5, 1.0
_WEIGHTS = (_USUAL_WEIGHT, 0.25, 0.75, 1.0, 1.5, 2.0)
_BONUSES = (_USUAL_BONUS, 0.0, 2.0)


def new_decoder(config: CtcConfig, tokens: Tokens, texts: Sequence[str]) -> Decoder:
    """The decoder that a config asks for, named `decoder`.

    Args:
        config: `language` names an ARPA file, or says that an n-gram model is estimated.
        tokens: what the model's outputs stand for.
        texts: the training transcripts.

    Raises:
        UserError: the ARPA file cannot be read.
    """
    if config.decoder != "ngram":
        return plain_decoder(config.decoder, config.beam, "decoder")
    if config.language == TRANSCRIPTS:
        model = NgramModel.train(texts, config.order)
    else:
        model = NgramModel.read_arpa(Path(config.language))
    lexicon = Lexicon.of(model, tokens)
    if lexicon.left_out:
        environment.say(
            f"language model: {len(lexicon.left_out)} of its words cannot be spelt with the "
            f"letters of the training transcripts, such as {quoted(lexicon.left_out, 3)}"
        )
    return BeamDecoder(
        config.beam,
        language=NgramTables.of(model, lexicon, name="language"),
        alpha=_USUAL_WEIGHT if config.language_weight is None else config.language_weight,
        beta=_USUAL_BONUS if config.word_insertion_bonus is None else config.word_insertion_bonus,
        name="decoder",
    )


def plain_decoder(kind: str, beam: int, name: str | None = None) -> Decoder:
    """A decoder without a language model: `greedy`, or `beam` with so many prefixes."""
    return GreedyDecoder(name=name) if kind == "greedy" else BeamDecoder(beam, name=name)


def choose_weights(
    config: CtcConfig, decoder: keras.layers.Layer, wrong: Callable[[], float]
) -> None:
    """Set the weights that the config leaves open to those with the fewest errors.

    Args:
        config: gives a weight, or leaves it open.
        decoder: its weights are set.
        wrong: the error rate of validation rows with the weights that are set.
    """
    if not isinstance(decoder, BeamDecoder) or decoder.language is None:
        return

    def wrong_with(weight: float, bonus: float) -> float:
        decoder.weigh(weight, bonus)
        return wrong()

    weights = _WEIGHTS if config.language_weight is None else (config.language_weight,)
    given = config.word_insertion_bonus
    bonuses = _BONUSES if given is None else (given,)
    # The first of equals wins, since a few recordings must not decide by chance.
    weight = _best(weights, lambda one: wrong_with(one, bonuses[0]))
    bonus = _best(bonuses, lambda one: wrong_with(weight, one))
    decoder.weigh(weight, bonus)
    environment.say(f"language model: weight {weight:g}, word insertion bonus {bonus:g}")


def _best(values: tuple[float, ...], wrong: Callable[[float], float]) -> float:
    return min(values, key=wrong) if len(values) > 1 else values[0]
