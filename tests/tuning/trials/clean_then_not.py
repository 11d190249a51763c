"""Imports all that a fork server imports, finds it clean, and then runs an operation."""

import tensorflow as tf

import apps.training.session  # noqa: F401
from apps import catalogue
from tuning.trials.fork_server import tensorflow_has_run

for name in catalogue.APPLICATIONS:
    catalogue.load(name)
assert not tensorflow_has_run(), "an application runs TensorFlow operations on import"

tf.constant(1)
