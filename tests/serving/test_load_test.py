"""The load generator: bounded in number and time, and right about what it counts."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator

import pytest
from client_servers import ScriptedModel, grpc_server, http_server

from apps.errors import UserError
from apps.serving.load_test import LoadResult, load_test

SERVERS = {"grpc": grpc_server, "http": http_server}
BEFORE = 1  # requests that check the inputs before the load begins


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
    assert json.loads(json.dumps(found.to_dict()))["requests"] == 50


def test_time_ends_it_and_latency_is_that_of_the_server(url: str, model: ScriptedModel) -> None:
    model.delay_s = 0.05
    started = time.monotonic()
    found = load_test(url, ["a"], model="toy", clients=4, seconds=0.5)
    assert time.monotonic() - started < 4
    assert 50 <= (found.p50_ms or 0) <= (found.p95_ms or 0) <= (found.p99_ms or 0)
    assert 8 <= found.requests <= 44
    assert 4 / 0.05 >= found.throughput >= 15


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


def test_slow_answers_are_errors_and_the_connection_is_not_mixed_up(
    url: str, model: ScriptedModel
) -> None:
    def before(asked: int) -> None:
        model.delay_s = 0.4 if asked == BEFORE + 2 else 0.0

    model.before_answer = before
    found = load_test(url, ["a"], model="toy", clients=1, requests=10, timeout_s=0.2)
    assert found.errors == {"DEADLINE_EXCEEDED": 1}
    assert found.requests == 9


def test_nothing_is_measured_where_nothing_answers(url: str, model: ScriptedModel) -> None:
    with pytest.raises(UserError, match="NOT_FOUND"):
        load_test(url, ["a"], model="boy", requests=5)
    with pytest.raises(UserError, match="takes texts"):
        load_test(url, [3], model="toy", requests=5)
    with pytest.raises(UserError, match="at least one input"):
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
