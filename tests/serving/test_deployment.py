"""The deployment files: syntax, schemas, flags and paths. No container is started here."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from client_servers import ScriptedModel, http_server
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from apps.__main__ import _parser
from benchmarks.load_test import command_line

FOLDER = Path(__file__).parents[2] / "apps" / "serving" / "deployment"
# From `flag_list` in TensorFlow Serving's model_servers/main.cc.
FLAGS = {
    "port",
    "rest_api_port",
    "rest_api_timeout_in_ms",
    "enable_batching",
    "allow_version_labels_for_unavailable_models",
    "batching_parameters_file",
    "enable_per_model_batching_parameters",
    "model_config_file",
    "model_config_file_poll_wait_seconds",
    "model_name",
    "model_base_path",
    "file_system_poll_wait_seconds",
    "monitoring_config_file",
}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load((FOLDER / "docker-compose.yaml").read_text())


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))


def named(manifests: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    return next(
        each for each in manifests if (each["kind"], each["metadata"]["name"]) == (kind, name)
    )


def monitoring_config(text: str) -> Any:
    """Parse as TensorFlow Serving's `MonitoringConfig`, which no package carries."""
    file = descriptor_pb2.FileDescriptorProto(name="monitoring.proto", syntax="proto3")
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=8, label=1)
    prometheus.field.add(name="path", number=2, type=9, label=1)
    config = file.message_type.add(name="MonitoringConfig")
    config.field.add(
        name="prometheus_config", number=1, type=11, label=1, type_name=".PrometheusConfig"
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    kind = message_factory.GetMessageClass(pool.FindMessageTypeByName("MonitoringConfig"))
    return text_format.Parse(text, kind())


def flags(arguments: list[str]) -> dict[str, str]:
    """Flags by name, all of them known to the server."""
    found = dict(argument.removeprefix("--").partition("=")[::2] for argument in arguments)
    assert all(argument.startswith("--") for argument in arguments)
    assert set(found) <= FLAGS
    return found


def test_the_compose_file_has_the_form_of_the_specification(compose: dict[str, Any]) -> None:
    vendored = resources.files("check_jsonschema") / "builtin_schemas" / "vendor"
    schema = json.loads((vendored / "compose-spec.json").read_text())
    jsonschema.validate(compose, schema)


def test_the_manifests_have_the_form_of_kubernetes(manifests: list[dict[str, Any]]) -> None:
    assert len(manifests) == 7
    for manifest in manifests:
        kubernetes_validate.validate(manifest, "1.32", strict=True)


def test_every_service_of_a_profile_finds_its_files(compose: dict[str, Any]) -> None:
    used = set()
    for service in compose["services"].values():
        for volume in service["volumes"]:
            if isinstance(volume, str):
                assert volume.split(":")[0] in compose["volumes"]
            elif not volume["source"].startswith("$"):
                assert (FOLDER / volume["source"]).is_file()
                used.add(volume["source"].removeprefix("./"))
        for port in service["ports"]:
            assert port.startswith("127.0.0.1:")
    default = compose["services"]["serving"]["volumes"][0]["source"].split(":-")[1].rstrip("}")
    assert (FOLDER / default).resolve() == FOLDER.parents[2] / "saved_models"
    yamls = {"docker-compose.yaml", "kubernetes.yaml"}
    assert {file.name for file in FOLDER.iterdir()} == used | yamls


def test_both_profiles_start_the_same_server(compose: dict[str, Any]) -> None:
    cpu, gpu = compose["services"]["serving"], compose["services"]["serving-gpu"]
    assert cpu["command"] == gpu["command"]
    assert gpu["image"] == cpu["image"] + "-gpu"
    given = flags(cpu["command"])
    mounted = {volume["target"] for volume in cpu["volumes"]}
    assert given["model_config_file"] == "/models/models.config"
    assert {"/models", given["monitoring_config_file"]} <= mounted
    assert "enable_batching" in given
    assert "enable_per_model_batching_parameters" in given
    devices = gpu["deploy"]["resources"]["reservations"]["devices"]
    assert devices == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


def test_prometheus_asks_where_the_metrics_are(compose: dict[str, Any]) -> None:
    config = monitoring_config((FOLDER / "monitoring.config").read_text())
    assert config.prometheus_config.enable
    (job,) = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["scrape_configs"]
    assert job["metrics_path"] == config.prometheus_config.path
    (target,) = job["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert name in compose["services"]
    assert compose["services"]["serving-gpu"]["networks"]["default"]["aliases"] == [name]
    assert f"127.0.0.1:{port}:{port}" in compose["services"][name]["ports"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_the_health_check_tells_a_model_from_none(compose: dict[str, Any]) -> None:
    kind, *command = compose["services"]["serving"]["healthcheck"]["test"]
    assert kind == "CMD"
    codes = {}
    with http_server(ScriptedModel()) as url:
        for model in ("toy", "boy"):
            given = [
                part.replace("/8501", "/" + url.rpartition(":")[2]).replace(
                    "${MODEL:-sentiment}", model
                )
                for part in command
            ]
            codes[model] = subprocess.run(given, timeout=120, check=False).returncode
    assert codes["toy"] == 0
    assert codes["boy"] != 0


def test_stable_and_canary_differ_in_nothing_but_their_track(
    manifests: list[dict[str, Any]],
) -> None:
    stable = named(manifests, "Deployment", "sentiment-stable")["spec"]
    canary = named(manifests, "Deployment", "sentiment-canary")["spec"]
    assert json.dumps(stable["template"]).replace("stable", "canary") == json.dumps(
        canary["template"]
    )
    for spec in (stable, canary):
        assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    service = named(manifests, "Service", "sentiment")["spec"]
    labels = [spec["template"]["metadata"]["labels"] for spec in (stable, canary)]
    assert all(service["selector"].items() <= each.items() for each in labels)
    budget = named(manifests, "PodDisruptionBudget", "sentiment")["spec"]
    assert budget["selector"] == stable["selector"]
    assert budget["minAvailable"] < stable["replicas"]


@pytest.mark.parametrize("track", ["stable", "canary"])
def test_the_pods_find_what_they_mount(manifests: list[dict[str, Any]], track: str) -> None:
    pod = named(manifests, "Deployment", f"sentiment-{track}")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    claim = mounts["/models"]["persistentVolumeClaim"]["claimName"]
    assert named(manifests, "PersistentVolumeClaim", claim)
    files = named(manifests, "ConfigMap", mounts["/etc/serving"]["configMap"]["name"])["data"]
    given = flags(container["args"])
    models = text_format.Parse(
        files[Path(given["model_config_file"]).name],
        model_server_config_pb2.ModelServerConfig(),
    )
    (config,) = models.model_config_list.config
    assert config.base_path.startswith("/models/")
    assert len(config.model_version_policy.specific.versions) == 1
    assert monitoring_config(files[Path(given["monitoring_config_file"]).name])
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        get = container[probe]["httpGet"]
        assert get["path"].startswith(f"/v1/models/{config.name}")
        assert get["port"] in ports
    for port in named(manifests, "Service", "sentiment")["spec"]["ports"]:
        assert port["port"] == ports[port["targetPort"]]


def test_all_files_take_one_version_of_tensorflow_serving(
    compose: dict[str, Any], manifests: list[dict[str, Any]]
) -> None:
    tag = compose["services"]["serving"]["image"].split(":-")[1].rstrip("}")
    for track in ("stable", "canary"):
        spec = named(manifests, "Deployment", f"sentiment-{track}")["spec"]
        image = spec["template"]["spec"]["containers"][0]["image"]
        assert image == f"tensorflow/serving:{tag}"


def test_the_documentation_names_commands_and_files_that_exist() -> None:
    text = (FOLDER.parents[2] / "docs" / "serving.md").read_text(encoding="utf-8")
    parsers = {"python -m apps ": _parser(), "python -m benchmarks.load_test ": command_line()}
    for start, parser in parsers.items():
        commands = [line for line in text.splitlines() if line.startswith(start)]
        assert len(commands) >= 3
        for line in commands:
            parser.parse_args(shlex.split(line, comments=True)[3:])
    for name in {file.name for file in FOLDER.iterdir()}:
        assert f"`{name}`" in text
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        compile(code, "docs/serving.md", "exec")
    assert (FOLDER.parents[2] / "docs" / "page.png").stat().st_size < 150_000
