"""gRPC: TensorFlow Serving's PredictionService and ModelService."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import SimpleNamespace
from typing import TypeAlias

import grpc
import numpy as np
from google.protobuf.message import DecodeError, Message
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_management_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
    regression_pb2,
)

from apps.serving.errors import Code, ServingError, invalid, unimplemented
from apps.serving.examples import CLASSIFY, REGRESS, classify, regress
from apps.serving.metrics import Metrics
from apps.serving.model_info import SIGNATURE_DEF, metadata, status
from apps.serving.models.servable import DEFAULT_SIGNATURE
from apps.serving.models.served import Answer, Choice, Models
from apps.serving.rpc.tensor_protos import from_proto, to_proto

MESSAGE = 1024  # characters of an error message
LARGE = 1 << 20  # bytes of a request that is decoded beside the event loop
MOST_REPEATED = 16 << 20  # bytes of a tensor that a single value may stand for
WIDEST = 8  # bytes of a tensor for one byte of a message: small numbers are sent packed

Context: TypeAlias = grpc.aio.ServicerContext

_log = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict, Classify, Regress, MultiInference and GetModelMetadata of what is served.

    Args:
        models: what is served.
        metrics: counts the requests.
        most_bytes: the largest request.
    """

    def __init__(self, models: Models, metrics: Metrics, most_bytes: int) -> None:
        self._models = models
        self._metrics = metrics
        self._most_bytes = WIDEST * most_bytes

    async def Predict(  # noqa: N802, the name is the protocol's
        self, request: predict_pb2.PredictRequest, context: Context
    ) -> predict_pb2.PredictResponse:
        spec = request.model_spec
        async with self._counted("Predict", spec, context):
            _require_spec(request)
            inputs = await self._arrays(request)
            answer = await self._models.predict(
                choice_of(spec),
                spec.signature_name or DEFAULT_SIGNATURE,
                inputs,
                list(request.output_filter),
                context.time_remaining(),
            )
            response = predict_pb2.PredictResponse(model_spec=_spec_of(answer))
            for name, array in answer.outputs.items():
                response.outputs[name].CopyFrom(to_proto(array))
        return response

    async def _arrays(self, request: predict_pb2.PredictRequest) -> dict[str, np.ndarray]:
        size = request.ByteSize()
        # One value may stand for a whole tensor; a few bytes must not cost gigabytes.
        most = min(self._most_bytes, max(MOST_REPEATED, WIDEST * size))

        def arrays() -> dict[str, np.ndarray]:
            return {name: from_proto(name, proto, most) for name, proto in request.inputs.items()}

        return await asyncio.to_thread(arrays) if size > LARGE else arrays()

    async def Classify(  # noqa: N802
        self, request: classification_pb2.ClassificationRequest, context: Context
    ) -> classification_pb2.ClassificationResponse:
        spec = request.model_spec
        async with self._counted("Classify", spec, context):
            _require_spec(request)
            answer, result = await classify(*self._asked(spec, request.input, context))
        return classification_pb2.ClassificationResponse(result=result, model_spec=_spec_of(answer))

    async def Regress(  # noqa: N802
        self, request: regression_pb2.RegressionRequest, context: Context
    ) -> regression_pb2.RegressionResponse:
        spec = request.model_spec
        async with self._counted("Regress", spec, context):
            _require_spec(request)
            answer, result = await regress(*self._asked(spec, request.input, context))
        return regression_pb2.RegressionResponse(result=result, model_spec=_spec_of(answer))

    async def MultiInference(  # noqa: N802
        self, request: inference_pb2.MultiInferenceRequest, context: Context
    ) -> inference_pb2.MultiInferenceResponse:
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        async with self._counted("MultiInference", spec, context):
            response = inference_pb2.MultiInferenceResponse()
            if not request.tasks:
                raise invalid("Inference request must have at least one task.")
            for task in request.tasks:
                response.results.append(await self._infer(task, request, context))
        return response

    async def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: Context
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        async with _answering(context):
            _require_spec(request)
            if not request.metadata_field:
                raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
            for field in request.metadata_field:
                if field != SIGNATURE_DEF:
                    raise invalid(f"Metadata field {field} is not supported")
            response, signatures = metadata(self._models, choice_of(request.model_spec))
            response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    async def _infer(
        self,
        task: inference_pb2.InferenceTask,
        request: inference_pb2.MultiInferenceRequest,
        context: Context,
    ) -> inference_pb2.InferenceResult:
        spec = task.model_spec
        if spec.name != request.tasks[0].model_spec.name or not spec.name:
            raise invalid(
                "All ModelSpecs in a MultiInferenceRequest must access the same model name."
            )
        asked = self._asked(spec, request.input, context)
        if task.method_name == CLASSIFY:
            answer, classes = await classify(*asked)
            return inference_pb2.InferenceResult(
                model_spec=_spec_of(answer), classification_result=classes
            )
        if task.method_name == REGRESS:
            answer, values = await regress(*asked)
            return inference_pb2.InferenceResult(
                model_spec=_spec_of(answer), regression_result=values
            )
        raise unimplemented(f"Unsupported signature method_name: {task.method_name}")

    def _asked(
        self, spec: model_pb2.ModelSpec, examples: input_pb2.Input, context: Context
    ) -> tuple[Models, Choice, str, input_pb2.Input, float | None]:
        """The arguments of `classify` and `regress`."""
        signature = spec.signature_name or DEFAULT_SIGNATURE
        return self._models, choice_of(spec), signature, examples, context.time_remaining()

    def _counted(
        self, api: str, spec: model_pb2.ModelSpec, context: Context
    ) -> AbstractAsyncContextManager[None]:
        start = time.perf_counter()

        def count(code: grpc.StatusCode) -> None:
            self._metrics.answered(spec.name, api, "GRPC", code, time.perf_counter() - start)

        return _answering(context, count)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """The states of versions."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: Context
    ) -> get_model_status_pb2.GetModelStatusResponse:
        async with _answering(context):
            _require_spec(request)
            return status(self._models, choice_of(request.model_spec))

    async def HandleReloadConfigRequest(  # noqa: N802
        self, request: model_management_pb2.ReloadConfigRequest, context: Context
    ) -> model_management_pb2.ReloadConfigResponse:
        async with _answering(context):
            raise unimplemented(
                "the configuration is read from models.config in the served folder; "
                "edit that file, and the server follows it"
            )


def add_services(
    server: grpc.aio.Server, models: Models, metrics: Metrics, most_bytes: int
) -> Callable[[], None]:
    """Offer both services on a server.

    Args:
        server: not yet started.
        models: what is served.
        metrics: counts the requests.
        most_bytes: the largest request.

    Returns:
        A function after which new requests are answered with UNAVAILABLE, which clients try again
        elsewhere; gRPC itself cancels some of those that arrive while a server stops.
    """
    handlers: list[grpc.GenericRpcHandler] = []
    collector = SimpleNamespace(add_generic_rpc_handlers=handlers.extend)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
        PredictionService(models, metrics, most_bytes), collector
    )
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(models), collector)
    tolerant = tuple(map(_Tolerant, handlers))
    server.add_generic_rpc_handlers(tolerant)

    def refuse() -> None:
        for handler in tolerant:
            handler.stopping = True

    return refuse


class _Tolerant(grpc.GenericRpcHandler):
    """Answers bytes that are no message as the C++ server does, and leaves the log quiet."""

    def __init__(self, handlers: grpc.GenericRpcHandler) -> None:
        self.stopping = False
        self._handlers = handlers
        self._tolerant: dict[str, grpc.RpcMethodHandler] = {}

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler | None:
        if self.stopping:
            return grpc.unary_unary_rpc_method_handler(_refuse)
        method = handler_call_details.method
        if method not in self._tolerant:
            handler = self._handlers.service(handler_call_details)
            if handler is None:
                return None
            self._tolerant[method] = _tolerant(handler)
        return self._tolerant[method]


async def _refuse(request: bytes, context: Context) -> None:
    await context.abort(Code.UNAVAILABLE, "The server is stopping")


def _tolerant(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    def decode(raw: bytes) -> Message | None:
        try:
            return handler.request_deserializer(raw)
        except DecodeError:
            return None

    async def answer(request: Message | None, context: Context) -> Message:
        if request is None:
            await context.abort(Code.INTERNAL, "Error parsing the request: not such a message")
        return await handler.unary_unary(request, context)

    return grpc.unary_unary_rpc_method_handler(answer, decode, handler.response_serializer)


def choice_of(spec: model_pb2.ModelSpec) -> Choice:
    """The model, and the version or label where the message names one."""
    version = spec.version.value if spec.HasField("version") else None
    return Choice(spec.name, version=version, label=spec.version_label or None)


def _spec_of(answer: Answer) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=answer.name, signature_name=answer.signature)
    spec.version.value = answer.version
    return spec


def _require_spec(request: predict_pb2.PredictRequest) -> None:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")


@asynccontextmanager
async def _answering(
    context: Context, finished: Callable[[grpc.StatusCode], None] = lambda code: None
) -> AsyncIterator[None]:
    """Errors as status and message; nothing of the server's insides reaches a client."""
    code, message = Code.CANCELLED, ""
    try:
        yield
        code = Code.OK
    except ServingError as error:
        code, message = error.code, error.message
    except Exception:
        _log.exception("a gRPC request failed")
        code, message = Code.INTERNAL, "Internal error; the server's log has the reason"
    finally:
        finished(code)
    if code is not Code.OK:
        # gRPC sends the message as a header, and clients refuse headers of more than 8 KiB.
        long = len(message) > MESSAGE
        await context.abort(code, message[:MESSAGE] + "...TRUNCATED" if long else message)
