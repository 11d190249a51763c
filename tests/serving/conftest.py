"""Toy models of the serving tests, saved once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import protocol_toys
import pytest
import toy_models

Publish = Callable[..., Path]


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Callable[[float], Path]:
    """A function that gives the SavedModel of the toy with a factor."""
    folder = tmp_path_factory.mktemp("toys")

    def toy(factor: float = 1.0) -> Path:
        place = folder / f"{factor:g}"
        return place if place.exists() else toy_models.save(place, factor)

    return toy


@pytest.fixture(scope="session")
def publish(toys: Callable[[float], Path]) -> Publish:
    """A function that puts a toy in a version's place: `publish(base / "3", factor=3)`."""

    def put(version: Path, factor: float = 1.0) -> Path:
        version.parent.mkdir(parents=True, exist_ok=True)
        return toy_models.publish(toys(factor), version)

    return put


@pytest.fixture(scope="session")
def protocols(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SavedModel that the protocol tests talk to."""
    return protocol_toys.save(tmp_path_factory.mktemp("protocols") / "1")


@pytest.fixture
def base(tmp_path: Path, publish: Publish) -> Path:
    """The toy's folder with version 1, whose factor is 1."""
    return publish(tmp_path / "models" / "toy" / "1", factor=1).parent
