"""A watched folder of toys, and what a test asks of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from apps.serving.models.served import Choice, Models
from apps.serving.models.states import State

HANG_S = 180  # what takes so long will never come
X = np.ones((1, 3), np.float32)
TOY = Choice("toy")


class Gate:
    """Passes every version but those that hold a file named `broken`; notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, version: Path) -> SimpleNamespace:
        self.asked.append(f"{version.parent.name}/{version.name}")
        if (version / "broken").exists():
            return SimpleNamespace(
                passed=False, refusal=f"{version}: broken; mend it", transient=False
            )
        return SimpleNamespace(passed=True, refusal=None, transient=False)


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[Models]:
    lines: list[str] = []
    models = Models(folder, **{"poll_s": 0.03, "gate": Gate(), "log": lines.append, **options})
    await models.start()
    try:
        yield models
    finally:
        await models.stop(grace_s=HANG_S)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(HANG_S):
        while not condition():
            await asyncio.sleep(0.01)


async def two_looks(models: Models) -> None:
    """Wait until the folder has been looked at twice more, and both looks have had their effect."""
    watcher, begun = models._watcher, 0
    look = watcher.look

    def counted(loaded: Any) -> Any:
        nonlocal begun
        begun += 1
        return look(loaded)

    watcher.look = counted  # type: ignore[method-assign]
    # With the beginning of the third, all that follows from the two before it is done.
    await until(lambda: begun == 3)
    watcher.look = look  # type: ignore[method-assign]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(scenario(), 2 * HANG_S))


async def factor(models: Models, choice: Choice = TOY) -> float:
    """What the toy that answers multiplies with."""
    answer = await models.predict(choice, "", {"x": X}, ["y"])
    return float(answer.outputs["y"][0, 0])


def states(models: Models, name: str = "toy") -> dict[int, str]:
    return {status.version: status.state for status in models.status(Choice(name))}


def is_available(models: Models, version: int) -> Callable[[], bool]:
    return lambda: states(models).get(version) == State.AVAILABLE
