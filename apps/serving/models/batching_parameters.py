"""How a model's requests are batched, read from the file that TensorFlow Serving reads."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as wrappers

from apps.errors import UserError

BATCHING_FILE = "batching_params.pbtxt"
_FIELDS = {
    "max_batch_size": (1, "Int64Value"),
    "batch_timeout_micros": (2, "Int64Value"),
    "max_enqueued_batches": (3, "Int64Value"),
    "num_batch_threads": (4, "Int64Value"),
    "thread_pool_name": (5, "StringValue"),
    "allowed_batch_sizes": (6, None),
    "pad_variable_length_inputs": (7, None),
    "enable_large_batch_splitting": (8, "BoolValue"),
    "max_execution_batch_size": (9, "Int64Value"),
}


@dataclass(frozen=True)
class BatchingParameters:
    """TensorFlow Serving's `BatchingParameters`, with its defaults.

    Attributes:
        max_batch_size: the most rows of a batch, and of a request.
        batch_timeout_micros: how long the first request of a batch waits for more while a thread
            is idle, in microseconds.
        max_enqueued_batches: how many batches may wait before requests are refused.
        num_batch_threads: how many batches are computed at once.
        allowed_batch_sizes: sizes that batches are padded to, rising to the largest batch; empty
            for any size.
        pad_variable_length_inputs: whether requests of different shapes share a batch, padded with
            their own first element.
        enable_large_batch_splitting: whether a request may be split over several batches.
        max_execution_batch_size: the most rows of a batch where requests are split.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0

    @classmethod
    def read(cls, file: str | os.PathLike[str]) -> BatchingParameters:
        """Read a text proto `BatchingParameters`, as `--batching_parameters_file` names it.

        Raises:
            UserError: naming the file, and the line or the field at fault.
        """
        message = _message()()
        try:
            text_format.Parse(Path(file).read_text(encoding="utf-8"), message)
        except text_format.ParseError as error:
            raise UserError(f"{file}: line {error.GetLine()}: {error}; mend or remove it") from None
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{file}: cannot be read ({error}); mend or remove it") from None
        given: dict[str, Any] = {
            name: getattr(message, name).value
            for name, (_, wrapper) in _FIELDS.items()
            if wrapper and name != "thread_pool_name" and message.HasField(name)
        }
        parameters = cls(
            **given,
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
        wrong = parameters._wrong()
        if wrong:
            raise UserError(f"{file}: {wrong}; mend or remove it")
        return parameters

    @property
    def batch_limit(self) -> int:
        """The most rows of a batch."""
        if self.enable_large_batch_splitting:
            return self.max_execution_batch_size or self.max_batch_size
        return self.max_batch_size

    def padded(self, rows: int) -> int:
        """The size to which a batch of so many rows is padded."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    def _wrong(self) -> str | None:
        for name in ("max_batch_size", "num_batch_threads", "max_enqueued_batches"):
            if getattr(self, name) < 1:
                return f"{name} must be positive; was {getattr(self, name)}"
        if self.batch_timeout_micros < 0:
            return f"batch_timeout_micros must be non-negative; was {self.batch_timeout_micros}"
        if not 0 <= self.max_execution_batch_size <= self.max_batch_size:
            return "max_execution_batch_size must lie between 1 and max_batch_size"
        sizes = self.allowed_batch_sizes
        if sizes and (sizes[0] < 1 or sorted(set(sizes)) != list(sizes)):
            return "allowed_batch_sizes entries must be positive and rise"
        if sizes and sizes[-1] != self.batch_limit:
            return (
                "Last entry in allowed_batch_sizes must match max_batch_size; "
                f"last entry was {sizes[-1]}; expected {self.batch_limit}"
            )
        return None


def _message() -> type[Any]:
    """The message class; its .proto file is not part of tensorflow-serving-api."""
    field_type = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="batching_parameters.proto",
        package="tensorflow.serving",
        syntax="proto3",
        dependency=[wrappers.DESCRIPTOR.name],
    )
    message = file.message_type.add(name="BatchingParameters")
    for name, (number, wrapper) in _FIELDS.items():
        field = message.field.add(name=name, number=number, label=field_type.LABEL_OPTIONAL)
        if wrapper:
            field.type = field_type.TYPE_MESSAGE
            field.type_name = f".google.protobuf.{wrapper}"
        elif name == "allowed_batch_sizes":
            field.type, field.label = field_type.TYPE_INT64, field_type.LABEL_REPEATED
        else:
            field.type = field_type.TYPE_BOOL
    # A pool of its own: a package that brings the real file may live in the same process.
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    name = f"{file.package}.{message.name}"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
