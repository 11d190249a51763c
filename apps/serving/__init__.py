"""Serving: a local server that speaks TensorFlow Serving's protocol, and a client of both.

    from apps.serving import Client

    with Client("grpc://127.0.0.1:8500") as client:
        client.predict(["not bad at all"], model="sentiment")

The client imports neither TensorFlow nor Keras.
"""

from apps.serving.client import CallError, Client

__all__ = ["CallError", "Client"]
