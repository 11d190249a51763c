"""A client of TensorFlow Serving and of the local server, over gRPC or REST."""

from apps.serving.client.calls import CallError, Target
from apps.serving.client.client import Client, VersionStatus
from apps.serving.client.metadata import ModelMetadata, Signature, TensorSpec
from apps.serving.client.session import StreamingSession

__all__ = [
    "CallError",
    "Client",
    "ModelMetadata",
    "Signature",
    "StreamingSession",
    "Target",
    "TensorSpec",
    "VersionStatus",
]
