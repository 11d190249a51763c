"""TensorFlow Serving's messages that a client sends and reads.

They are declared here, because the generated ones of `tensorflow-serving-api` import TensorFlow,
which takes seconds and hundreds of megabytes. A test compares every field with the generated ones.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "tensorflow.client"
_FIELD = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "bool": _FIELD.TYPE_BOOL,
    "bytes": _FIELD.TYPE_BYTES,
    "double": _FIELD.TYPE_DOUBLE,
    "float": _FIELD.TYPE_FLOAT,
    "int32": _FIELD.TYPE_INT32,
    "int64": _FIELD.TYPE_INT64,
    "string": _FIELD.TYPE_STRING,
    "uint32": _FIELD.TYPE_UINT32,
    "uint64": _FIELD.TYPE_UINT64,
}

ENUMS = {
    "DataType": {
        "DT_INVALID": 0,
        "DT_FLOAT": 1,
        "DT_DOUBLE": 2,
        "DT_INT32": 3,
        "DT_UINT8": 4,
        "DT_INT16": 5,
        "DT_INT8": 6,
        "DT_STRING": 7,
        "DT_INT64": 9,
        "DT_BOOL": 10,
        "DT_UINT16": 17,
        "DT_HALF": 19,
        "DT_UINT32": 22,
        "DT_UINT64": 23,
    },
    "State": {
        "UNKNOWN": 0,
        "START": 10,
        "LOADING": 20,
        "AVAILABLE": 30,
        "UNLOADING": 40,
        "END": 50,
    },
    "Code": {
        "OK": 0,
        "CANCELLED": 1,
        "UNKNOWN": 2,
        "INVALID_ARGUMENT": 3,
        "DEADLINE_EXCEEDED": 4,
        "NOT_FOUND": 5,
        "ALREADY_EXISTS": 6,
        "PERMISSION_DENIED": 7,
        "RESOURCE_EXHAUSTED": 8,
        "FAILED_PRECONDITION": 9,
        "ABORTED": 10,
        "OUT_OF_RANGE": 11,
        "UNIMPLEMENTED": 12,
        "INTERNAL": 13,
        "UNAVAILABLE": 14,
        "DATA_LOSS": 15,
        "UNAUTHENTICATED": 16,
    },
}

MESSAGES = {
    "Any": {1: "string type_url", 2: "bytes value"},
    "Int64Value": {1: "int64 value"},
    "Dim": {1: "int64 size"},
    "TensorShapeProto": {2: "repeated Dim dim", 3: "bool unknown_rank"},
    "TensorProto": {
        1: "DataType dtype",
        2: "TensorShapeProto tensor_shape",
        4: "bytes tensor_content",
        5: "repeated float float_val",
        6: "repeated double double_val",
        7: "repeated int32 int_val",
        8: "repeated bytes string_val",
        10: "repeated int64 int64_val",
        11: "repeated bool bool_val",
        13: "repeated int32 half_val",
        16: "repeated uint32 uint32_val",
        17: "repeated uint64 uint64_val",
    },
    "TensorInfo": {1: "string name", 2: "DataType dtype", 3: "TensorShapeProto tensor_shape"},
    "SignatureDef": {1: "map TensorInfo inputs", 2: "map TensorInfo outputs"},
    "SignatureDefMap": {1: "map SignatureDef signature_def"},
    "ModelSpec": {
        1: "string name",
        2: "Int64Value version",
        3: "string signature_name",
        4: "string version_label",
    },
    "PredictRequest": {1: "ModelSpec model_spec", 2: "map TensorProto inputs"},
    "PredictResponse": {1: "map TensorProto outputs", 2: "ModelSpec model_spec"},
    "GetModelMetadataRequest": {1: "ModelSpec model_spec", 2: "repeated string metadata_field"},
    "GetModelMetadataResponse": {1: "ModelSpec model_spec", 2: "map Any metadata"},
    "GetModelStatusRequest": {1: "ModelSpec model_spec"},
    "StatusProto": {1: "Code error_code", 2: "string error_message"},
    "ModelVersionStatus": {1: "int64 version", 2: "State state", 3: "StatusProto status"},
    "GetModelStatusResponse": {1: "repeated ModelVersionStatus model_version_status"},
}


def _declare() -> dict[str, Any]:
    """The message classes by name, from a descriptor pool of their own."""
    file = descriptor_pb2.FileDescriptorProto(
        name="apps/serving/client.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, values in ENUMS.items():
        # Enum values are siblings of their type, so that equal names need a message around them.
        enum = file.message_type.add(name=f"{name}Enum").enum_type.add(name=name)
        for value, number in values.items():
            enum.value.add(name=value, number=number)
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, declaration in fields.items():
            _add_field(message, number, declaration)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in MESSAGES
    }


def _add_field(message: Any, number: int, declaration: str) -> None:
    *rule, kind, name = declaration.split()
    field = message.field.add(name=name, number=number, label=_FIELD.LABEL_OPTIONAL)
    if rule:
        field.label = _FIELD.LABEL_REPEATED
    if rule == ["map"]:
        entry = message.nested_type.add(name=f"{name.title().replace('_', '')}Entry")
        entry.options.map_entry = True
        _add_field(entry, 1, "string key")
        _add_field(entry, 2, f"{kind} value")
        field.type = _FIELD.TYPE_MESSAGE
        field.type_name = f".{_PACKAGE}.{message.name}.{entry.name}"
    elif kind in _SCALARS:
        field.type = _SCALARS[kind]
    elif kind in ENUMS:
        field.type, field.type_name = _FIELD.TYPE_ENUM, f".{_PACKAGE}.{kind}Enum.{kind}"
    else:
        field.type, field.type_name = _FIELD.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"


_CLASSES = _declare()
TensorProto: Any = _CLASSES["TensorProto"]
SignatureDefMap: Any = _CLASSES["SignatureDefMap"]
PredictRequest: Any = _CLASSES["PredictRequest"]
PredictResponse: Any = _CLASSES["PredictResponse"]
GetModelMetadataRequest: Any = _CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse: Any = _CLASSES["GetModelMetadataResponse"]
GetModelStatusRequest: Any = _CLASSES["GetModelStatusRequest"]
GetModelStatusResponse: Any = _CLASSES["GetModelStatusResponse"]
