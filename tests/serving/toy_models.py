"""Small SavedModels whose answers a test can work out by hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import tensorflow as tf

STARTED = ".started"


class Toy(tf.Module):
    """Signatures that scale, shout, parse numbers, add pairs, total a batch, and wait for a file.

    Args:
        factor: what `serving_default` multiplies with; tells versions apart.
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = tf.Variable(float(factor))

    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.float32, name="x")])
    def scale(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"y": x * self.factor, "sum": tf.reduce_sum(x, axis=1)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def shout(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"loud": tf.strings.upper(text), "bytes": tf.strings.length(text)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def number(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"number": tf.strings.to_number(text)}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="a"),
            tf.TensorSpec([None], tf.int32, name="b"),
        ]
    )
    def add(self, a: tf.Tensor, b: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"sum": a + tf.cast(b, tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int32, name="ids")])
    def total(self, ids: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"total": tf.reduce_sum(ids)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="file")])
    def wait(self, file: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"factor": tf.fill(tf.shape(file), self.factor * wait_for(file))}


def wait_for(file: tf.Tensor) -> tf.Tensor:
    """1.0 once a file exists; until then there is another one beside it, ending in `.started`."""
    tf.io.write_file(file[0] + STARTED, "")

    def missing(there: tf.Tensor) -> tf.Tensor:
        return tf.logical_not(there)

    def look(there: tf.Tensor) -> tuple[tf.Tensor]:
        return (tf.size(tf.io.matching_files(file)) > 0,)

    (found,) = tf.while_loop(missing, look, [tf.constant(False)])
    return tf.cast(found, tf.float32)


def save(folder: Path, factor: float) -> Path:
    """Write a toy as a SavedModel."""
    toy = Toy(factor)
    signatures = {
        "serving_default": toy.scale,
        "shout": toy.shout,
        "number": toy.number,
        "add": toy.add,
        "total": toy.total,
        "wait": toy.wait,
    }
    tf.saved_model.save(toy, os.fspath(folder), signatures=signatures)
    return folder


def publish(saved: Path, version: Path) -> Path:
    """Copy a SavedModel to a version's place, where it appears by one rename."""
    beside = version.parent / f".{version.name}"
    shutil.copytree(saved, beside)
    os.rename(beside, version)
    return version
