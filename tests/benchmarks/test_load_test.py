"""The load generator: bounded in number and time, and right about what it counts."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from client_servers import SERVERS, ScriptedModel, http_server, self_signed, trusting

from apps.errors import UserError
from apps.serving.client import Target, http_transport
from benchmarks.http_connection import HttpConnection, post
from benchmarks.load_test import LoadResult, load_test, main

BEFORE = 1  # the request that checks the inputs
HANG_S = 120


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture(params=["grpc", "http"])
def url(request: pytest.FixtureRequest, model: ScriptedModel) -> Iterator[str]:
    with SERVERS[request.param](model) as url:
        yield url


def test_as_many_requests_as_were_asked_for(url: str, model: ScriptedModel) -> None:
    found = load_test(url, ["a", "yy"], model="toy", clients=4, requests=50)
    assert (found.requests, found.errors) == (50, {})
    assert model.asked == 50 + 4 + BEFORE
    assert found.throughput == pytest.approx(50 / found.seconds, rel=0.01)


def test_clients_ask_at_the_same_time(url: str, model: ScriptedModel) -> None:
    together = threading.Barrier(4)

    def before(asked: int) -> None:
        if asked > BEFORE:
            together.wait(HANG_S)

    model.before_answer = before
    assert load_test(url, ["a"], model="toy", clients=4, requests=8).requests == 8


def test_time_ends_it_and_latency_is_that_of_the_server(url: str, model: ScriptedModel) -> None:
    model.before_answer = lambda asked: time.sleep(0.05)
    found = load_test(url, ["a"], model="toy", clients=4, seconds=0.5)
    assert found.seconds >= 0.5
    assert 50 <= (found.p50_ms or 0) <= (found.p95_ms or 0) <= (found.p99_ms or 0)
    assert found.requests / found.seconds <= 4 / 0.05


def test_errors_are_counted_by_code(url: str, model: ScriptedModel) -> None:
    ours = [("UNAVAILABLE", "full")] * 3 + [("RESOURCE_EXHAUSTED", "slow down")] * 2

    def before(asked: int) -> None:
        if asked == BEFORE + 2:
            model.refusals = list(ours)

    model.before_answer = before
    found = load_test(url, ["a"], model="toy", clients=1, requests=20)
    assert found.errors == {"UNAVAILABLE": 3, "RESOURCE_EXHAUSTED": 2}
    assert found.requests == 15
    assert "errors     2 RESOURCE_EXHAUSTED, 3 UNAVAILABLE" in str(found)


def test_answers_that_come_too_late_are_errors(url: str, model: ScriptedModel) -> None:
    asked_again = threading.Event()

    def before(asked: int) -> None:
        if asked == BEFORE + 2:
            asked_again.wait(HANG_S)
        elif asked > BEFORE + 2:
            asked_again.set()

    model.before_answer = before
    found = load_test(url, ["a"], model="toy", clients=1, requests=10, timeout_s=0.2)
    assert set(found.errors) == {"DEADLINE_EXCEEDED"}
    assert found.requests + found.errors["DEADLINE_EXCEEDED"] == 10


def test_a_late_answer_is_not_taken_for_the_next_one(model: ScriptedModel) -> None:
    arrived, go = threading.Event(), threading.Event()

    def before(asked: int) -> None:
        if asked == 1:
            arrived.set()
            go.wait(HANG_S)

    async def two_requests(url: str) -> tuple[int, bytes]:
        connection = HttpConnection(url)
        first, second = (
            post(url, *http_transport.encode_predict(Target("toy"), "echo", {"text": text}))
            for text in (np.array([b"first"], object), np.array([b"second"], object))
        )
        late = asyncio.ensure_future(connection.send(first))
        await asyncio.to_thread(arrived.wait, HANG_S)
        late.cancel()
        await asyncio.wait([late])
        answer = await connection.send(second)
        connection.close()
        return answer

    model.before_answer = before
    with http_server(model) as url:
        status, body = asyncio.run(two_requests(url))
        go.set()
    assert (status, json.loads(body)) == (200, {"outputs": [{"b64": "c2Vjb25k"}]})


def test_nothing_is_measured_where_nothing_answers(url: str) -> None:
    with pytest.raises(UserError, match="NOT_FOUND"):
        load_test(url, ["a"], model="boy", requests=5)
    with pytest.raises(UserError, match="takes texts"):
        load_test(url, [3], model="toy", requests=5)
    with pytest.raises(UserError, match="give at least one"):
        load_test(url, [], model="toy", requests=5)
    with pytest.raises(UserError, match="clients: 0 allows no request"):
        load_test(url, ["a"], model="toy", clients=0)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        away = f"{url.split(':')[0]}://127.0.0.1:{reserved.getsockname()[1]}"
        with pytest.raises(UserError, match=r"UNAVAILABLE.* is a server running"):
            load_test(away, ["a"], model="toy", requests=5)


def test_a_server_that_dies_under_load(model: ScriptedModel) -> None:
    with http_server(model) as url:

        def before(asked: int) -> None:
            if asked > 10:
                model.refusals = [("RESET", "")]

        model.before_answer = before
        found = load_test(url, ["a"], model="toy", clients=2, requests=30)
    assert set(found.errors) == {"UNAVAILABLE"}
    assert found.requests + found.errors["UNAVAILABLE"] == 30


def test_a_result_without_answers_says_so() -> None:
    nothing = LoadResult("grpc://x", "toy", 1, 1.0, 0, {"UNAVAILABLE": 4}, 0.0, *[None] * 4)
    assert "latency" not in str(nothing)
    assert "4 UNAVAILABLE" in str(nothing)


def test_the_command(
    model: ScriptedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("yy\n\nno\n")
    with http_server(model) as url:
        main([url, "--file", str(file), "--model", "toy", "--requests", "5", "--json"])
    assert json.loads(capsys.readouterr().out)["requests"] == 5
    with pytest.raises(SystemExit) as end:
        main([url, "--file", str(tmp_path / "none.txt")])
    assert end.value.code == 2
    assert "none.txt" in capsys.readouterr().err


def test_servers_with_a_certificate_of_their_own(model: ScriptedModel, tmp_path: Path) -> None:
    tls = self_signed(tmp_path)
    code = (
        "import sys\n"
        "from benchmarks.load_test import load_test\n"
        "for url in sys.argv[1:]:\n"
        "    print(load_test(url, ['yy'], model='toy', requests=3, clients=1).errors)\n"
    )
    with SERVERS["grpc"](model, tls=tls) as one, http_server(model, tls=tls) as other:
        done = subprocess.run(
            [sys.executable, "-c", code, one, other],
            cwd=Path(__file__).parents[2],
            env=trusting(tls[1]),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout == "{}\n{}\n", done.stderr
