"""What the tests on a GPU share: memory left to others, exact products, a CPU elsewhere."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import tensorflow as tf

# Other processes of these tests open the same card.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
pytest.register_assert_rewrite("gpu_contract", "gpu_learning", "under_test")

from without_gpu import WithoutGpu  # noqa: E402


@pytest.fixture(scope="session")
def elsewhere() -> Iterator[WithoutGpu]:
    """A process that sees no GPU."""
    process = WithoutGpu()
    yield process
    process.close()


@pytest.fixture
def exact() -> Iterator[None]:
    """Products in whole float32: a card rounds their operands to ten bits of mantissa otherwise."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(True)
