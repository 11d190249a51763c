"""Trains the reader on two devices that share each batch; writes its weights."""

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

import apps  # noqa: F401  (settings before TensorFlow opens its devices)

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from apps.training.plan import Plan  # noqa: E402
from apps.training.session import Session  # noqa: E402
from views.toys import Reader, catalogued  # noqa: E402

run, target = map(Path, sys.argv[1:])
settings = {"learning_rate": 0.02, "patience": 100, "epochs": 2, "batch_size": 8}
with catalogued(Reader):
    plan = Plan("reader", seed=1, settings=settings)
    session = Session(plan, run=run, strategy="mirrored", log=lambda line: None)
    assert session._distribution.replicas == 2
    session.fit()
    np.savez(target, *[np.asarray(weight) for weight in session.application.model.weights])
