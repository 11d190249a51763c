"""Batches: what shares one, who waits, who is refused, and that nobody gets another's answer."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from apps.errors import UserError
from apps.serving.errors import Code, ServingError
from apps.serving.models.batching import Batcher, common_rows
from apps.serving.models.batching_parameters import BatchingParameters
from apps.serving.models.servable import Request, Servable

HANG_S = 180  # what takes so long will never come
Toys = Callable[[float], Path]


class Doubling:
    """A computation that notes its batches and can be held back.

    `x` is doubled; a negative number anywhere fails the whole batch.
    """

    def __init__(self) -> None:
        self.batches: list[list[float]] = []
        self.shapes: list[tuple[int, ...]] = []
        self.go = threading.Event()
        self.go.set()
        self.started = threading.Event()

    def __call__(self, request: Request) -> dict[str, np.ndarray]:
        x = request.inputs["x"]
        self.batches.append(x.reshape(len(x), -1)[:, 0].tolist())
        self.shapes.append(x.shape)
        self.started.set()
        assert self.go.wait(HANG_S)
        if (x < 0).any():
            raise ServingError(Code.INVALID_ARGUMENT, "a negative number")
        if request.signature == "total":
            return {"y": x.sum()}
        if request.signature == "first":
            return {"y": x[:1]}
        return {"y": x * 2}


def ask(*numbers: float, signature: str = "double", width: int | None = None) -> Request:
    x = np.array(numbers, np.float32)
    if width is not None:
        x = np.repeat(x[:, None], width, axis=1)
    return Request(signature, {"x": x}, ("y",))


class Bench:
    """A batcher over a computation, for one test."""

    def __init__(self, compute: Callable[[Request], Any], **parameters: Any) -> None:
        self.parameters = BatchingParameters(**{"num_batch_threads": 1, **parameters})
        self.threads = ThreadPoolExecutor(self.parameters.num_batch_threads)
        self.executed: list[tuple[int, int, int]] = []
        self.batcher = Batcher(
            compute,
            self.parameters,
            self.threads,
            lambda rows, padded, waits: self.executed.append((rows, padded, len(waits))),
        )

    def send(self, request: Request) -> asyncio.Task[dict[str, np.ndarray]]:
        return asyncio.ensure_future(self.batcher.run(request, common_rows(request)))

    async def __aenter__(self) -> Bench:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.threads.shutdown(wait=False)


async def held(bench: Bench, compute: Doubling) -> asyncio.Task[Any]:
    """Occupy the only thread with a request of 0 until `compute.go` is set."""
    compute.go.clear()
    compute.started.clear()
    first = bench.send(ask(0))
    await asyncio.to_thread(compute.started.wait, HANG_S)
    return first


async def settle() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 2 * HANG_S))


def test_waiting_requests_share_batches_no_larger_than_allowed() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute, max_batch_size=4) as bench:
            first = await held(bench, compute)
            tasks = [bench.send(ask(n, n)) for n in range(1, 6)]
            await settle()
            compute.go.set()
            answers = await asyncio.gather(first, *tasks)
            assert [answer["y"].tolist() for answer in answers[1:]] == [
                [2.0 * n] * 2 for n in range(1, 6)
            ]
            assert compute.batches == [[0], [1, 1, 2, 2], [3, 3, 4, 4], [5, 5]]
            assert bench.executed == [(1, 1, 1), (4, 4, 2), (4, 4, 2), (2, 2, 1)]

    run(scenario)


def test_a_batch_is_padded_to_an_allowed_size_and_the_padding_dropped() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute, max_batch_size=8, allowed_batch_sizes=(2, 4, 8)) as bench:
            first = await held(bench, compute)
            tasks = [bench.send(ask(1, 2)), bench.send(ask(3))]
            await settle()
            compute.go.set()
            _, pair, single = await asyncio.gather(first, *tasks)
            assert pair["y"].tolist() == [2, 4]
            assert single["y"].tolist() == [6]
            assert compute.batches == [[0, 0], [1, 2, 3, 3]]
            assert bench.executed == [(1, 2, 1), (3, 4, 2)]

    run(scenario)


def test_one_bad_request_does_not_fail_its_neighbours() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute) as bench:
            first = await held(bench, compute)
            tasks = [bench.send(ask(n)) for n in (1, -2, 3)]
            await settle()
            compute.go.set()
            await first
            good, bad, other = await asyncio.gather(*tasks, return_exceptions=True)
            assert good["y"].tolist() == [2]  # type: ignore[index]
            assert other["y"].tolist() == [6]  # type: ignore[index]
            assert isinstance(bad, ServingError)
            assert bad.code is Code.INVALID_ARGUMENT

    run(scenario)


def test_a_full_queue_refuses_until_there_is_room() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute, max_batch_size=2, max_enqueued_batches=2) as bench:
            first = await held(bench, compute)
            waiting = [bench.send(ask(n)) for n in range(4)]
            await settle()
            with pytest.raises(ServingError) as refusal:
                await bench.send(ask(9))
            assert refusal.value.code is Code.UNAVAILABLE
            assert refusal.value.message == (
                "The batch scheduling queue to which this task was submitted is full; "
                "currently 2 batches enqueued and max_enqueued_batches is 2"
            )
            waiting[0].cancel()
            await settle()
            taken = bench.send(ask(5))
            await settle()
            compute.go.set()
            await asyncio.gather(first, taken, *waiting[1:])
            assert (await bench.send(ask(7)))["y"].tolist() == [14]
            assert compute.batches == [[0], [1, 2], [3, 5], [7]]

    run(scenario)


def test_a_request_that_nobody_waits_for_is_not_computed() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute) as bench:
            first = await held(bench, compute)
            late = bench.send(ask(1))
            await settle()
            late.cancel()
            after = bench.send(ask(2))
            await settle()
            compute.go.set()
            await asyncio.gather(first, after)
            assert compute.batches == [[0], [2]]

    run(scenario)


def test_a_request_larger_than_a_batch_is_refused_or_split() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute, max_batch_size=4) as bench:
            with pytest.raises(ServingError) as refusal:
                await bench.send(ask(1, 2, 3, 4, 5))
            assert refusal.value.code is Code.INVALID_ARGUMENT
            assert "Task size 5 is larger than maximum input batch size 4" in str(refusal.value)
        splitting = {"enable_large_batch_splitting": True, "max_execution_batch_size": 2}
        async with Bench(compute, max_batch_size=5, **splitting) as bench:
            answer = await bench.send(ask(1, 2, 3, 4, 5))
            assert answer["y"].tolist() == [2, 4, 6, 8, 10]
            assert compute.batches == [[1, 2], [3, 4], [5]]

    run(scenario)


def test_unequal_shapes_wait_apart_unless_they_may_be_padded() -> None:
    async def scenario() -> None:
        for padding, shapes in ((False, [(1,), (2, 2), (1, 3)]), (True, [(1,), (3, 3)])):
            compute = Doubling()
            async with Bench(compute, pad_variable_length_inputs=padding) as bench:
                first = await held(bench, compute)
                requests = [ask(1, width=2), ask(2, width=3), ask(3, width=2)]
                tasks = [bench.send(request) for request in requests]
                await settle()
                compute.go.set()
                _, *answers = await asyncio.gather(first, *tasks)
                assert compute.shapes == shapes
                for n, answer in enumerate(answers, 1):
                    assert set(answer["y"].ravel()) == {2.0 * n}

    run(scenario)


@pytest.mark.parametrize(
    ("signature", "message"), [("total", "has 0 dimensions"), ("first", "does not equal the sum")]
)
def test_an_output_that_is_no_batch_is_refused_as_tensorflow_serving_does(
    signature: str, message: str
) -> None:
    async def scenario() -> None:
        async with Bench(Doubling()) as bench:
            with pytest.raises(ServingError, match=message) as refusal:
                await bench.send(ask(1, 2, signature=signature))
            assert refusal.value.code is Code.FAILED_PRECONDITION

    run(scenario)


def test_a_batch_waits_for_company_only_until_it_is_full_or_its_time_is_over() -> None:
    async def scenario() -> None:
        async with Bench(Doubling(), max_batch_size=2, batch_timeout_micros=3_600_000_000) as bench:
            pair = [bench.send(ask(1)), bench.send(ask(2))]
            await asyncio.gather(*pair)
        async with Bench(Doubling(), batch_timeout_micros=50_000) as bench:
            began = time.monotonic()
            await bench.send(ask(1))
            assert time.monotonic() - began >= 0.049

    run(scenario)


def test_no_more_batches_run_at_once_than_there_are_threads() -> None:
    running = most = 0
    lock = threading.Lock()
    together = threading.Barrier(2)

    def compute(request: Request) -> dict[str, np.ndarray]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(HANG_S)
        with lock:
            running -= 1
        return {"y": request.inputs["x"]}

    async def scenario() -> None:
        async with Bench(compute, max_batch_size=1, num_batch_threads=2) as bench:
            await asyncio.gather(*(bench.send(ask(n)) for n in range(10)))
        assert most == 2

    run(scenario)


def test_a_flood_on_one_signature_does_not_starve_another() -> None:
    async def scenario() -> None:
        compute = Doubling()
        async with Bench(compute, max_batch_size=1, max_enqueued_batches=50) as bench:
            first = await held(bench, compute)
            flood = [bench.send(ask(1)) for _ in range(50)]
            await settle()
            other = bench.send(ask(2, signature="other"))
            await settle()
            compute.go.set()
            await asyncio.gather(first, other, *flood)
            assert compute.batches.index([2]) <= 3

    run(scenario)


def test_batches_answer_what_single_requests_answer(toys: Toys) -> None:
    servable = Servable.load(toys(3.0), "toy", 1)
    random = np.random.default_rng(0)
    requests = []
    for n in range(60):
        rows = int(random.integers(1, 6))
        if n % 2:
            x = random.normal(size=(rows, 3)).astype(np.float32)
            requests.append(servable.check("", {"x": x}))
        else:
            words = np.array([b"ab" * int(k) for k in random.integers(0, 9, rows)], object)
            requests.append(servable.check("shout", {"text": words}))

    async def scenario() -> None:
        sizes = {"max_batch_size": 16, "allowed_batch_sizes": (4, 8, 16)}
        async with Bench(servable.compute, **sizes, num_batch_threads=2) as bench:
            answers = await asyncio.gather(*map(bench.send, requests))
            assert len(bench.executed) < len(requests)
        for request, answer in zip(requests, answers, strict=True):
            alone = servable.compute(request)
            assert answer.keys() == alone.keys()
            for name in alone:
                np.testing.assert_array_equal(answer[name], alone[name])

    run(scenario)
    servable.close()


@pytest.fixture
def parameters_file(tmp_path: Path) -> Path:
    return tmp_path / "batching_params.pbtxt"


def test_parameters_are_read_as_tensorflow_serving_writes_them(parameters_file: Path) -> None:
    parameters_file.write_text(
        """
        max_batch_size { value: 32 }       # rows
        batch_timeout_micros { value: 0 }
        max_enqueued_batches { value: 100 }
        num_batch_threads { value: 3 }
        thread_pool_name { value: "toy" }
        allowed_batch_sizes: 1
        allowed_batch_sizes: [8, 32]
        pad_variable_length_inputs: true
        """
    )
    read = BatchingParameters.read(parameters_file)
    assert read == BatchingParameters(32, 0, 100, 3, (1, 8, 32), True)
    assert [read.padded(rows) for rows in (1, 2, 9, 32)] == [1, 8, 32, 32]
    parameters_file.write_text("")
    assert BatchingParameters.read(parameters_file) == BatchingParameters()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("max_batch_size { value: 32 }\nmax_batch_sise { value: 1 }", "line 2"),
        ("max_batch_size: 32 }", "line 1"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "must be non-negative; was -1"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: 4", "last entry was 4; expected 8"),
        ("max_batch_size { value: 8 } allowed_batch_sizes: [4, 2, 8]", "rise"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(
    parameters_file: Path, text: str, complaint: str
) -> None:
    parameters_file.write_text(text)
    with pytest.raises(UserError, match=complaint) as refusal:
        BatchingParameters.read(parameters_file)
    assert str(parameters_file) in str(refusal.value)
