"""A client that has only gRPC and TensorFlow Serving's messages: prints what it was answered."""

import json
import sys
import urllib.request

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

grpc_port, rest_port = sys.argv[1:]
request = predict_pb2.PredictRequest()
request.model_spec.name = "toy"
text = request.inputs["text"]
text.dtype = 7  # DT_STRING
text.tensor_shape.dim.add(size=2)
text.string_val.extend([b"not bad", b"\xff"])
with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    answer = stub.Predict(request, timeout=20)
body = json.dumps({"instances": ["not bad", {"b64": "/w=="}]}).encode()
url = f"http://127.0.0.1:{rest_port}/v1/models/toy:predict"
with urllib.request.urlopen(url, body, timeout=20) as response:
    rows = json.load(response)["predictions"]
print(
    json.dumps(
        {
            "grpc": list(answer.outputs["length"].int_val),
            "rest": [row["length"] for row in rows],
            "version": answer.model_spec.version.value,
            "package": "apps" in sys.modules,
        }
    )
)
