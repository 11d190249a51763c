"""Streaming sessions: the state travels, the version stays."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from client_servers import SERVERS, SIGNATURES, ScriptedModel

from apps.errors import UserError
from apps.serving import CallError, Client


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel()


@pytest.fixture(params=["grpc", "http"])
def client(request: pytest.FixtureRequest, model: ScriptedModel) -> Iterator[Client]:
    with SERVERS[request.param](model) as url, Client(url, attempts=2) as client:
        yield client


def test_each_chunk_goes_on_where_the_last_one_ended(client: Client) -> None:
    with client.stream("toy") as session, client.stream("toy") as other:
        assert session.send([1.0, 2.0]) == {"running": 3.0}
        assert other.send(np.array([10.0])) == {"running": 10.0}
        assert session.send({"samples": [4.0]}) == {"running": 7.0}
        np.testing.assert_array_equal(session.states["state_sum"], [[7.0]])
    with pytest.raises(UserError, match="the stream is closed"):
        session.send([1.0])


def test_a_chunk_without_an_answer_may_be_sent_again(client: Client, model: ScriptedModel) -> None:
    with client.stream("toy") as session:
        session.send([1.0])
        model.refusals = [("INTERNAL", "lost")]
        with pytest.raises(CallError, match="lost"):
            session.send([2.0])
        assert session.send([2.0]) == {"running": 3.0}


def test_a_stream_stays_with_its_version(client: Client, model: ScriptedModel) -> None:
    with client.stream("toy") as session:
        session.send([1.0])
        assert session.version == 3
        model.version = 4
        with pytest.raises(CallError, match=r"version 3, which this stream .* start a new") as end:
            session.send([2.0])
        assert end.value.code == "NOT_FOUND"
    with client.stream("toy") as session:
        assert session.version == 4


def test_signatures_that_do_not_stream_are_refused(client: Client, model: ScriptedModel) -> None:
    with pytest.raises(UserError, match="carries no state; use predict"):
        client.stream("toy", signature="pair")
    inputs, outputs = SIGNATURES["step"]
    model.signatures = {"step": (inputs, {"running": outputs["running"]})}
    model.version = 5
    with pytest.raises(UserError, match="takes state_sum but does not give it back"):
        client.stream("toy", version=5)
