"""How long the recurrent operations of a call took by themselves, from TensorFlow's profiler."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

_CUDNN = re.compile(r"CudnnRNN")
# A CPU has no plane of kernels; there the operations are the kernels.
_ON_A_CPU = re.compile(r":BlockLSTM(V2|Grad\w*)?(#|$)")


def kernel_milliseconds(run: Callable[[], object], repeats: int = 5) -> float | None:
    """Mean time of the recurrent operations in a run, in milliseconds.

    On a GPU it is that of the kernels that cuDNN started on the card. Operations that run side by
    side, as a CPU's do, count in full each.

    Args:
        run: is called once before and so many times within the profiler.
        repeats: how many times.

    Returns:
        The time, or None where the record names no such operation.
    """
    import tensorflow as tf
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    run()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            for _ in range(repeats):
                run()
        spaces = [
            xplane_pb2.XSpace.FromString(file.read_bytes())
            for file in Path(folder).rglob("*.xplane.pb")
        ]
    planes = [plane for space in spaces for plane in space.planes]
    return mean_of(planes, bool(tf.config.list_physical_devices("GPU")), repeats)


def mean_of(planes: Iterable[Any], on_gpu: bool, repeats: int) -> float | None:
    """The milliseconds of a repeat in planes of the profiler's record.

    Args:
        planes: `XPlane` messages.
        on_gpu: count kernels on the card, else operations of the CPU.
        repeats: how many runs were recorded.
    """
    found = [
        event.duration_ps
        for plane in planes
        if plane.name.startswith("/device:GPU") == on_gpu
        for event in _events(plane)
        if _counts(plane, event, on_gpu)
    ]
    return sum(found) / 1e9 / repeats if found else None


def _events(plane: Any) -> Iterator[Any]:
    # Further lines of a card sum up those of its streams.
    streams = [line for line in plane.lines if line.name.startswith("Stream")]
    for line in streams or plane.lines:
        yield from line.events


def _counts(plane: Any, event: Any, on_gpu: bool) -> bool:
    about = plane.event_metadata[event.metadata_id]
    if not on_gpu:
        return bool(_ON_A_CPU.search(about.name))
    # A kernel's own name says little; the operation that started it stands beside it.
    texts = [about.name, about.display_name]
    for stat in (*event.stats, *about.stats):
        texts.append(stat.str_value)
        if stat.ref_value:
            texts.append(plane.stat_metadata[stat.ref_value].name)
    return any(_CUDNN.search(text) for text in texts)
