"""The files for Slurm and Kubernetes: syntax, schemas, and command lines that the program takes."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from waiting import LIMIT

from tuning.__main__ import search_parser, worker_parser
from tuning.distributed.address import Address

FOLDER = Path(__file__).parents[3] / "tuning" / "distributed"
STAND_IN = """#!/bin/bash
printf '%q ' "$@" >>"$CALLS"; echo >>"$CALLS"
code=$(head -n1 "$CODES"); sed -i 1d "$CODES"
exit "${code:-0}"
"""

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")


@pytest.fixture(scope="module")
def manifests() -> dict[tuple[str, str], dict[str, Any]]:
    documents = yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text())
    return {(each["kind"], each["metadata"]["name"]): each for each in documents}


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    return job["spec"]["template"]["spec"]


def words_of(job: dict[str, Any]) -> list[str]:
    (container,) = pod_of(job)["containers"]
    assert container["command"][:3] == ["python", "-m", "tuning"]
    return [*container["command"][3:], *container["args"]]


def test_the_manifests_have_the_form_of_kubernetes(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    assert len(manifests) == 5
    for manifest in manifests.values():
        kubernetes_validate.validate(manifest, "1.32", strict=True)


def test_the_workers_of_kubernetes_find_the_chief(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    chief, workers = manifests["Job", "tuning-chief"], manifests["Job", "tuning-workers"]
    search = search_parser().parse_args(words_of(chief))
    command, *options = words_of(workers)
    assert command == "worker"
    worker = worker_parser().parse_args(options)
    service = manifests["Service", Address.parse(worker.chief).host]["spec"]
    (port,) = service["ports"]
    assert port["port"] == Address.parse(worker.chief).port
    (container,) = pod_of(chief)["containers"]
    assert container["ports"] == [{"name": port["targetPort"], "containerPort": 8400}]
    assert Address.parse(search.listen) == Address("0.0.0.0", 8400)
    assert search.workers == 0
    assert search.resume
    policy = manifests["NetworkPolicy", "tuning-chief"]["spec"]
    labels = {
        job["metadata"]["name"]: job["spec"]["template"]["metadata"]["labels"]
        for job in (chief, workers)
    }
    assert service["selector"] == policy["podSelector"]["matchLabels"] == labels["tuning-chief"]
    (source,) = policy["ingress"][0]["from"]
    assert source["podSelector"]["matchLabels"] == labels["tuning-workers"]


def test_the_pods_of_kubernetes_share_one_folder_and_have_names_that_stay(
    manifests: dict[tuple[str, str], dict[str, Any]],
) -> None:
    chief, workers = manifests["Job", "tuning-chief"], manifests["Job", "tuning-workers"]
    for job in (chief, workers):
        (container,) = pod_of(job)["containers"]
        volumes = {volume["name"]: volume for volume in pod_of(job)["volumes"]}
        mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
        claim = mounts["/shared"]["persistentVolumeClaim"]["claimName"]
        assert manifests["PersistentVolumeClaim", claim]["spec"]["accessModes"] == ["ReadWriteMany"]
    search = search_parser().parse_args(words_of(chief))
    assert Path(search.data).parent == Path(search.run).parent == Path("/shared")
    (container,) = pod_of(workers)["containers"]
    assert [variable["name"] for variable in container["env"]] == ["INDEX"]
    assert "--id=worker-$(INDEX)" in container["args"]
    assert workers["spec"]["completionMode"] == "Indexed"


def run_slurm(
    folder: Path, task: int, codes: str = "", asleep: str = "", **variables: str
) -> tuple[int, list[str]]:
    """Run the script among stand-ins for Slurm's programs; exit code and calls of `srun`.

    `asleep` is what happens while the script sleeps.
    """
    programs = folder / "programs"
    programs.mkdir(exist_ok=True)
    for name, text in {"srun": STAND_IN, "sleep": f"#!/bin/bash\n{asleep}\n"}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    (folder / "codes").write_text(codes)
    calls = folder / f"calls-{task}"
    found = subprocess.run(
        ["bash", FOLDER / "slurm.sh"],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "CALLS": str(calls),
            "CODES": str(folder / "codes"),
            "SLURM_ARRAY_JOB_ID": "77",
            "SLURM_ARRAY_TASK_ID": str(task),
            "SLURM_CPUS_PER_TASK": "4",
            **variables,
        },
        timeout=LIMIT,
        check=False,
    )
    return found.returncode, calls.read_text().splitlines() if calls.exists() else []


def options_of(line: str) -> list[str]:
    program, *words = shlex.split(line)
    assert [program, *words[:2]] == ["python", "-m", "tuning"]
    return words[2:]


@needs_bash
def test_the_first_task_of_slurm_is_the_chief_and_the_others_find_it(tmp_path: Path) -> None:
    where = tmp_path / "searches" / "sentiment.chief"
    where.parent.mkdir()
    where.write_text("node-7:8400\n")
    # The worker is killed, then the search is over.
    code, lines = run_slurm(tmp_path, 2, "137\n0\n")
    assert (code, len(lines)) == (0, 2)
    command, *options = options_of(lines[0])
    worker = worker_parser().parse_args(options)
    assert (command, worker.chief, worker.id, worker.threads) == (
        "worker",
        "node-7:8400",
        "worker-2",
        4,
    )
    code, lines = run_slurm(tmp_path, 0, DATA="my reviews.csv")
    assert (code, len(lines)) == (0, 1)
    search = search_parser().parse_args(options_of(lines[0]))
    assert (search.application, search.data) == ("sentiment", "my reviews.csv")
    assert (search.workers, search.resume) == (0, True)
    assert Path(f"{search.run}.chief") == where
    assert Address.parse(search.listen).port == 8400
    # A worker that comes too late has nothing left to do.
    assert run_slurm(tmp_path, 3) == (0, [])


@needs_bash
def test_the_end_of_an_earlier_job_of_slurm_is_not_taken_for_its_own(tmp_path: Path) -> None:
    where = tmp_path / "searches" / "sentiment.chief"
    where.parent.mkdir()
    where.write_text("over 76\n")
    code, lines = run_slurm(tmp_path, 1, "0\n", asleep=f"echo node-8:8400 >'{where}'")
    assert code == 0
    assert "node-8:8400" in lines[0]


@needs_bash
def test_a_worker_of_slurm_that_was_interrupted_does_not_begin_again(tmp_path: Path) -> None:
    (tmp_path / "searches").mkdir()
    (tmp_path / "searches" / "sentiment.chief").write_text("node-7:8400\n")
    assert run_slurm(tmp_path, 1, "130\n")[0] == 130
    assert len(run_slurm(tmp_path, 1, "130\n")[1]) == 2


@needs_bash
def test_a_chief_of_slurm_that_fails_leaves_its_workers_waiting(tmp_path: Path) -> None:
    assert run_slurm(tmp_path, 0, "2\n")[0] == 2
    where = (tmp_path / "searches" / "sentiment.chief").read_text().strip()
    assert Address.parse(where).port == 8400
