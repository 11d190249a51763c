"""Golden requests: a model's answers at the end of its training, in TensorFlow Serving's records.

TensorFlow Serving reads the file to warm up a version: `PredictionLog` messages in a TFRecord. Each
also holds the answer, which the gate compares with that of the exported version.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.python.util import deprecation
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from apps.errors import UserError, cause_of

WARM_UP = Path("assets.extra") / "tf_serving_warmup_requests"
MOST_RECORDS = 1000


def request(
    model: str, signature: str, inputs: Mapping[str, np.ndarray]
) -> predict_pb2.PredictRequest:
    """A request as a client of TensorFlow Serving would send it.

    Args:
        model: the model's name.
        signature: the signature's name.
        inputs: arrays by name; texts as object arrays of `bytes` or `str`.
    """
    asked = predict_pb2.PredictRequest()
    asked.model_spec.name = model
    asked.model_spec.signature_name = signature
    for name, value in inputs.items():
        asked.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return asked


def record(
    asked: predict_pb2.PredictRequest, outputs: Mapping[str, np.ndarray]
) -> prediction_log_pb2.PredictionLog:
    """A request together with the answer that it must get.

    Args:
        asked: the request.
        outputs: arrays by name.
    """
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.CopyFrom(asked)
    log.predict_log.response.model_spec.CopyFrom(asked.model_spec)
    for name, value in outputs.items():
        log.predict_log.response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
    return log


def write_records(
    file: str | os.PathLike[str], logs: Iterable[prediction_log_pb2.PredictionLog]
) -> None:
    """Write records beside their place and rename them into it."""
    place = Path(file)
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.{os.getpid()}")
    with tf.io.TFRecordWriter(os.fspath(beside)) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))
    os.replace(beside, place)


def read_records(file: str | os.PathLike[str]) -> Iterator[prediction_log_pb2.PredictionLog]:
    """The records of a file, in order.

    Raises:
        UserError: the file is missing or damaged; the message names the record.
    """
    place, number = Path(file), 0
    if not place.is_file():
        raise UserError(f"{place}: no such file; export the model again")
    try:
        # A tf.data data set starts threads and may end up to a minute after its last record.
        with deprecation.silence():
            records = tf.compat.v1.io.tf_record_iterator(os.fspath(place))
        for raw in records:
            number += 1
            yield prediction_log_pb2.PredictionLog.FromString(raw)
    except (tf.errors.OpError, DecodeError) as error:
        raise UserError(
            f"{place}: record {number} is damaged ({cause_of(error)}); export the model again"
        ) from error
