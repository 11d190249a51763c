"""Serving: a local server that speaks TensorFlow Serving's protocol, and a client of both.

    from apps.serving import Client

    with Client("grpc://127.0.0.1:8500") as client:
        client.predict(["not bad at all"], model="sentiment")

The client imports neither TensorFlow nor Keras.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apps.serving.client import CallError, Client

__all__ = ["CallError", "Client"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from apps.serving import client

    return getattr(client, name)
