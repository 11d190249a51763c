"""Imports all that a nursery imports, finds it clean, and then is not."""

import tensorflow as tf

import apps.training.session  # noqa: F401
from apps import catalogue
from tuning.trials.nursery import tensorflow_has_run

for name in catalogue.APPLICATIONS:
    catalogue.load(name)
assert not tensorflow_has_run(), "an application runs TensorFlow operations on import"

tf.constant(1)
