"""KerasTuner's own client against our chief."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest
from invented import Search
from keras_tuner.src.distribute.oracle_client import OracleClient
from keras_tuner.src.engine.trial import Trial, TrialStatus

from tuning.distributed.chief import Chief

Begin = Callable[..., Search]


@pytest.fixture
def search(begin: Begin) -> Search:
    return begin(trials=2)


@pytest.fixture
def client(search: Search, monkeypatch: pytest.MonkeyPatch) -> Iterator[OracleClient]:
    chief = Chief(search.scheduler, lease_seconds=1.0, log=lambda line: None)
    chief.start()
    host, port = chief.address.split(":")
    monkeypatch.setenv("KERASTUNER_ORACLE_IP", host)
    monkeypatch.setenv("KERASTUNER_ORACLE_PORT", port)
    monkeypatch.setenv("KERASTUNER_TUNER_ID", "stock")
    yield OracleClient(search.oracle)
    chief.stop()


def finish(client: OracleClient, trial: Trial, score: float) -> None:
    """What KerasTuner's tuner does after an epoch and at the end."""
    client.update_trial(trial.trial_id, {"accuracy": score}, step=0)
    trial.metrics.register("accuracy", direction="max")
    trial.metrics.update("accuracy", score)
    trial.status = TrialStatus.COMPLETED
    client.end_trial(trial)


def test_a_worker_of_keras_tuner_runs_a_search_to_its_end(
    search: Search, client: OracleClient
) -> None:
    assert client.get_space().values.keys() == search.oracle.get_space().values.keys()
    ran = []
    for score in (0.5, 0.75):
        trial = client.create_trial("stock")
        assert trial.status == TrialStatus.RUNNING
        known = search.oracle.trials[trial.trial_id]
        assert trial.hyperparameters.values == known.hyperparameters.values
        assert client.create_trial("stock").trial_id == trial.trial_id
        finish(client, trial, score)
        ran.append(trial.trial_id)
    assert client.create_trial("stock").status == TrialStatus.STOPPED
    assert [search.oracle.rows[name].score for name in ran] == [0.5, 0.75]
    assert client.get_best_trials(1)[0].trial_id == ran[1]


def test_its_calls_are_signs_of_life(search: Search, client: OracleClient) -> None:
    trial = client.create_trial("stock")
    search.scheduler._heard["stock"] -= 100.0
    client.update_trial(trial.trial_id, {"accuracy": 0.25}, step=3)
    assert search.scheduler.expire(50.0) == []
    worker, progress = search.scheduler.running[trial.trial_id]
    assert (worker, progress.epoch, progress.score) == ("stock", 3, 0.25)


def test_an_unknown_trial_or_parameter_is_refused_and_the_chief_goes_on(
    search: Search, client: OracleClient
) -> None:
    space = client.get_space()
    with pytest.raises(grpc.RpcError) as refused:
        client.end_trial(Trial(space, trial_id="none", status=TrialStatus.COMPLETED))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    with pytest.raises(grpc.RpcError):
        client.get_trial("none")
    trial = client.create_trial("stock")
    client.update_space(space)
    space.Int("heads", 1, 4)
    with pytest.raises(grpc.RpcError, match="which is settled: heads"):
        client.update_space(space)
    assert "heads" not in {each.name for each in search.oracle.get_space().space}
    finish(client, trial, 0.5)
    assert search.oracle.rows[trial.trial_id].score == 0.5
