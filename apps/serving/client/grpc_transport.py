"""Calls over gRPC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from apps.serving.client import messages
from apps.serving.client.calls import CallError, Target
from apps.serving.client.metadata import ModelMetadata, Signature
from apps.serving.client.tensors import decode, encode

PORT = 8500
PREDICT = "/tensorflow.serving.PredictionService/Predict"
METADATA = "/tensorflow.serving.PredictionService/GetModelMetadata"
STATUS = "/tensorflow.serving.ModelService/GetModelStatus"

# Answers may be large, and a server that comes back must be found within a second, not minutes.
OPTIONS = (
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),
)
_RETRYABLE = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}


class GrpcTransport:
    """One channel to a server; its methods may be called from several threads.

    Args:
        address: `host:port`.
        secure: TLS, with the root certificates that gRPC comes with or `GRPC_DEFAULT_SSL_ROOTS_…`.
    """

    def __init__(self, address: str, *, secure: bool) -> None:
        if secure:
            credentials = grpc.ssl_channel_credentials()
            self._channel = grpc.secure_channel(address, credentials, OPTIONS)
        else:
            self._channel = grpc.insecure_channel(address, OPTIONS)
        self._calls = {
            method: self._channel.unary_unary(method) for method in (PREDICT, METADATA, STATUS)
        }

    def predict(
        self,
        target: Target,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        timeout_s: float,
    ) -> dict[str, np.ndarray]:
        """The named outputs of one request."""
        answer = self._call(PREDICT, encode_predict(target, name, arrays), timeout_s)
        return _readable(decode_predict, answer)

    def metadata(self, target: Target, timeout_s: float) -> ModelMetadata:
        """What a version takes and gives."""
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        _address(request.model_spec, target)
        answer = self._call(METADATA, request.SerializeToString(), timeout_s)
        found = _readable(messages.GetModelMetadataResponse.FromString, answer)
        packed = found.metadata["signature_def"].value
        return ModelMetadata.from_message(
            target.model,
            found.model_spec.version.value,
            _readable(messages.SignatureDefMap.FromString, packed),
        )

    def status(self, target: Target, timeout_s: float) -> Any:
        """A `GetModelStatusResponse`."""
        request = messages.GetModelStatusRequest()
        _address(request.model_spec, target)
        answer = self._call(STATUS, request.SerializeToString(), timeout_s)
        return _readable(messages.GetModelStatusResponse.FromString, answer)

    def close(self) -> None:
        """Close the channel; calls under way end with an error."""
        self._channel.close()

    def _call(self, method: str, request: bytes, timeout_s: float) -> bytes:
        try:
            return self._calls[method](request, timeout=timeout_s)
        except grpc.RpcError as error:
            raise call_error(error) from None
        except ValueError as error:
            raise CallError("CANCELLED", str(error)) from None


def encode_predict(target: Target, name: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """A serialized `PredictRequest`.

    Args:
        target: whom to ask.
        name: the signature's name.
        arrays: the inputs.
    """
    request = messages.PredictRequest()
    _address(request.model_spec, target)
    request.model_spec.signature_name = name
    for key, array in arrays.items():
        request.inputs[key].CopyFrom(encode(array))
    return request.SerializeToString()


def decode_predict(answer: bytes) -> dict[str, np.ndarray]:
    """The outputs in a serialized `PredictResponse`."""
    response = messages.PredictResponse.FromString(answer)
    return {key: decode(tensor) for key, tensor in response.outputs.items()}


def call_error(error: grpc.RpcError) -> CallError:
    """What a failed gRPC call means for the caller."""
    code, details = error.code().name, error.details() or "no details"
    oversized = "larger than max" in details
    return CallError(code, details, retryable=code in _RETRYABLE and not oversized)


def _address(spec: Any, target: Target) -> None:
    spec.name = target.model
    if target.version is not None:
        spec.version.value = target.version
    if target.label is not None:
        spec.version_label = target.label


def _readable(read: Callable[[bytes], Any], raw: bytes) -> Any:
    try:
        return read(raw)
    except (DecodeError, ValueError) as error:
        raise CallError("INTERNAL", f"the answer cannot be read: {error}") from None
