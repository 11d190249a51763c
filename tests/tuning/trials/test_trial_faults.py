"""Whose fault an error is."""

from __future__ import annotations

import errno

import pytest
import tensorflow as tf

from apps.errors import UserError
from tuning.trials.faults import full_disk, lost_another, one_line, out_of_memory


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


FULL = OSError(errno.EDQUOT, "Disk quota exceeded", "a")


@pytest.mark.parametrize(
    ("error", "disk", "memory", "another"),
    [
        (FULL, True, False, False),
        (caused(RuntimeError("cannot save"), FULL), True, False, False),
        (
            tf.errors.ResourceExhaustedError(None, None, "No space left on device"),
            True,
            False,
            False,
        ),
        (tf.errors.ResourceExhaustedError(None, None, "OOM when allocating"), False, True, False),
        (tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY"), False, True, False),
        (caused(ValueError("in a layer"), MemoryError()), False, True, False),
        (tf.errors.UnavailableError(None, None, "Connection reset"), False, False, True),
        (tf.errors.InternalError(None, None, "Collective ops is aborted"), False, False, True),
        (OSError(errno.EACCES, "Permission denied", "a"), False, False, False),
        (ValueError("shapes do not match"), False, False, False),
    ],
)
def test_whose_fault_it_is(error: Exception, disk: bool, memory: bool, another: bool) -> None:
    assert (full_disk(error) is not None) is disk
    assert out_of_memory(error) is memory
    assert lost_another(error) is another


def test_the_line_that_tells_it() -> None:
    assert one_line(ValueError("two\n  lines")) == "ValueError: two lines"
    assert one_line(KeyboardInterrupt()) == "KeyboardInterrupt"
    assert one_line(UserError("reviews.csv: is empty")) == "reviews.csv: is empty"
    assert len(one_line(ValueError("long " * 1000))) == 300
