"""The models of a folder: watched, loaded, routed to, and unloaded, as TensorFlow Serving does."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from apps.errors import UserError
from apps.serving.errors import (
    ServingError,
    deadline,
    internal,
    invalid,
    not_found,
    precondition,
    unavailable,
)
from apps.serving.models.gates import Gate, ask, quiet_gate
from apps.serving.models.observer import Observer
from apps.serving.models.servable import DEFAULT_SIGNATURE, SignatureDef
from apps.serving.models.states import State, VersionStatus
from apps.serving.models.versions import Version
from apps.serving.models.watching import Sighting, Watcher

_Result = TypeVar("_Result")

_SETTLE_S = 0.2
_LOADS_AT_ONCE = 2
_COMING = (State.START, State.LOADING)


@dataclass(frozen=True)
class Choice:
    """Which version of a model a request asks for; the latest where it says nothing.

    Attributes:
        name: the model's name.
        version: a version's number.
        label: a label of the configuration.
    """

    name: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class Answer:
    """A request's answer, and who gave it.

    Attributes:
        name: the model's name.
        version: the version's number.
        signature: the signature's name.
        outputs: arrays by output; texts as object arrays of `bytes`.
    """

    name: str
    version: int
    signature: str
    outputs: dict[str, np.ndarray]


@dataclass
class _Model:
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def latest(self) -> Version | None:
        available = [n for n, v in self.versions.items() if v.state == State.AVAILABLE]
        return self.versions[max(available)] if available else None


class Models:
    """All models of a folder, on one event loop.

    A new version is passed through the gate, loaded and warmed up before it takes over; requests
    that have reached the old one are still answered by it. A version that is refused leaves the
    old one in place.

    Args:
        folder: of all models, or of one.
        batching: whether a version's `batching_params.pbtxt` is followed.
        poll_s: seconds between two looks at the folder.
        gate: says whether a version may be served; called in a thread.
        log: is told in one line of every version that comes, goes or is refused.
        observer: is told of batches, warm-ups and states.

    Raises:
        UserError: the folder does not exist, or its `models.config` cannot be used.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        batching: bool = True,
        poll_s: float = 1.0,
        gate: Gate = quiet_gate,
        log: Callable[[str], None] = print,
        observer: Observer | None = None,
    ) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            found = "is not a folder" if self.folder.exists() else "no such folder"
            raise UserError(f"{self.folder}: {found}; name one that holds SavedModels")
        self._batching = batching
        self._poll_s = poll_s
        self._gate = gate
        self._log = log
        self._observer = observer or Observer()
        self._watcher = Watcher(self.folder, log)
        self._sightings: dict[str, Sighting] = {}
        self._models: dict[str, _Model] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loads = asyncio.Semaphore(_LOADS_AT_ONCE)
        self._complaints: set[str] = set()
        self._watching: asyncio.Task[None] | None = None
        self._stopping = False

    async def start(self) -> None:
        """Load what the folder holds now, and watch it from then on."""
        # A version counts once two looks agree on it, and a refused one leaves its place to the one
        # before it.
        looks_without_news = 0
        while looks_without_news < 2:
            loads = await self._look()
            looks_without_news = 0 if loads else looks_without_news + 1
            if loads and all(await asyncio.gather(*loads)):
                break
            await asyncio.sleep(min(_SETTLE_S, self._poll_s))
        if not any(model.latest() for model in self._models.values()):
            self._log(f"{self.folder} holds no version to serve yet; it is watched for one")
        self._watching = asyncio.create_task(self._watch())

    async def stop(self, grace_s: float = 10.0) -> None:
        """Refuse new requests, finish those under way, and give the memory back.

        Args:
            grace_s: how long requests may take; what is still running then is cancelled.
        """
        self._stopping = True
        tasks = [*self._tasks, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        versions = [v for model in self._models.values() for v in model.versions.values()]
        open_ones = [version for version in versions if version.state != State.END]
        drains = [asyncio.create_task(version.drain()) for version in open_ones]
        if drains:
            _, late = await asyncio.wait(drains, timeout=grace_s)
            for drain in late:
                drain.cancel()
        for version in open_ones:
            version.enter(State.UNLOADING)
            await version.close()
            version.enter(State.END)

    def names(self) -> list[str]:
        """The models that have or had a version."""
        return sorted(name for name, model in self._models.items() if model.versions)

    def signatures(self, choice: Choice) -> tuple[str, int, Mapping[str, SignatureDef]]:
        """Name, number and signatures of the version that a choice leads to.

        Raises:
            ServingError: there is no such version.
        """
        version = self._route(choice)
        return version.name, version.number, version.signatures

    def status(self, choice: Choice) -> list[VersionStatus]:
        """The states of a model's versions, the newest first, or of the chosen one alone.

        Raises:
            ServingError: the model or the version has never been seen.
        """
        number = self._number(choice)
        versions = self._models.get(choice.name, _Model()).versions
        if number is not None:
            if number not in versions:
                raise not_found(f"Could not find version {number} of model {choice.name}")
            return [versions[number].status]
        if not versions:
            raise not_found(f"Could not find any versions of model {choice.name}")
        return [versions[number].status for number in sorted(versions, reverse=True)]

    async def predict(
        self,
        choice: Choice,
        signature: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] = (),
        timeout_s: float | None = None,
    ) -> Answer:
        """Answer a request.

        Args:
            choice: the model and version.
            signature: the signature's name; "" is `serving_default`.
            inputs: arrays by input; texts as object arrays of `bytes`.
            outputs: the outputs to give; empty for all.
            timeout_s: seconds until the client has no use for the answer; `None` for ever.

        Raises:
            ServingError: with the code and the message that the client gets.
        """
        version = self._route(choice)
        name = signature or DEFAULT_SIGNATURE
        try:
            async with asyncio.timeout(timeout_s):
                given = await version.predict(name, inputs, outputs)
        except TimeoutError:
            raise deadline(f"no answer within the request's {timeout_s:g} s") from None
        except ServingError:
            raise
        except Exception as error:
            raise internal(f"{type(error).__name__}: {error}") from error
        return Answer(version.name, version.number, name, given)

    def _number(self, choice: Choice) -> int | None:
        if not choice.name:
            raise invalid("ModelSpec has no name specified.")
        if choice.label is None:
            return choice.version
        labels = self._models.get(choice.name, _Model()).labels
        if choice.label not in labels:
            raise invalid(f"Unrecognized servable version label: {choice.label}")
        return labels[choice.label]

    def _route(self, choice: Choice) -> Version:
        if self._stopping:
            raise unavailable("the server is stopping")
        number = self._number(choice)
        model = self._models.get(choice.name, _Model())
        version = model.latest() if number is None else model.versions.get(number)
        if version is None or version.state != State.AVAILABLE:
            asked = f"Latest({choice.name})"
            if number is not None:
                asked = f"Specific({choice.name}, {number})"
            raise not_found(f"Servable not found for request: {asked}")
        return version

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self._look()
            except Exception as error:
                self._complain(f"{self.folder} cannot be looked at: {error!r}")

    async def _look(self) -> list[asyncio.Task[bool]]:
        """Look at the folder and do what it asks for; gives the loads that have begun."""
        loaded = {
            (name, number)
            for name, model in self._models.items()
            for number, version in model.versions.items()
            if version.state != State.END
        }
        self._sightings = await asyncio.to_thread(self._watcher.look, loaded)
        loads = []
        for name, sighting in self._sightings.items():
            if not sighting.there:
                self._complain(f"{name}: no versions under {sighting.settings.base}")
            versions = self._models.setdefault(name, _Model()).versions
            for number, path in sorted(sighting.wanted.items()):
                if (name, number) not in loaded:
                    versions[number] = Version(
                        name, number, path, batching=self._batching, observer=self._observer
                    )
                    loads.append(self._spawn(self._bring_up(versions[number])))
        self._adjust()
        return loads

    def _adjust(self) -> None:
        """Unload what the last look no longer asks for, and point labels at what is loaded."""
        for name, model in self._models.items():
            sighting = self._sightings.get(name)
            wanted = sighting.wanted if sighting else {}
            replaced = wanted and all(
                model.versions[number].state == State.AVAILABLE for number in wanted
            )
            if sighting is None or sighting.deserted or replaced:
                for number in model.versions.keys() - wanted.keys():
                    self._unload(model.versions[number])
            self._assign_labels(name, model, sighting.settings.labels if sighting else {})

    def _assign_labels(self, name: str, model: _Model, labels: Mapping[str, int]) -> None:
        kept = {label: number for label, number in model.labels.items() if label in labels}
        for label, number in labels.items():
            version = model.versions.get(number)
            if version is not None and version.state == State.AVAILABLE:
                kept[label] = number
            elif kept.get(label) != number and (version is None or version.state not in _COMING):
                self._complain(
                    f"Request to assign label {label} to version {number} of model {name}, which "
                    "is not currently available for inference"
                )
        model.labels = kept

    async def _bring_up(self, version: Version) -> bool:
        """Load a version and make it available; false where it is refused."""
        title = f"{version.name} version {version.number}"
        version.enter(State.START)
        # Whatever goes wrong before the gate has spoken is not the version's fault.
        transient = True
        try:
            async with self._loads:
                version.enter(State.LOADING)
                verdict = await ask(self._gate, version.path)
                transient = verdict.transient
                if not verdict.passed:
                    raise precondition(verdict.refusal or f"{version.path}: refused by the gate")
                await version.load()
        except Exception as error:
            self._watcher.refuse(version.path, transient=transient)
            # The error made here gets no name: its frames would keep the version in memory.
            version.enter(State.END, _refusal(error))
            self._log(f"{title} is refused: {version.status.error_message}")
            return False
        version.enter(State.AVAILABLE)
        self._log(f"{title} is available")
        self._adjust()
        return True

    def _unload(self, version: Version) -> None:
        if version.state == State.AVAILABLE:
            version.enter(State.UNLOADING)
            self._spawn(self._take_down(version))

    async def _take_down(self, version: Version) -> None:
        await version.drain()
        await version.close()
        version.enter(State.END)
        self._log(f"{version.name} version {version.number} is unloaded")

    def _spawn(self, work: Coroutine[Any, Any, _Result]) -> asyncio.Task[_Result]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _complain(self, line: str) -> None:
        if line not in self._complaints:
            self._complaints.add(line)
            self._log(line)


def _refusal(error: Exception) -> ServingError:
    return error if isinstance(error, ServingError) else internal(str(error))
