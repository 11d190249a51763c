"""Generation: how a text goes on, and how likely it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from apps import environment
from apps.application import Application, Tiny
from apps.components import Adaptation, Batches
from apps.configuration import StackConfig, changed, fixed, searched
from apps.data import Examples, Sequences, TokenStream, View
from apps.errors import UserError
from apps.inputs.decoding import Decoding, defaults_of, options_of
from apps.inputs.documents import Documents
from apps.layers.language.cache import Candidates, ContinuousCache
from apps.layers.language.generation import Continuation, SharedNetwork
from apps.layers.recurrent_network import network_of
from apps.layers.subwords import Subwords
from apps.layers.text_tokens import CharacterTokens, WordTokens
from apps.layers.token_layer import BEGIN
from apps.tasks.language_modelling import LanguageModelling
from apps.text.pretrained import assets_of
from apps.text.sample_prose import sample_prose

_TEMPERATURES = ("0", "0.5", "0.8", "1.2")
_SAMPLE_TOKENS = 120
_MEMORY, _FOLLOWED, _CALIBRATED = "state_memory", "state_followed", 1000
_MANY_TOKENS, _COMPARED = 20_000, 4096  # A softmax over more takes longer than the LSTMs.
_MOST_LOGITS = 50_000_000  # Of a batch that is measured: 200 MB.
# Fewer characters are learnt as well by a smaller network, in a tenth of the time.
_FEW_CHARACTERS = 500_000
_FOR_FEW = {"units": 256, "embedding": 64, "epochs": 20}
# A text soon says again a word that it has said, and seldom a character.
_FOR_WORDS = {"cache": 500}


@dataclass(frozen=True)
class GenerationConfig(StackConfig, Decoding):
    """Hyperparameters of the language model; `searched` ones are what tuning varies.

    `tokens` are characters (`char`), words (`word`) or byte pairs (`bpe`), at most `vocabulary` of
    them, `pieces` of byte pairs. Words are parted at spaces or at punctuation `marks`, as the texts
    look unless `words` says it. Gradients flow through `window` tokens; the state is carried on.
    `token_dropout` drops tokens wherever they occur. A `cache` of so many of the last tokens helps
    to say how likely a text is; drawing does without it. `sampled` other tokens are compared with
    the right one in training, 0 for all of them, -1 for what suits the vocabulary. What `Decoding`
    names is how an answer is made where a request does not say.
    """

    learning_rate: float = changed(3e-3)
    epochs: int = changed(40)
    averaging: float = changed(0.998)
    units: int | tuple[int, ...] = changed(512, span=(128, 1024))
    bidirectional: bool = changed(False, searched=False, choices=(False,))
    input_dropout: float = changed(0.1)
    layer_dropout: float = changed(0.3)
    output_dropout: float = changed(0.4)
    token_dropout: float = searched(0.0, low=0.0, high=0.9, span=(0.0, 0.2))
    embedding: int = searched(256, low=1, high=4096, log=True, span=(64, 512))
    window: int = searched(96, low=2, high=10_000, log=True, span=(48, 192))
    tokens: str = fixed("char", choices=("char", "word", "bpe"))
    words: str = fixed("auto", choices=("auto", "spaces", "marks"))
    lower: bool = fixed(False)
    vocabulary: int = fixed(50_000, low=1, high=10_000_000)
    pieces: int = fixed(8_000, low=16, high=1_000_000)
    sampled: int = fixed(-1, low=-1, high=1_000_000)
    cache: int = fixed(0, low=0, high=100_000)


class Generation(Application):
    """A stack of LSTMs over tokens whose state is carried on, its softmax tied to its embedding."""

    name = "generation"
    input: Documents = Documents("text")
    task = LanguageModelling()
    Config = GenerationConfig
    config: GenerationConfig

    @classmethod
    def sample(cls, seed: int) -> Examples:
        return sample_prose(seed)

    @classmethod
    def tiny(cls) -> Tiny:
        sentences = [line for text in cls.sample(0)["text"] for line in text.splitlines()]
        short = [line for line in sentences if len(line) < 60][:120]
        places = [f"line {number}" for number in range(1, len(short) + 1)]
        small = {"units": 12, "depth": 2, "embedding": 8, "window": 64, "max_tokens": 12}
        learning = {"epochs": 3, "batch_size": 16, "learning_rate": 0.01}
        return Tiny(Examples({"text": short}, places, "made lines"), {**small, **learning})

    def settings_for(self, units: Examples) -> Mapping[str, Any]:
        if sum(map(len, units["text"])) < _FEW_CHARACTERS:
            return _FOR_FEW
        return {} if self.config.tokens == "char" else _FOR_WORDS

    def adapt(self, examples: Examples) -> Adaptation:
        config, texts = self.config, examples["text"]
        tokens: Any
        if config.tokens == "char":
            tokens = CharacterTokens.adapt(texts, config.vocabulary, name="tokens")
        elif config.tokens == "word":
            between = "" if config.words == "auto" else config.words
            tokens = WordTokens.adapt(
                texts, config.vocabulary, between, config.lower, name="tokens"
            )
        else:
            tokens = Subwords.adapt(texts, config.pieces, exact=True, name="tokens")
        ids = Sequences(*tokens.flat(texts))
        if len(ids.values) < 2:
            raise UserError(f"{examples.source}: has a single token; give longer texts")
        kind = getattr(tokens, "between", "")
        parted = f", words parted by {kind}" if kind else ""
        environment.say(
            f"{tokens.size:,} tokens ({config.tokens}{parted}); {len(ids.values):,} read"
        )
        assets = {} if config.tokens == "char" else assets_of(tokens, ids, self.seed)
        return Adaptation({"tokens": tokens}, tensors={"ids": ids}, assets=assets)

    def view(
        self, units: Examples, *, targets: bool = True, training: Adaptation | None = None
    ) -> View:
        if not targets:
            return super().view(units, targets=False)
        window = self.config.window
        if training is not None:
            files = (training.tensors or {})["ids"]
            assert isinstance(files, Sequences)
            return TokenStream(files, window, BEGIN, varied=True)
        # Nothing is generated where a text is measured.
        silent = options_of(units, {**defaults_of(self.config), "max_tokens": 0})
        rows = max(1, _MOST_LOGITS // (window * self.adapted["tokens"].size))
        files = self.input.documents(units)
        return TokenStream(files, window, BEGIN, columns=silent, most_rows=rows)

    def build(self) -> keras.Model:
        config, tokens = self.config, self.adapted["tokens"]
        stack = network_of(config)
        depth = stack.pop("depth")
        if not isinstance(config.units, tuple):
            stack["units"] = (config.units,) * depth
        usual = _COMPARED if tokens.size > _MANY_TOKENS else 0
        network = SharedNetwork(
            tokens.size,
            config.embedding,
            **stack,
            token_dropout=config.token_dropout,
            sampled=usual if config.sampled < 0 else config.sampled,
            seed=self.seed,
            name="network",
        )
        self.adapted["continuation"] = Continuation(
            tokens.texts, tokens.spaced, tokens.first_id, network, name="continuation"
        )
        given = {name: keras.Input((None,), dtype="int32", name=name) for name in ("ids", "target")}
        given["lengths"] = keras.Input((), dtype="int32", name="lengths")
        states = {
            f"state_{name}": keras.Input((width,), name=f"state_{name}")
            for name, width in network.stack.state_widths().items()
        }
        log_probs, features, *after = network(**given, states=list(states.values()))
        outputs = {"states": keras.layers.Concatenate(name="states")(after)}
        outputs |= dict(zip(states, after, strict=True))
        if config.cache:
            remembered = {
                _MEMORY: keras.Input((config.cache, config.embedding), name=_MEMORY),
                _FOLLOWED: keras.Input((config.cache,), dtype="int32", name=_FOLLOWED),
            }
            states |= remembered
            seen = (features, given["target"], given["lengths"], *remembered.values())
            log_probs, *after = ContinuousCache(config.cache, name="cache")(log_probs, *seen)
            outputs |= dict(zip(remembered, after, strict=True))
        return keras.Model({**given, **states}, {"log_probs": log_probs, **outputs})

    def calibrate(self, held_out: Callable[[keras.Model, int], Batches]) -> None:
        """Choose how much the cache counts, on the first validation windows."""
        if not self.config.cache:
            return
        model, cache = self.model, self.model.get_layer("cache")
        given = {tensor.name: tensor for tensor in model.inputs}
        log_probs, features, *_ = model.get_layer("network").output
        seen = [features, *(given[n] for n in ("target", "lengths", _MEMORY, _FOLLOWED))]
        cached = Candidates(cache, name="candidates")(*seen)
        states = {name: tensor for name, tensor in model.output.items() if name in given}
        trial = keras.Model(given, {"plain": log_probs, "cached": cached, **states})
        parts: dict[str, list[np.ndarray]] = {"plain": [], "cached": []}
        for batch, found in held_out(trial, _CALIBRATED):
            real = np.arange(batch["target"].shape[1]) < batch["lengths"][:, None]
            for name, arrays in parts.items():
                arrays.append(found[name][real])
        share, sharpness = cache.choose(*map(np.concatenate, parts.values()))
        environment.say(f"cache: {share:g} of what it says, with a sharpness of {sharpness:g}")

    def track(self, example: Examples) -> Mapping[str, Any]:
        """How a text would go on, by temperature."""
        prompts = Examples(
            {
                "text": list(example["text"]) * len(_TEMPERATURES),
                "temperature": [float(value) for value in _TEMPERATURES],
                "max_tokens": [_SAMPLE_TOKENS] * len(_TEMPERATURES),
            },
            list(example.places) * len(_TEMPERATURES),
            example.source,
        )
        raw = {name: tf.constant(value) for name, value in self.raw(prompts).items()}
        texts = tf.function(self.served)(raw)["text"].numpy()
        said = [text.decode("utf-8", "replace") for text in texts]
        return {"samples": dict(zip(_TEMPERATURES, said, strict=True))}

    def stream_states(self) -> dict[str, tf.TensorSpec]:
        """Those of the stack, the last token, and how many tokens have been chosen."""
        stack = self.adapted["continuation"].network().stack
        # A model's inputs are in the order of their names, those of the stack from the bottom up.
        states = {
            f"state_{name}": tf.TensorSpec((None, width), tf.float32)
            for name, width in stack.state_widths().items()
        }
        whole = {name: tf.TensorSpec((None,), tf.int32) for name in ("state_last", "state_count")}
        return {**states, **whole}

    def stream_inputs(self) -> dict[str, tf.TensorSpec]:
        """A text to read before the next token is chosen, and how it is chosen."""
        names = ("text", "temperature", "top_k", "top_p", "seed")
        return {name: super(Generation, self).stream_inputs()[name] for name in names}

    def step(self, **given: Any) -> dict[str, Any]:
        """One token more; reading costs the same however long the text has become."""
        made, network = self.adapted["continuation"], self.adapted["continuation"].network()
        last, count = given["state_last"], given["state_count"]
        names = [name for name in self.stream_states() if name not in ("state_last", "state_count")]
        prompt = self.input.prepare({**given, "max_tokens": count, "stop": given["text"][:, None]})
        # The begin stands before a text's first token only; afterwards it is the token last chosen.
        begun = last > 0
        ids = tf.concat([tf.where(begun, last, BEGIN)[:, None], prompt["ids"][:, 1:]], 1)
        mask = tf.sequence_mask(prompt["lengths"], tf.shape(ids)[1])
        _, *states = network.stack(network.vectors(ids), [given[name] for name in names], mask=mask)
        read = tf.gather(ids, prompt["lengths"] - 1, batch_dims=1)
        token = made.token(states, count, given)
        piece = made.speller.piece(token, made.speller.begins_line(read))
        after = dict(zip(names, states, strict=True))
        return {"text": piece, **after, "state_last": token, "state_count": count + 1}
