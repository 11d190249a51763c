"""Documents: texts that are read from their beginning to their end, and go on."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps.components import Input
from apps.data import Examples, Sequences, split
from apps.data.kinds.document import document
from apps.data.kinds.number import number
from apps.data.kinds.text import text as text_column
from apps.errors import UserError
from apps.following import Chunk
from apps.inputs.decoding import NUMBERS, SeededDecoding, defaults_of, options_of, usual_options
from apps.layers.language.generation import OPTIONS
from apps.layers.language.prompt import Prompt
from apps.layers.token_layer import BEGIN
from apps.signatures import Signature

# Of so many documents, whole ones are held out; of fewer, the end of each.
_MANY = 20
# Characters to validate on: they are read one after the other, and each epoch waits for them.
_MOST_HELD_OUT = 500_000
# Windows that are drawn together by the bootstrap, since neighbours are alike.
_BLOCK = 8
# Tokens before a window that a baseline may look at.
CONTEXT = 8
_DOCUMENT, _EXCERPT, _SAMPLES = "document", 1200, 3
_READ = 1 << 16


class Documents(Input):
    """Texts as tokens; a unit is a window of a document, or a prompt where no document is known.

    The application's `adapt` makes the layer `tokens`, which has what `TextTokens` of
    `apps.layers.text_tokens` has. Its config has `window` and what `Decoding` has.

    Args:
        column: holds the texts.
    """

    passed_over = "empty"
    entry = "generate"
    aligned = ("target",)
    stream_options = SeededDecoding

    def __init__(self, column: str = "text") -> None:
        self.column = column
        self.columns = {column: document()}
        self.attributes = {name: number(required=False, missing="nan") for name in NUMBERS}
        self.attributes["stop"] = text_column(required=False)

    @property
    def tokens(self) -> Any:
        """The layer that turns texts into tokens."""
        return self.adapted["tokens"]

    def check(self, examples: Examples, *, learning: bool) -> Examples:
        if _DOCUMENT in examples:
            return examples
        rows = [row for row, text in enumerate(examples[self.column]) if text.strip()]
        if not rows:
            raise UserError(
                f"{examples.source}: every text is empty; give texts with words in them"
            )
        chosen = examples.select(rows)
        columns = {**chosen.columns, _DOCUMENT: rows}
        return Examples(columns, chosen.places, chosen.source)

    def split(
        self, examples: Examples, fraction: float, stratify: str | None
    ) -> tuple[Examples, Examples]:
        """Whole documents for validation; the end of each where they are few."""
        texts = examples[self.column]
        fraction = min(fraction, _MOST_HELD_OUT / max(sum(map(len, texts)), 1))
        if len(examples) >= _MANY or "group" in examples:
            return split(examples, fraction, self.seed, stratify=None)
        cuts = [int(len(text) * (1 - fraction)) for text in texts]
        heads = [text[:cut] for text, cut in zip(texts, cuts, strict=True)]
        tails = [text[cut:] for text, cut in zip(texts, cuts, strict=True)]
        sides = []
        for parts, words in ((heads, ""), (tails, " end")):
            kept = [row for row, part in enumerate(parts) if part.strip()]
            if not kept:
                raise UserError(
                    f"{examples.source}: too short to hold back {fraction:.0%} of it; give longer "
                    "texts, or name a file of its own with --validation FILE"
                )
            columns = {**examples.columns, self.column: parts}
            places = [f"{place}{words}" for place in examples.places]
            sides.append(Examples(columns, places, examples.source).select(kept))
        return sides[0], sides[1]

    def units(self, examples: Examples) -> Examples:
        """Windows of checked documents, once there are tokens; else the rows as they are."""
        if _DOCUMENT not in examples or "ids" in examples or "tokens" not in self.adapted:
            return examples
        ids, offsets = self.tokens.flat(examples[self.column])
        window = self.config.window
        columns: dict[str, list[Any]] = {
            name: [] for name in (self.column, _DOCUMENT, "ids", "context", "block")
        }
        places = []
        for row, (begin, end) in enumerate(itertools.pairwise(offsets)):
            for start in range(begin, end, window):
                own = ids[start : min(start + window, end)]
                columns["ids"].append(own)
                columns["context"].append(ids[max(begin, start - CONTEXT) : start])
                columns[self.column].append(self.text(own, start == begin))
                columns[_DOCUMENT].append(examples[_DOCUMENT][row])
                columns["block"].append(f"{row} {(start - begin) // (window * _BLOCK)}")
                place = examples.places[row]
                places.append(f"{place} token {start - begin + 1}" if start > begin else place)
        return Examples(columns, places, examples.source)

    def text(self, ids: np.ndarray, begins: bool) -> str:
        """The text of some tokens.

        Args:
            ids: of the tokens.
            begins: whether they stand at the beginning of a line.
        """
        texts, parts, line_start = self.tokens.texts, [], begins and self.tokens.spaced
        for token in ids:
            part = texts[token]
            parts.append(part.removeprefix(" ") if line_start else part)
            line_start = part == "\n" and self.tokens.spaced
        return "".join(parts)

    def documents(self, units: Examples) -> Sequences:
        """The tokens of each document, whether units are documents or windows of them."""
        if "ids" not in units:
            return Sequences(*self.tokens.flat(units[self.column]))
        numbers = np.asarray(units[_DOCUMENT])
        first = np.flatnonzero(np.diff(numbers, prepend=numbers[:1] - 1))
        rows = [np.concatenate(units["ids"][a:b]) for a, b in _spans(first, len(units))]
        return Sequences.from_rows(rows, np.int32)

    def tensors(self, examples: Examples) -> dict[str, Any]:
        """Whole texts as prompts."""
        ids, offsets = self.tokens.flat(examples[self.column])
        rows = [ids[a:b] for a, b in itertools.pairwise(offsets)]
        return {
            "ids": Sequences.from_rows([np.append([BEGIN], row) for row in rows], np.int32),
            "target": Sequences.from_rows([np.append(row, [0]) for row in rows], np.int32),
            "begins": np.ones(len(examples), bool),
            **options_of(examples, defaults_of(self.config)),
        }

    def raw_inputs(self) -> dict[str, keras.KerasTensor]:
        text = keras.Input((), dtype="string", name=self.column)
        options = {
            name: keras.Input(shape, dtype=dtype.name, name=name)
            for name, (dtype, shape) in OPTIONS.items()
        }
        return {self.column: text, **options}

    def prepare(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        tokens = self.tokens(raw[self.column])
        prompt = Prompt(name="prompt")({name: tokens[name] for name in ("ids", "lengths")})
        return {**prompt, **{name: raw[name] for name in OPTIONS}}

    def raw(self, examples: Examples, metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
        texts = np.array(examples[self.column], object)
        return {self.column: texts, **options_of(examples, metadata["decoding"])}

    def metadata(self) -> dict[str, Any]:
        return {"decoding": defaults_of(self.config)}

    def chunks(
        self, source: Path | io.RawIOBase, metadata: Mapping[str, Any], options: Any
    ) -> Iterator[Chunk]:
        """The text of the source, then nothing more, once for each token to come.

        A line end behind the text is no part of it.
        """
        if isinstance(source, Path):
            text = self.columns[self.column].kind.read_file(source)
        else:
            text = b"".join(iter(lambda: source.read(_READ) or b"", b"")).decode("utf-8", "replace")
        given = {name: value for name, value in options.to_dict().items() if value is not None}
        usual = {**metadata["decoding"], **given}
        names = [name for name in OPTIONS if name not in ("max_tokens", "stop")]
        said = {name: np.array([usual[name]], OPTIONS[name][0].as_numpy_dtype) for name in names}
        for place in range(usual["max_tokens"]):
            part = "" if place else text.removesuffix("\n").removesuffix("\r")
            yield Chunk({self.column: np.array([part], object), **said}, place + 1)

    def edge_cases(self) -> dict[str, np.ndarray]:
        """Nothing, a space, lines, and odd scripts; by the likeliest token and by drawing."""
        texts = ["", " ", "a\r\n\n b", "e\u0301 日本語 👩\u200d💻 שלום"]
        rows = len(texts)
        options: dict[str, Any] = {
            "temperature": [0.0, 1.0, 0.5, 0.0],
            "top_k": [0, 5, 10_000_000, 0],
            "top_p": [1.0, 0.9, 1.0, 0.0],
            "max_tokens": [5, 0, 6, 3],
            "seed": list(range(rows)),
        }
        arrays = {n: np.array(v, OPTIONS[n][0].as_numpy_dtype) for n, v in options.items()}
        arrays["stop"] = np.array([[stop] for stop in ("", "", "\n", " ")], object)
        ordered = {name: arrays[name] for name in OPTIONS}
        return {self.column: np.array(texts, object), **ordered}

    def signatures(self, serving: Signature) -> dict[str, Signature]:
        """`serving_default`, which takes the text alone; `generate` takes everything."""
        usual = defaults_of(self.config)

        def serve(text: tf.Tensor) -> dict[str, tf.Tensor]:
            return serving.call(text, *usual_options(usual, tf.shape(text)[0]).values())

        def example(inputs: Mapping[str, Any], answers: Mapping[str, Any]) -> Any:
            said = usual_options(usual, len(inputs[self.column]))
            alike = all(np.all(inputs[name] == _plain(said[name].numpy())) for name in said)
            return ({self.column: inputs[self.column]}, answers) if alike else None

        spec = serving.inputs[self.column]
        return {"serving_default": Signature({self.column: spec}, serve, example=example)}

    def shown(self, examples: Examples) -> list[dict[str, Any]]:
        """The text, in its tokens where it is a window."""
        rows: list[dict[str, Any]] = [{"input": t[:_EXCERPT]} for t in examples[self.column]]
        if "ids" in examples:
            for row, ids in zip(rows, examples["ids"], strict=True):
                row["pieces"] = [self.tokens.texts[token] for token in ids]
        return rows

    def telling(self, rows: Sequence[Mapping[str, Any]]) -> Iterable[int]:
        """A few from the first to the last."""
        return np.unique(np.linspace(0, len(rows) - 1, _SAMPLES).astype(int)).tolist()


def _plain(value: np.ndarray) -> np.ndarray:
    """An array as requests are recorded, texts as `str`."""
    if value.dtype != object:
        return value
    return np.array([one.decode() for one in value.ravel()], object).reshape(value.shape)


def _spans(first: np.ndarray, total: int) -> Iterator[tuple[int, int]]:
    """Where each document's windows begin and end."""
    return zip(first.tolist(), [*first[1:].tolist(), total], strict=True)
