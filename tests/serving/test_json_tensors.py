"""JSON requests and answers, as TensorFlow Serving reads and writes them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.meta_graph_pb2 import TensorInfo
from tensorflow_serving.apis.classification_pb2 import Class, ClassificationResult, Classifications

from apps.serving.errors import Code, ServingError
from apps.serving.rest.json_examples import read_examples, write_classifications
from apps.serving.rest.json_tensors import read_inputs, write_outputs
from apps.serving.rest.json_values import parse, signature_name


def read(body: str | bytes, **dtypes: tf.DType) -> tuple[dict[str, np.ndarray], str]:
    infos = {name: TensorInfo(dtype=dtype.as_datatype_enum) for name, dtype in dtypes.items()}
    return read_inputs(parse(body.encode() if isinstance(body, str) else body), infos)


def refusal(body: str | bytes, **dtypes: tf.DType) -> str:
    with pytest.raises(ServingError) as caught:
        read(body, **dtypes)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.message


def written(form: Any, **outputs: Any) -> Any:
    return json.loads(write_outputs({k: np.asarray(v) for k, v in outputs.items()}, form))


@pytest.mark.parametrize(
    ("body", "dtype", "values"),
    [
        ('{"instances": ["a", "ü", ""]}', tf.string, [b"a", "ü".encode(), b""]),
        ('{"instances": [{"b64": "/w=="}, "a"]}', tf.string, [b"\xff", b"a"]),
        ('{"instances": [{"b64": "_w"}]}', tf.string, None),
        ('{"instances": [{"b64": " Y W\\n E"}]}', tf.string, [b"aa"]),
        ('{"instances": [{"x": 1}, {"x": 2}]}', tf.int32, [1, 2]),
        ('{"instances": [[[1], [2]]]}', tf.int64, [[[1], [2]]]),
        ('{"instances": [true, false]}', tf.bool, [True, False]),
        ('{"instances": [1, 2.5, -0.0, 1e-3]}', tf.float64, [1.0, 2.5, -0.0, 1e-3]),
        ('{"instances": [NaN, Infinity, -Infinity]}', tf.float32, [np.nan, np.inf, -np.inf]),
        ('{"inputs": 3}', tf.uint8, 3),
        ('{"inputs": {"x": [[]]}}', tf.float32, np.empty((1, 0))),
        ('{"inputs": []}', tf.string, []),
        ('{"inputs": {"b64": "YQ=="}}', tf.string, b"a"),
        ('{"inputs": [18446744073709551615]}', tf.uint64, [2**64 - 1]),
        ('{"inputs": [-9223372036854775808]}', tf.int64, [-(2**63)]),
        ("\ufeff" + '{"inputs": [1]}', tf.int8, [1]),
    ],
)
def test_a_value_becomes_the_tensor_it_says(body: str, dtype: tf.DType, values: Any) -> None:
    if values is None:
        assert "Unable to base64 decode" in refusal(body, x=dtype)
        return
    arrays, form = read(body, x=dtype)
    assert form == ("row" if "instances" in body else "column")
    assert arrays["x"].dtype == dtype.as_numpy_dtype
    expected = np.array(values, dtype=dtype.as_numpy_dtype)
    np.testing.assert_array_equal(arrays["x"], expected)
    assert arrays["x"].shape == expected.shape


@pytest.mark.parametrize("form", ["row", "column"])
def test_several_inputs(form: str) -> None:
    rows: list[dict[str, Any]] = [
        {"ids": [1, 2], "name": "a"},
        {"name": {"b64": "/w=="}, "ids": [3, 4]},
    ]
    columns = {name: [row[name] for row in rows] for name in ("ids", "name")}
    body = {"instances": rows} if form == "row" else {"inputs": columns}
    arrays, found = read(json.dumps(body), ids=tf.int32, name=tf.string)
    assert found == form
    assert arrays["ids"].tolist() == [[1, 2], [3, 4]]
    assert arrays["name"].tolist() == [b"a", b"\xff"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "JSON Parse error: The document is empty"),
        ("{", "JSON Parse error: "),
        ('{"instances": [1,]}', "at offset: 17"),
        ('{"ü": [1,]}', "at offset: 10"),
        ("[1]", "Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "expecting only one of 'inputs' or 'instances'"),
        ('{"instances": 1}', "Excepting 'instances' to be an list/array"),
        ('{"instances": []}', "No values in 'instances' array"),
        ('{"instances": [1], "instances": [2]}', 'key "instances" is given twice'),
        (b'{"instances": ["\xff"]}', "Invalid UTF-8 at offset: 16"),
        ('{"instances": ["a"]}', 'JSON Value: "a" Type: String is not of expected type: int32'),
        ('{"instances": [1.0]}', "Type: Number is not of expected type: int32"),
        ('{"instances": [1, true]}', "Type: True is not of expected type: int32"),
        ('{"instances": [1, null]}', "Failed to process element: 1 of 'instances' list"),
        ('{"instances": [2147483648]}', "2147483648 Type: Number is not of expected type: int32"),
        ('{"instances": [' + "9" * 50 + "]}", "is not of expected type: int32"),
        ('{"instances": [' + "9" * 5000 + "]}", "Number too big"),
        ('{"instances": [[1, 2], [3]]}', "element: 1 of 'instances' list. Error: INVALID_ARGUMENT"),
        ('{"instances": [[1, 2], [3]]}', "Expecting tensor size: 2 but got: 1"),
        ('{"instances": [[[1], [2]], [[3, 4]]]}', "Expecting shape [2,1] but got: [1,2]"),
        ('{"instances": [[1, [2]]]}', "Encountered list at unexpected level"),
        ('{"instances": [[[1], 2]]}', "found at incorrect level"),
        ('{"inputs": [[1, 2], [3]]}', "Encountered list at unexpected size: 1 at level: 1"),
        ('{"instances": [{"y": 1}]}', "keys must be equal to: x"),
        ('{"instances": [{"x": 1, "y": 1}]}', "keys must be equal to: x"),
        ('{"instances": [{"x": 1}, 2]}', "Expecting object but got list at item 1"),
        ('{"instances": [2, {"x": 1}]}', "Expecting value/list but got object at item 1"),
        ('{"inputs": {"y": 1}}', "Missing named input: x in 'inputs' object."),
        ('{"inputs": {"x": 1, "y": 1}}', 'Sent extra: {"y"}'),
        ('{"instances": ["' + "a" * 10_000 + '"]}', "aaa…"),
        ('{"instances": ' + "[" * 200_000, "Nested too deeply"),
        ('{"instances": ' + "[" * 500 + "1" + "]" * 500 + "}", "nested deeper than 64"),
        ('{"instances": [' + '{"x": ' * 500 + "1" + "}" * 500 + "]}", "is not of expected type"),
    ],
)
def test_what_is_no_tensor_is_refused(body: str | bytes, said: str) -> None:
    message = refusal(body, x=tf.int32)
    assert said in message
    assert len(message) < 1000


@pytest.mark.parametrize(
    ("body", "dtype", "said"),
    [
        ("1e39", tf.float32, "Cannot convert JSON value: 1e+39 to float without loss"),
        ("16777216", tf.float32, "Cannot convert JSON value: 16777216 to float"),
        ("9007199254740992", tf.float64, "to double without loss of precision"),
        ("1e400", tf.float64, "Number too big to be stored in double"),
        ("256", tf.uint8, "expected type: uint8"),
        ("-1", tf.uint64, "expected type: uint64"),
        ("false", tf.float32, "Type: False is not of expected type: float"),
        ("1", tf.bool, "Type: Number is not of expected type: bool"),
        ('"\\ud800"', tf.string, "The surrogate pair in string is invalid"),
        ('{"b64": 1}', tf.string, "not formatted correctly for base64 data"),
        ('{"b64": "YQ=="}', tf.int32, "Type: Object is not of expected type: int32"),
    ],
)
def test_a_value_that_its_type_cannot_hold(body: str, dtype: tf.DType, said: str) -> None:
    assert said in refusal('{"inputs": {"x": [' + body + "]}}", x=dtype)


def test_a_type_that_json_cannot_carry() -> None:
    with pytest.raises(ServingError) as caught:
        read('{"inputs": [1.0]}', x=tf.half)
    assert caught.value.code is Code.UNIMPLEMENTED


def test_several_inputs_need_names() -> None:
    for body in ('{"instances": [1]}', '{"inputs": [1]}', '{"inputs": {"b64": "YQ=="}}'):
        assert "multiple input tensors required" in refusal(body, x=tf.int32, y=tf.int32)
    incomplete = '{"instances": [{"x": 1, "y": 2}, {"x": 1}]}'
    assert "element: 1 of" in refusal(incomplete, x=tf.int32, y=tf.int32)
    ragged = '{"instances": [{"x": [1], "y": 2}, {"x": [], "y": 2}]}'
    assert "element: 1 key: x of" in refusal(ragged, x=tf.int32, y=tf.int32)


def test_the_signature_is_the_default_unless_named() -> None:
    assert signature_name({}) == "serving_default"
    assert signature_name({"signature_name": "step"}) == "step"
    with pytest.raises(ServingError, match="must be a string value"):
        signature_name({"signature_name": 1})


def test_rows_of_one_output_are_bare_and_of_several_are_objects() -> None:
    one = np.array([[1, 2], [3, 4]])
    assert written("row", y=one) == {"predictions": [[1, 2], [3, 4]]}
    assert written("row", y=one, z=np.array([True, False])) == {
        "predictions": [{"y": [1, 2], "z": True}, {"y": [3, 4], "z": False}]
    }
    assert written("column", y=one) == {"outputs": [[1, 2], [3, 4]]}
    assert written("column", y=one, z=np.float32(0.5)) == {
        "outputs": {"y": [[1, 2], [3, 4]], "z": 0.5}
    }
    assert written("row", y=np.zeros((2, 0, 3))) == {"predictions": [[], []]}
    assert written("row", y=np.zeros((0, 3))) == {"predictions": []}


def test_outputs_without_a_common_batch_have_no_rows() -> None:
    with pytest.raises(ServingError, match="Tensor name: y has no shape information"):
        written("row", y=np.float32(1))
    with pytest.raises(ServingError, match="z has inconsistent batch size: 3 expecting: 2"):
        written("row", y=np.zeros(2), z=np.zeros(3))


def test_floats_are_written_short_and_exact() -> None:
    values = np.array([0.2, 1 / 3, 1e-30, 3e38, 16777216, -0.0], dtype=np.float32)
    body = write_outputs({"y": values}, "column")
    assert b"0.2," in body
    assert np.array(json.loads(body)["outputs"], dtype=np.float32).tobytes() == values.tobytes()
    random = np.random.default_rng(0).standard_normal(1000)
    assert written("column", y=random)["outputs"] == random.tolist()
    special = write_outputs({"y": np.array([np.nan, np.inf, -np.inf])}, "row")
    assert special == b'{"predictions": [NaN, Infinity, -Infinity]}'
    assert written("row", y=np.array([0.5], dtype=np.float16)) == {"predictions": [0.5]}


def test_strings_are_text_where_they_can_be_and_base64_where_not() -> None:
    values = np.array([b"a", '"ü"\n'.encode(), b"\xff"], dtype=object)
    assert written("row", y=values) == {"predictions": ["a", '"ü"\n', {"b64": "/w=="}]}
    assert written("row", y_bytes=values[:1]) == {"predictions": [{"b64": "YQ=="}]}
    with pytest.raises(ServingError, match="Failed to write JSON value for tensor type: complex64"):
        written("row", y=np.zeros(1, dtype=np.complex64))


def test_large_arrays_come_back_equal() -> None:
    values = np.random.default_rng(1).standard_normal((500, 200)).astype(np.float32)
    body = write_outputs({"y": values}, "row").replace(b"predictions", b"instances")
    arrays, _ = read(body, x=tf.float32)
    np.testing.assert_array_equal(arrays["x"], values)


def test_features_of_examples() -> None:
    document = parse(
        b'{"context": {"c": "shared"}, "examples": [{"i": [1, true], "f": 0.5, "s": ["a",'
        b' {"b64": "/w=="}]}, {}]}'
    )
    found = read_examples(document).example_list_with_context
    assert found.context.features.feature["c"].bytes_list.value == [b"shared"]
    features = found.examples[0].features.feature
    assert features["i"].int64_list.value == [1, 1]
    assert features["f"].float_list.value == [0.5]
    assert features["s"].bytes_list.value == [b"a", b"\xff"]
    assert len(found.examples) == 2
    assert len(read_examples({"examples": [{}]}).example_list.examples) == 1


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "key 'examples' is expected"),
        ({"examples": {}}, "to be an list/array"),
        ({"examples": []}, "empty array"),
        ({"examples": [1]}, "must be JSON object but got JSON Number"),
        ({"examples": [{"x": None}]}, "unexpected JSON type: Null"),
        ({"examples": [{"x": [[1]]}]}, "unexpected JSON type: Array"),
        ({"examples": [{"x": {"y": 1}}]}, "unexpected JSON type: Object"),
        ({"examples": [{"x": [1, 0.5]}]}, "expecting type: int64"),
        ({"examples": [{"x": ["a", 1]}]}, "expecting type: bytes"),
        ({"examples": [{"x": 2**63}]}, "Only int64 is supported"),
        ({"examples": [{"x": 1e39}]}, "without loss of precision"),
        ({"examples": [{"\ud800": 1}]}, "surrogate"),
    ],
)
def test_what_is_no_feature_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(ServingError) as caught:
        read_examples(document)
    assert said in caught.value.message


def test_classifications_are_pairs_of_label_and_score() -> None:
    row = Classifications(classes=[Class(label="ü", score=0.2), Class(label="", score=-1)])
    body = write_classifications(ClassificationResult(classifications=[row]))
    assert body == '{"results": [[["ü", 0.2], ["", -1.0]]]}'.encode()
