"""States and signatures of what is served, as TensorFlow Serving's messages."""

from __future__ import annotations

from tensorflow_serving.apis.get_model_metadata_pb2 import (
    GetModelMetadataResponse,
    SignatureDefMap,
)
from tensorflow_serving.apis.get_model_status_pb2 import GetModelStatusResponse, ModelVersionStatus

from apps.serving.models.served import Choice, Models

SIGNATURE_DEF = "signature_def"


def status(models: Models, choice: Choice) -> GetModelStatusResponse:
    """The states of a model's versions, or of the chosen one.

    Raises:
        ServingError: NOT_FOUND for a model or version that the server has never seen.
    """
    response = GetModelStatusResponse()
    for version in models.status(choice):
        entry = response.model_version_status.add(version=version.version)
        entry.state = ModelVersionStatus.State.Value(version.state)
        entry.status.error_code = version.error_code.value[0]
        entry.status.error_message = version.error_message
    return response


def metadata(models: Models, choice: Choice) -> tuple[GetModelMetadataResponse, SignatureDefMap]:
    """The model and version that would answer, and its signatures, still to be packed.

    Raises:
        ServingError: NOT_FOUND where nothing would answer.
    """
    name, version, signatures = models.signatures(choice)
    response = GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = version
    listed = SignatureDefMap()
    for key, signature in signatures.items():
        listed.signature_def[key].CopyFrom(signature)
    return response, listed
