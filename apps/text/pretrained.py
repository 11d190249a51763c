"""What a run of `generation` has learnt of a language, for other applications to start from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np

from apps import catalogue, environment
from apps.components import ASSETS, Pace
from apps.composition import layers_of
from apps.configuration import StackConfig
from apps.data import Sequences
from apps.data.kept import kept
from apps.errors import UserError, cause_of
from apps.layers.alternatives.stack import stack_of
from apps.layers.language.generation import SharedNetwork
from apps.layers.sequence_stack import SequenceStack
from apps.layers.subwords import Subwords
from apps.layers.text_tokens import CharacterTokens, WordTokens
from apps.text.latent_semantics import document_vectors

_DOCUMENT_VECTORS, _DOCUMENT_WIDTH = "document_vectors", 200
# Howard & Ruder 2018, section 3.2: each layer learns so many times more slowly than the one above.
_SLOWER = 2.6
# From the top down, each layer begins to learn so much of the training later.
_LATER = 0.1


@dataclass(frozen=True)
class Pretrained:
    """A language model to start from.

    Attributes:
        tokens: the layer that turns texts into ids.
        network: its embedding and LSTMs.
        documents: vectors of its tokens by the texts in which they occur, `(ids, width)` float32;
            None of a run that has none.
    """

    tokens: Subwords | WordTokens
    network: SharedNetwork
    documents: np.ndarray | None

    @property
    def vectors(self) -> Any:
        """The embedding as the network reads it, `(ids, width)`."""
        return self.network.vectors(range(self.network.size)).numpy()


def read_pretrained(run: str) -> Pretrained:
    """The language model of a finished run.

    Args:
        run: a run folder of `generation`, of words or byte pairs.

    Raises:
        UserError: it is no such run, or reads characters.
    """
    folder = Path(run)
    what = f"pretrained={run}"
    remedy = "train one: apps train generation --data TEXTS --set tokens=word"
    if not (folder / "config.json").is_file():
        raise UserError(f"{what}: there is no run; {remedy}")
    name = json.loads((folder / "config.json").read_text(encoding="utf-8"))["application"]
    if name != "generation":
        raise UserError(f"{what}: is a run of {name}, not of generation; {remedy}")
    # Its layers are known once its application is.
    catalogue.load(name)
    try:
        found = layers_of(keras.models.load_model(folder / "model.keras", compile=False))
        documents = _document_vectors(folder / ASSETS)
    except (OSError, ValueError, KeyError, TypeError, BadZipFile) as error:
        raise UserError(f"{what}: cannot be read ({cause_of(error)}); {remedy}") from None
    tokens, network = found["tokens"], found["network"]
    if isinstance(tokens, CharacterTokens):
        raise UserError(f"{what}: reads characters, where words or byte pairs are needed; {remedy}")
    environment.say(
        f"pretrained: {tokens.size:,} tokens, embedding={network.embedding}, "
        f"units={','.join(map(str, network.units))} in place of embedding, units and depth"
    )
    return Pretrained(tokens, network, documents)


def _document_vectors(assets: Path) -> np.ndarray | None:
    if not assets.is_file():
        return None
    with np.load(assets, allow_pickle=False) as arrays:
        return arrays[_DOCUMENT_VECTORS].astype(np.float32)


def assets_of(tokens: Subwords | WordTokens, ids: Sequences, seed: int) -> dict[str, np.ndarray]:
    """What a run of `generation` holds for other applications besides its model.

    Args:
        tokens: the layer that turned the training texts into ids.
        ids: theirs.
        seed: seeds a random start.
    """
    line_ends = [row for row, text in enumerate(tokens.texts) if "\n" in text]

    def learn() -> dict[str, np.ndarray]:
        vectors = document_vectors(
            ids.values,
            ids.offsets,
            tokens.size,
            _DOCUMENT_WIDTH,
            first_id=tokens.first_id,
            line_ends=line_ends,
            seed=seed,
        )
        return {_DOCUMENT_VECTORS: vectors.astype(np.float16)}

    given = (ids.values, ids.offsets, tokens.size, line_ends, seed)
    return kept(learn, _DOCUMENT_VECTORS, *given)


def word_rows(language: Pretrained, run: str) -> dict[str, int]:
    """The words that a language model knows, lower-cased, and the id of each.

    Raises:
        UserError: its tokens are no words.
    """
    tokens = language.tokens
    if not isinstance(tokens, WordTokens):
        raise UserError(
            f"pretrained={run}: reads byte pairs, where words are needed; train with tokens=word"
        )
    rows: dict[str, int] = {}
    for row, word in enumerate(tokens.vocabulary, tokens.first_id):
        rows.setdefault(word.strip().lower(), row)
    rows.pop("", None)
    return rows


def taken_stack(language: Pretrained, config: StackConfig, seed: int, name: str) -> SequenceStack:
    """The language model's LSTMs as a stack of a new model, with the dropout of its config."""
    network = language.network
    if config.stack != "lstm" or network.kind != "lstm":
        raise UserError(
            "pretrained: takes LSTMs over, and neither this model nor that run may have another "
            "stack; leave stack out"
        )
    stack = stack_of(config, seed, units=network.units, depth=None, bidirectional=False, name=name)
    stack.build((None, None, network.embedding))
    stack.set_weights(network.stack.get_weights())
    return stack


def gradual(stack: str, depth: int, embedding: Sequence[str]) -> list[Pace]:
    """Layers that were learnt before begin to learn one after the other, lower ones more slowly.

    Howard & Ruder 2018, "Universal language model fine-tuning for text classification", sections
    3.2 and 3.3.

    Args:
        stack: name of the stack of LSTMs.
        depth: number of its layers.
        embedding: names of what is below it.
    """
    levels = [(f"{stack}/lstm_{level}",) for level in reversed(range(depth))]
    return [
        Pace(layers, rate=_SLOWER**-step, begins=step * _LATER)
        for step, layers in enumerate([*levels, tuple(embedding)], 1)
    ]
