"""The device that the tests of this folder are about, and the kernels that ran on it.

It is the GPU; with APPS_GPU_TESTS_ON_CPU=1 it is the CPU, so that the tests themselves can be tried
where there is no GPU.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from asked import flat
from tensorflow.tsl.profiler.protobuf import xplane_pb2

ON_CPU = os.environ.get("APPS_GPU_TESTS_ON_CPU") == "1"
CPU = "CPU:0"
DEVICE = CPU if ON_CPU else "GPU:0"
ON_A_CPU = ("BlockLSTMV2", "BlockLSTMGrad")
KERNEL, BACKWARD = ON_A_CPU if ON_CPU else ("CudnnRNNV3", "CudnnRNNBackpropV3")
needs_device = pytest.mark.skipif(
    not ON_CPU and not tf.config.list_physical_devices("GPU"),
    reason="needs a GPU; APPS_GPU_TESTS_ON_CPU=1 tries the test on a CPU",
)
gpu_alone = pytest.mark.skipif(ON_CPU, reason="there is nothing like it on a CPU")
_OPERATION = re.compile(r"[: ](CudnnRNN\w*|BlockLSTM\w*)(?:#|$)")


def kernels_run(call: Callable[[], object]) -> set[str]:
    """Types of the recurrent operations that the executor started during a call.

    Args:
        call: is called once, within TensorFlow's profiler.
    """
    options = tf.profiler.experimental.ProfilerOptions(device_tracer_level=0)
    found: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder, options):
            call()
        for file in Path(folder).rglob("*.xplane.pb"):
            for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes:
                ran = {event.metadata_id for line in plane.lines for event in line.events}
                names = (plane.event_metadata[number].name for number in ran)
                found |= {match[1] for match in map(_OPERATION.search, names) if match}
    return found


def assert_near(ours: Sequence[Any], theirs: Sequence[Any], share: float = 0.9) -> None:
    """Answers of two devices: numbers within 0.001, texts and counts equal in most rows.

    Of two hypotheses that are as good as equal, devices that round differently find either.

    Args:
        ours, theirs: an answer for each row.
        share: of rows in which all that is not a fraction must be equal.
    """
    assert len(ours) == len(theirs)
    equal = 0
    for one, other in zip(ours, theirs, strict=True):
        a, b = flat(one), flat(other)
        exact = [[part for part in parts if not isinstance(part, float)] for parts in (a, b)]
        if len(a) != len(b) or exact[0] != exact[1]:
            continue
        equal += 1
        got, want = ([part for part in parts if isinstance(part, float)] for parts in (a, b))
        np.testing.assert_allclose(got, want, rtol=1e-3, atol=1e-3)
    assert equal >= share * len(ours)


def assert_same_direction(one: Any, other: Any, tolerance: float) -> None:
    """Tensors whose difference is small beside them, such as gradients."""
    a, b = (np.asarray(tf.convert_to_tensor(value), np.float64) for value in (one, other))
    assert np.linalg.norm(a - b) <= tolerance * np.linalg.norm(b) + 1e-6
