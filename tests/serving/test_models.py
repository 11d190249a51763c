"""A watched folder: versions come, take over, are refused, and go, while requests are answered."""

from __future__ import annotations

import asyncio
import os
import shutil
import weakref
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from toy_models import STARTED
from watched_models import (
    HANG_S,
    TOY,
    Gate,
    X,
    factor,
    is_available,
    run,
    serving,
    states,
    two_looks,
    until,
)

from apps.errors import UserError
from apps.export.golden import WARM_UP, record, request, write_records
from apps.serving.errors import Code, ServingError
from apps.serving.models import watching
from apps.serving.models.batching_parameters import BATCHING_FILE
from apps.serving.models.observer import Observer
from apps.serving.models.served import Answer, Choice, Models
from apps.serving.models.states import State, VersionStatus
from apps.serving.models.watching import Watcher

Publish = Callable[..., Path]


class Notes(Observer):
    """Keeps the states that every version went through."""

    def __init__(self) -> None:
        self.states: dict[int, list[State]] = {}

    def version_changed(self, name: str, status: VersionStatus) -> None:
        self.states.setdefault(status.version, []).append(status.state)


async def send_waiting(models: Models, file: Path) -> asyncio.Task[Answer]:
    """A request that its model computes, and answers once the file exists."""
    inputs = {"file": np.array([bytes(file)], object)}
    task = asyncio.ensure_future(models.predict(TOY, "wait", inputs))
    await until(file.with_name(file.name + STARTED).exists)
    return task


def test_a_new_version_takes_over_and_no_request_is_lost(base: Path, publish: Publish) -> None:
    parameters = "max_batch_size { value: 8 } max_enqueued_batches { value: 100 }"
    (base / "1" / BATCHING_FILE).write_text(parameters)

    async def scenario() -> None:
        answers: list[tuple[int, float]] = []
        done = False

        async def client() -> None:
            while not done:
                answer = await models.predict(TOY, "", {"x": X})
                answers.append((answer.version, float(answer.outputs["y"][0, 0])))
                await asyncio.sleep(0.001)

        async with serving(base.parent) as models:
            clients = [asyncio.ensure_future(client()) for _ in range(16)]
            for version in (2, 3):
                publish(base / str(version), factor=version)
                await until(is_available(models, version))
                # From the moment that it is available, nobody else answers.
                assert await factor(models) == version
            await until(lambda: states(models) == {1: "END", 2: "END", 3: "AVAILABLE"})
            done = True
            await asyncio.gather(*clients)
        assert {version for version, _ in answers} == {1, 2, 3}
        assert all(version == given for version, given in answers)

    run(scenario)


def test_a_request_under_way_is_answered_by_the_version_it_reached(
    base: Path, publish: Publish, tmp_path: Path
) -> None:
    async def scenario() -> None:
        notes = Notes()
        async with serving(base.parent, observer=notes) as models:
            waiting = await send_waiting(models, tmp_path / "go")
            publish(base / "2", factor=2)
            await until(is_available(models, 2))
            assert not waiting.done()
            assert states(models)[1] == "UNLOADING"
            with pytest.raises(ServingError, match=r"Specific\(toy, 1\)"):
                await factor(models, Choice("toy", 1))
            (tmp_path / "go").touch()
            answer = await waiting
            assert answer.version == 1
            assert answer.outputs["factor"].tolist() == [1]
            await until(lambda: states(models)[1] == "END")
            assert notes.states[1] == ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]

    run(scenario)


def test_a_refused_version_leaves_the_old_one_and_is_tried_again_once_it_changes(
    base: Path, publish: Publish
) -> None:
    async def scenario() -> None:
        gate = Gate()
        async with serving(base.parent, gate=gate) as models:
            beside = publish(base.parent / ".made" / "2", factor=2)
            (beside / "broken").touch()
            beside.rename(base / "2")
            await until(lambda: states(models).get(2) == "END")
            refused = models.status(Choice("toy", 2))[0]
            assert refused.error_code is Code.FAILED_PRECONDITION
            assert refused.error_message == f"{base / '2'}: broken; mend it"
            await two_looks(models)
            assert gate.asked == ["toy/1", "toy/2"]
            assert await factor(models) == 1
            (base / "2" / "broken").unlink()
            await until(is_available(models, 2))
            assert await factor(models) == 2

    run(scenario)


def test_a_refusal_that_may_be_the_hosts_fault_is_not_the_last_word(
    base: Path, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "AGAIN_S", 0.1)

    class Killed(Gate):
        def __call__(self, version: Path) -> SimpleNamespace:
            verdict = super().__call__(version)
            if self.asked.count("toy/2") == 1 and version.name == "2":
                return SimpleNamespace(passed=False, refusal="killed", transient=True)
            return verdict

    async def scenario() -> None:
        gate = Killed()
        async with serving(base.parent, gate=gate) as models:
            publish(base / "2", factor=2)
            await until(lambda: gate.asked.count("toy/2") == 2)
            await until(is_available(models, 2))
            assert await factor(models) == 2

    run(scenario)


def half_the_graph(version: Path) -> None:
    os.truncate(version / "saved_model.pb", 1000)


def failing_warm_up(version: Path) -> None:
    bad = request("toy", "number", {"text": np.array([b"x"], object)})
    write_records(version / WARM_UP, [record(bad, {})])


def bad_batching(version: Path) -> None:
    (version / BATCHING_FILE).write_text("max_batch_size { value: 8 }\nmax_batch { value: 8 }")


def failing_gate(version: Path) -> SimpleNamespace:
    raise OSError("no memory for the gate")


def test_what_cannot_be_loaded_is_refused_with_the_reason(base: Path, publish: Publish) -> None:
    damages = {
        "2": (half_the_graph, "saved_model.pb"),
        "3": (failing_warm_up, "could not correctly convert string: x"),
        "4": (bad_batching, f"{BATCHING_FILE}: line 2"),
    }

    async def scenario() -> None:
        async with serving(base.parent) as models:
            for number, (damage, reason) in damages.items():
                beside = publish(base.parent / ".made" / number, factor=2)
                damage(beside)
                beside.rename(base / number)
                await until(lambda number=number: states(models).get(int(number)) == "END")
                status = models.status(Choice("toy", int(number)))[0]
                assert reason in status.error_message
                assert status.error_code is not Code.OK
                assert await factor(models) == 1
        async with serving(base.parent, gate=failing_gate) as models:
            assert models.status(TOY)[0].error_message == "no memory for the gate"

    run(scenario)


def test_a_restart_beside_a_broken_version_serves_the_one_before(
    base: Path, publish: Publish
) -> None:
    (publish(base / "2", factor=2) / "broken").touch()

    async def scenario() -> None:
        async with serving(base.parent) as models:
            assert states(models) == {1: "AVAILABLE", 2: "END"}
            assert await factor(models) == 1

    run(scenario)


def test_a_version_that_is_still_being_copied_is_left_alone(
    base: Path, toys: Callable[[float], Path]
) -> None:
    watcher = Watcher(base.parent, print)

    def wanted() -> list[int]:
        return list(watcher.look([("toy", 1)])["toy"].wanted)

    whole, copied = toys(2), base / "2"
    assert wanted() == [1]
    shutil.copytree(whole / "variables", copied / "variables")
    assert [wanted(), wanted()] == [[1], [1]]
    graph = (whole / "saved_model.pb").read_bytes()
    for part in range(1, 5):
        (copied / "saved_model.pb").write_bytes(graph[: len(graph) * part // 4])
        assert wanted() == [1]
    assert wanted() == [2]


def test_what_is_no_version_is_passed_over(base: Path, publish: Publish) -> None:
    for name in ("tmp", ".writing-5", "-1", "1.5", "٣", "9" * 30):
        publish(base / name, factor=2)
    (base / "3").write_text("a file")
    (base / "4").mkdir()
    (base.parent / "notes").mkdir()
    (base.parent / "README").touch()

    async def scenario() -> None:
        async with serving(base.parent) as models:
            await two_looks(models)
            assert models.names() == ["toy"]
            assert states(models) == {1: "AVAILABLE"}

    run(scenario)


def test_a_deleted_version_is_unloaded_and_an_unreachable_folder_changes_nothing(
    base: Path, publish: Publish
) -> None:
    publish(base / "2", factor=2)

    async def scenario() -> None:
        async with serving(base.parent) as models:
            assert await factor(models) == 2
            base.rename(base.parent / ".away")
            await two_looks(models)
            assert await factor(models) == 2
            (base.parent / ".away").rename(base)
            shutil.rmtree(base / "2")
            await until(lambda: states(models) == {1: "AVAILABLE", 2: "END"})
            assert await factor(models) == 1
            shutil.rmtree(base / "1")
            await until(lambda: states(models)[1] == "END")
            with pytest.raises(ServingError, match=r"request: Latest\(toy\)"):
                await factor(models)

    run(scenario)


def test_a_folder_of_versions_is_one_model(base: Path) -> None:
    async def scenario() -> None:
        async with serving(base) as models:
            assert models.names() == ["toy"]
            name, version, signatures = models.signatures(TOY)
            assert (name, version) == ("toy", 1)
            assert set(signatures) >= {"serving_default", "shout"}

    run(scenario)


def test_a_folder_that_is_not_there_is_refused_and_an_empty_one_is_watched(
    tmp_path: Path, publish: Publish
) -> None:
    with pytest.raises(UserError, match="no such folder"):
        Models(tmp_path / "nowhere")

    async def scenario() -> None:
        lines: list[str] = []
        async with serving(tmp_path, log=lines.append) as models:
            assert "holds no version to serve yet" in lines[-1]
            publish(tmp_path / "toy" / "5", factor=5)
            await until(lambda: models.names() == ["toy"])
            await until(is_available(models, 5))
            assert await factor(models) == 5

    run(scenario)


def test_a_deadline_is_kept_while_the_model_computes(base: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(base.parent) as models:
            inputs = {"file": np.array([bytes(tmp_path / "go")], object)}
            with pytest.raises(ServingError) as refusal:
                await models.predict(TOY, "wait", inputs, timeout_s=0.1)
            assert refusal.value.code is Code.DEADLINE_EXCEEDED
            (tmp_path / "go").touch()
            assert await factor(models) == 1

    run(scenario)


def test_stopping_finishes_what_is_under_way_and_refuses_the_rest(
    base: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with serving(base.parent) as models:
            under_way = await send_waiting(models, tmp_path / "go")
            stopping = asyncio.ensure_future(models.stop(grace_s=HANG_S))
            await asyncio.sleep(0)
            with pytest.raises(ServingError) as refusal:
                await factor(models)
            assert refusal.value.code is Code.UNAVAILABLE
            (tmp_path / "go").touch()
            await stopping
            assert (await under_way).outputs["factor"].tolist() == [1]
            assert states(models) == {1: "END"}

    run(scenario)


def test_stopping_cancels_what_takes_too_long(base: Path, tmp_path: Path) -> None:
    (base / "1" / BATCHING_FILE).write_text("num_batch_threads { value: 1 }")

    async def scenario() -> None:
        async with serving(base.parent) as models:
            running = await send_waiting(models, tmp_path / "never")
            queued = asyncio.ensure_future(models.predict(TOY, "", {"x": X}))
            await asyncio.sleep(0)
            await models.stop(grace_s=0.1)
            outcomes = await asyncio.gather(running, queued, return_exceptions=True)
            codes = [outcome.code for outcome in outcomes if isinstance(outcome, ServingError)]
            assert codes == [Code.CANCELLED, Code.UNAVAILABLE]

    run(scenario)


def test_swaps_leave_nothing_of_the_old_versions(base: Path, publish: Publish) -> None:
    async def scenario() -> None:
        async with serving(base.parent) as models:
            left = []
            for version in range(2, 5):
                left.append(weakref.ref(models._models["toy"].versions[version - 1]._servable))
                publish(base / str(version), factor=version)
                await until(is_available(models, version))
                assert await factor(models) == version
                await until(lambda version=version: states(models)[version - 1] == "END")
            assert [reference() for reference in left] == [None] * 3

    run(scenario)
