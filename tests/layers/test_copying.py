"""Unknown pieces stand for the characters that they copy."""

from __future__ import annotations

import tensorflow as tf

from apps.layers.copying import Copying
from apps.layers.subwords import Subwords
from apps.layers.token_layer import UNKNOWN


def test_unknown_words_come_through() -> None:
    pieces = Subwords.adapt(["ab cd ef"] * 3, 40, ends=True)
    given = pieces(tf.constant(["ab 日本 cd ℵ", "cd"]))
    ids = given["ids"].numpy()
    places = [step for step, one in enumerate(ids[0]) if one == UNKNOWN]
    known = pieces.encode("cd")[:-1]
    said = [[UNKNOWN, *known, UNKNOWN], [*known, 0, 0][: len(known) + 2]]
    copied = [[places[1], *[0] * len(known), places[0]], [0] * (len(known) + 2)]
    found = {
        "pieces": tf.constant(said)[:, :, None],
        "copied": tf.constant(copied)[:, :, None],
        "places": tf.constant(copied)[:, :, None],
        "weights": tf.ones([2, len(known) + 2, 1]),
    }
    out = Copying()(found, given)
    assert out["counts"].numpy().tolist() == [len(known) + 2, len(known)]
    texts = pieces(out["ids"], replaced=out["replaced"]).numpy()
    assert [text.decode() for text in texts[:, 0]] == ["ℵ cd日本", "cd"]
    assert pieces(out["source"], replaced=out["source_replaced"])[0, 0].numpy().decode() == "ℵ"
