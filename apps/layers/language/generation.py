"""Text from a language model, token by token, inside the graph."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from apps.layers.language.choosing import choose, uniform
from apps.layers.language.network import LanguageNetwork
from apps.layers.outside import Outside
from apps.layers.token_layer import BEGIN

# A request for more would keep a server busy for minutes.
MOST_TOKENS = 10_000
# What a client may say of how a text goes on, besides the text: names, types, and axes behind the
# batch's.
OPTIONS: Mapping[str, tuple[tf.DType, tuple[int | None, ...]]] = {
    "temperature": (tf.float32, ()),
    "top_k": (tf.int32, ()),
    "top_p": (tf.float32, ()),
    "max_tokens": (tf.int32, ()),
    "stop": (tf.string, (None,)),
    "seed": (tf.int32, ()),
}


class _Point(NamedTuple):
    """Where generation stands: of each row its text, its states, and whether it has ended."""

    text: tf.Tensor
    count: tf.Tensor
    line_start: tf.Tensor
    done: tf.Tensor
    stopped: tf.Tensor
    states: tuple[tf.Tensor, ...]


class Speller:
    """Turns tokens into text one by one.

    Args:
        texts: what each id adds to a text.
        spaced: whether a token's space is left out where a line begins.
    """

    def __init__(self, texts: Sequence[str], spaced: bool) -> None:
        self.inside = list(texts)
        self.first = [text.removeprefix(" ") if spaced else text for text in texts]

    def piece(self, token: tf.Tensor, line_start: tf.Tensor) -> tf.Tensor:
        """What tokens `(batch,)` add, `(batch,)` string."""
        inside, first = tf.gather(self.inside, token), tf.gather(self.first, token)
        return tf.where(line_start, first, inside)

    def begins_line(self, token: tf.Tensor) -> tf.Tensor:
        """Whether what follows a token stands at the beginning of a line, `(batch,)` bool."""
        return (tf.gather(self.inside, token) == "\n") | (token == BEGIN)


# The network of the model that is being loaded; see `Continuation.from_config`.
_latest = threading.local()


@keras.saving.register_keras_serializable("apps")
class SharedNetwork(LanguageNetwork):
    """A `LanguageNetwork` whose weights a `Continuation` of the same model uses too.

    Keras gives each layer of a file weights of its own, even where one holds another, so the two
    are brought together by who was made last in this thread: the network of a model is loaded
    before the layer that reads its outputs.
    """

    def __init__(self, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        _latest.network = self


@keras.saving.register_keras_serializable("apps")
class Continuation(keras.layers.Layer):
    """How a text goes on after the states that it has left.

    Args:
        texts: what each id adds to a text.
        spaced: whether a token's space is left out where a line begins.
        first_id: lower ids are never chosen.
        network: whose weights it uses; the one that was made last unless given.

    Call arguments:
        states: `(batch, all units)` float32, the states of the stack side by side.
        last: `(batch,)` int32, the last token that was read.
        options: as `OPTIONS` lists them.

    Returns:
        `text` `(batch,)` string, without the text that was read and without a stop string;
        `tokens` `(batch,)` int32, how many there are; `cut` `(batch,)` bool, whether it ended only
        because `max_tokens` were reached.
    """

    def __init__(
        self,
        texts: Sequence[str],
        spaced: bool,
        first_id: int,
        network: LanguageNetwork | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"trainable": False, **kwargs})
        self.texts, self.spaced, self.first_id = list(texts), spaced, first_id
        self.speller = Speller(texts, spaced)
        # Held by a function, it stays out of the layers that Keras tracks and saves.
        held = _latest.network if network is None else network
        self.network = lambda: held
        # A stop string may end within a token, and begins at most so many bytes before its end.
        self._longest = max(len(text.encode()) for text in texts)

    def call(
        self, states: tf.Tensor, last: tf.Tensor, options: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        most = tf.clip_by_value(options["max_tokens"], 0, MOST_TOKENS)
        rows = tf.shape(last)[0]
        begin = _Point(
            tf.fill([rows], ""),
            tf.zeros([rows], tf.int32),
            self.speller.begins_line(last),
            most < 1,
            tf.zeros([rows], tf.bool),
            self.parted(states),
        )

        def body(*point: Any) -> _Point:
            return self._next(_Point(*point), most, options)

        end = tf.while_loop(
            lambda *point: ~tf.reduce_all(_Point(*point).done),
            body,
            begin,
            maximum_iterations=MOST_TOKENS,
        )
        return {"text": end.text, "tokens": end.count, "cut": ~end.stopped}

    def parted(self, states: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """The states of the stack, side by side, as a tuple, from the bottom up."""
        widths = self.network().stack.state_widths()
        return tuple(tf.split(states, list(widths.values()), 1))

    def token(
        self, states: Sequence[tf.Tensor], count: tf.Tensor, options: Mapping[str, tf.Tensor]
    ) -> tf.Tensor:
        """The token that comes next, `(batch,)` int32."""
        network = self.network()
        logits = network.logits(network.features(network.stack.output_of(states)))
        never = tf.range(network.size) < self.first_id
        logits = tf.where(never, logits.dtype.min / 2, logits)
        drawn = uniform(options["seed"], count)
        return choose(logits, options["temperature"], options["top_k"], options["top_p"], drawn)

    def read(self, token: tf.Tensor, states: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """The states after a token, `(batch,)` int32."""
        network = self.network()
        return network.stack.advance(network.vectors(token), states)

    def _next(self, point: _Point, most: tf.Tensor, options: Mapping[str, tf.Tensor]) -> _Point:
        token = self.token(point.states, point.count, options)
        text = tf.strings.join([point.text, self.speller.piece(token, point.line_start)])
        text, stopped = self._cut(text, options["stop"])
        after = self.read(token, point.states)
        states = [
            tf.where(point.done[:, None], old, new)
            for old, new in zip(point.states, after, strict=True)
        ]
        count = tf.where(point.done, point.count, point.count + 1)
        stopped = tf.where(point.done, point.stopped, stopped)
        return _Point(
            tf.where(point.done, point.text, text),
            count,
            self.speller.begins_line(token),
            point.done | stopped | (count >= most),
            stopped,
            tuple(states),
        )

    def _cut(self, text: tf.Tensor, stop: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """A text up to where a stop string begins, and whether there is one."""

        def searched() -> tuple[tf.Tensor, tf.Tensor]:
            sizes = tf.strings.length(stop)
            end = tf.strings.length(text)
            back = tf.range(self._longest)
            place = tf.maximum(end[:, None, None] - sizes[..., None] - back, 0)
            shape = tf.shape(place)
            texts = tf.broadcast_to(text[:, None, None], shape)
            lengths = tf.broadcast_to(sizes[..., None], shape)
            found = tf.strings.substr(texts, place, lengths) == stop[..., None]
            found &= sizes[..., None] > 0
            first = tf.reduce_min(tf.where(found, place, end[:, None, None]), [1, 2])
            return tf.strings.substr(text, tf.zeros_like(first), first), tf.reduce_any(
                found, [1, 2]
            )

        none = tf.zeros_like(text, tf.bool)
        return tf.cond(
            tf.reduce_any(tf.strings.length(stop) > 0), searched, lambda: (tf.identity(text), none)
        )

    def compute_output_spec(self, states: Any, last: Any, options: Any) -> dict[str, Any]:
        batch = last.shape[:1]
        return {
            "text": keras.KerasTensor(batch, dtype="string"),
            "tokens": keras.KerasTensor(batch, dtype="int32"),
            "cut": keras.KerasTensor(batch, dtype="bool"),
        }

    def outside(self) -> Outside:
        """The loop that chooses tokens."""
        return Outside(
            "generation: the exponentials of 'log_probs' are probabilities of the tokens asked for "
            "in 'target'; a text goes on by asking for a token and reading it, state by state"
        )

    def get_config(self) -> dict[str, Any]:
        own = {"texts": self.texts, "spaced": self.spaced, "first_id": self.first_id}
        return {**super().get_config(), **own}
