"""What the GPU benchmark makes of its measurements; the measuring itself needs a card."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import gpu
from benchmarks.gpu_kernels import mean_of

MS = 1_000_000_000  # picoseconds


def plane(name: str, lines: dict[str, list[tuple[str, str, int]]]) -> Any:
    """A plane whose events are given as name, operation that started it and picoseconds."""
    made = xplane_pb2.XPlane(name=name)
    made.stat_metadata[1].name = "tf_op"
    for title, events in lines.items():
        line = made.lines.add(name=title)
        for event_name, operation, duration in events:
            number = len(made.event_metadata) + 1
            made.event_metadata[number].name = event_name
            event = line.events.add(metadata_id=number, duration_ps=duration)
            if operation:
                reference = len(made.stat_metadata) + 1
                made.stat_metadata[reference].name = operation
                event.stats.add(metadata_id=1, ref_value=reference)
    return made


CARD = plane(
    "/device:GPU:0",
    {
        "Stream #13": [
            ("sm90_xmma_gemm", "call/CudnnRNNV3:CudnnRNNV3", 3 * MS),
            ("elementwise", "gradients/CudnnRNNBackpropV3:CudnnRNNBackpropV3", 2 * MS),
            ("transpose", "transpose:Transpose", 7 * MS),
        ],
        "TensorFlow Ops": [("CudnnRNNV3", "", 5 * MS)],
    },
)
HOST = plane(
    "/host:CPU",
    {
        "thread": [
            ("call/CudnnRNNV3:CudnnRNNV3", "", MS),
            ("lstm/BlockLSTMV2:BlockLSTMV2", "", 4 * MS),
            ("gradients/BlockLSTMGrad:BlockLSTMGrad", "", 2 * MS),
            ("EagerLocalExecute: BlockLSTMV2", "", 9 * MS),
        ]
    },
)


def test_kernels_of_the_card_count_by_the_operation_that_started_them() -> None:
    assert mean_of([CARD, HOST], on_gpu=True, repeats=5) == pytest.approx(1.0)


def test_operations_of_a_cpu_count_by_their_type() -> None:
    assert mean_of([CARD, HOST], on_gpu=False, repeats=2) == pytest.approx(3.0)


def test_record_without_such_an_operation_gives_no_time() -> None:
    assert mean_of([HOST], on_gpu=True, repeats=1) is None


def step(fixed: float, each: float, most: int) -> Callable[[int], float | None]:
    return lambda batch: fixed + each * batch if batch <= most else None


@pytest.mark.parametrize(
    ("time_of", "batch"),
    [
        (step(0.0, 1.0, 9999), 32),  # full at once
        (step(100.0, 1.0, 9999), 512),  # 1024 rows bring 9 % more a second
        (step(100.0, 0.0, 600), 512),  # memory ends it
        (step(1.0, 0.0, 99999), 8192),  # never full
    ],
)
def test_batch_grows_while_it_brings_rows_a_second(time_of: Any, batch: int) -> None:
    found = gpu.filling(time_of)
    assert found == (batch, time_of(batch))


def test_no_batch_fits() -> None:
    assert gpu.filling(step(1.0, 1.0, 8)) is None


@pytest.mark.parametrize("card", [None, "NVIDIA H100, 580.1, 81559 MiB"])
def test_table_says_where_it_ran_and_leaves_out_what_did_not(card: str | None) -> None:
    results = {
        "command": "python -m benchmarks.gpu --quick",
        "card": card,
        "machine": {"processor": "x", "cores": 2, "versions": {}, "date": "today", "load": 0},
        "rounds": 3,
        "contenders": ["ours", "keras", "keras without cuDNN"],
        "times": [{"case": "a case", "ms": {"ours": 3.0, "keras": 4.0}, "floor": 2.0}],
        "applications": [
            {"application": "sentiment", "batch": 64, "ms": 32.0, "floor": None},
            {"application": "stocks"},
        ],
    }
    text = gpu.table(results)
    assert (card or "on the CPU: TensorFlow found no GPU") in text
    assert "| a case | 3 | 4 | – | 2 | 1.5 |" in text
    assert "| sentiment | 64 | 32 | 2,000 | – |" in text
    assert "| stocks | did not run | – | – | – |" in text
    assert "torch" not in text


def test_card_is_none_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert gpu.card() is None


def test_unknown_application_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        gpu.main(["--applications", "sentimnt"])
    assert end.value.code == 2
    assert "unknown application sentimnt" in capsys.readouterr().err
