"""The gate as a whole: verdicts on versions that are loaded in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from gate_models import crash, export_classifier, export_function, export_stock

from apps.errors import UserError
from apps.export.gate import Verdict, render, verify
from apps.export.gate.files import SAVED_MODEL

ROOT = Path(__file__).parents[2]

VERIFICATION = "apps.export.gate.verification"
# After which a process hangs: nothing here takes as long, on however busy a machine.
HANGS_SECONDS = 900


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdict, list[str], list[int]]:
    """The verdict on a good version, what was logged, and the niceness of the process meanwhile."""
    version = export_classifier(tmp_path_factory.mktemp("toy") / "3")
    lines: list[str] = []
    niceness: list[int] = []

    def log(line: str) -> None:
        lines.append(line)
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        niceness.extend(os.getpriority(os.PRIO_PROCESS, int(child)) for child in children)

    return verify(version, low_priority=True, log=log), lines, niceness


def test_a_good_version_passes_every_check(good: tuple[Verdict, list[str], list[int]]) -> None:
    verdict, lines, _ = good
    assert [(check.name, check.state) for check in verdict.checks] == [
        ("folder", "passed"),
        ("kernels", "passed"),
        ("swap", "passed"),
        ("C API", "passed"),
    ], render(verdict)
    assert verdict.passed
    assert verdict.refusal is None
    verdict.require()
    assert "CudnnRNNV3 and a CPU BlockLSTMV2" in verdict.checks[2].detail
    ran = verdict.checks[3].detail
    assert "1 warm-up requests" in ran
    assert "the golden ones" in ran
    assert "made up for tensors" in ran
    assert lines == [str(check) for check in verdict.checks]
    assert lines[0].startswith("ok    folder: ")
    assert render(verdict).splitlines() == [*lines, f"{verdict.folder}: fit to be served"]


def test_low_priority_lets_others_go_first(good: tuple[Verdict, list[str], list[int]]) -> None:
    _, _, niceness = good
    assert os.getpriority(os.PRIO_PROCESS, 0) + 10 in niceness


def test_stock_keras_traced_on_a_gpu_is_refused_with_the_remedy(tmp_path: Path) -> None:
    verdict = verify(export_stock(tmp_path / "1", gpu=True))
    assert [check.state for check in verdict.checks] == ["passed", "failed"]
    with pytest.raises(UserError) as refused:
        verdict.require()
    message = str(refused.value)
    assert message == verdict.refusal
    assert message.startswith(f"{tmp_path / '1'}: kernels: ")
    assert "no CudnnRNNV3 on a CPU" in message
    assert "CUDA_VISIBLE_DEVICES=-1" in message
    assert "\n" not in message
    shown = render(verdict).splitlines()
    assert shown[1].startswith("FAIL  kernels: ")
    assert shown[2].startswith("      fix: ")
    assert shown[3] == f"{tmp_path / '1'}: refused"


def test_a_model_that_crashes_costs_only_its_own_process(tmp_path: Path) -> None:
    version = export_function(tmp_path / "1", crash, tf.TensorSpec([None, 1, 3], name="x"))
    last = verify(version).checks[-1]
    assert (last.name, last.state) == ("session", "failed")
    assert "crashed with SIGABRT" in last.detail
    assert "made-up request of size 1 to signature serving_default" in last.detail
    assert "\n" not in last.detail


def test_without_a_compiler_a_session_runs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", str(tmp_path / "no-compiler"))
    verdict = verify(export_classifier(tmp_path / "1"))
    ended = [(check.name, check.state) for check in verdict.checks[-2:]]
    assert ended == [("C API", "skipped"), ("session", "passed")], render(verdict)
    assert verdict.passed


def test_what_only_the_c_program_cannot_load_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = 'printf \'#!/bin/sh\\necho out of tune >&2\\nexit 2\\n\' > "$2" && chmod +x "$2"'
    compiler = tmp_path / "cc"
    compiler.write_text(
        f'#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\n{program}\n', encoding="utf-8"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    last = verify(export_classifier(tmp_path / "1")).checks[-1]
    assert (last.name, last.state) == ("C API", "failed")
    assert last.detail == "cannot be loaded: out of tune"


OTHERS = {
    "model.pt": "a PyTorch model",
    "model.onnx": "an ONNX model",
    "model.keras": "a Keras model",
    "weights.pkl": "a Python pickle",
    "model.safetensors": "safetensors",
    "model.tflite": "a TensorFlow Lite model",
    "checkpoint": "a TensorFlow checkpoint",
    "notes.txt": f"holds no {SAVED_MODEL}",
}


@pytest.mark.parametrize(("name", "reason"), OTHERS.items())
def test_another_librarys_folder_is_named_for_what_it_is(
    tmp_path: Path, name: str, reason: str
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / name).write_bytes(b"\x80\x04")
    _require_refusal(tmp_path / "1", reason)


def test_folders_that_are_no_version(tmp_path: Path) -> None:
    for folder in ("empty", "base/7", "base/12", "latest", "run"):
        (tmp_path / folder).mkdir(parents=True)
    for version in ("base/7", "base/12", "latest"):
        (tmp_path / version / SAVED_MODEL).write_bytes(b"")
    for name in ("model.keras", "config.json"):
        (tmp_path / "run" / name).write_bytes(b"")
    _require_refusal(tmp_path / "nowhere", "does not exist")
    _require_refusal(tmp_path / "empty", "is empty")
    _require_refusal(
        tmp_path / "base", f"holds versions 7, 12; name one, such as {tmp_path}/base/12"
    )
    _require_refusal(tmp_path / "run", f"python -m apps export {tmp_path / 'run'}")
    _require_refusal(
        tmp_path / "latest", "TensorFlow Serving only loads integer-named version folders"
    )
    _require_refusal(tmp_path / "base" / "7" / SAVED_MODEL, "name the folder")


def _require_refusal(path: Path, reason: str) -> None:
    verdict = verify(path)
    assert len(verdict.checks) == 1
    refusal = verdict.refusal or ""
    assert refusal.startswith(f"{path}: folder: ")
    assert reason in refusal
    assert "\n" not in refusal


PRETENDED = 'print(\'{"begun": "session"}\\n{"asking": "record 2"}\', flush=True); '


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed with SIGSEGV, at record 2"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "memory ran out"),
        ("sys.exit('no more')", "failed: no more, at record 2"),
        ("os._exit(0)", "failed: exit status 0, at record 2"),
    ],
)
def test_each_end_of_the_process_has_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, reason: str
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / SAVED_MODEL).write_bytes(b"")
    code = f"import os, signal, sys; {PRETENDED}{ending}"
    monkeypatch.setattr(sys.modules[VERIFICATION], "child_command", _python(code))
    verdict = verify(tmp_path / "1")
    assert [(check.name, check.state) for check in verdict.checks] == [("session", "failed")]
    assert reason in str(verdict.refusal)


def test_a_process_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / SAVED_MODEL).write_bytes(b"")
    hangs = tmp_path / "hangs"
    limits: list[float] = []
    code = (
        f"import pathlib, time; {PRETENDED}pathlib.Path({str(hangs)!r}).touch(); time.sleep(3600)"
    )
    monkeypatch.setattr(sys.modules[VERIFICATION], "child_command", _python(code))

    class Timer(threading.Thread):
        """Is up when the process hangs."""

        def __init__(self, seconds: float, act: Callable[[], None]) -> None:
            super().__init__(daemon=True)
            self._act = act
            limits.append(seconds)

        def run(self) -> None:
            while not hangs.exists():
                time.sleep(0.01)
            self._act()

        def cancel(self) -> None:
            """Nothing."""

    monkeypatch.setattr(threading, "Timer", Timer)
    verdict = verify(tmp_path / "1", timeout_s=3)
    assert limits == [3]
    assert [(check.name, check.transient) for check in verdict.checks] == [("session", True)]
    assert "not done within 3 s, at record 2" in str(verdict.refusal)


def test_an_interrupt_ends_the_process_and_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / SAVED_MODEL).write_bytes(b"")
    code = (
        "import json, subprocess, time; own = subprocess.Popen(['sleep', '3600']); "
        "print(json.dumps({'check': ['folder', 'passed', str(own.pid), '', 0.0]}), flush=True); "
        "time.sleep(3600)"
    )
    monkeypatch.setattr(sys.modules[VERIFICATION], "child_command", _python(code))
    started: list[int] = []

    def interrupt(line: str) -> None:
        started.append(int(line.split()[2]))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verify(tmp_path / "1", log=interrupt)
    assert _ended(started[0])


def test_the_process_ends_when_its_parent_does(tmp_path: Path) -> None:
    from apps.export.gate.verification import child_command

    child = subprocess.Popen(
        child_command(tmp_path, low_priority=False),
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert child.stdin is not None
    child.stdin.close()
    assert child.wait(timeout=HANGS_SECONDS) == -9


def test_the_callers_process_stays_small() -> None:
    code = (
        "import sys, apps.export.gate\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_time_limit_must_be_positive(tmp_path: Path) -> None:
    for limit in (0, -1, float("nan"), float("inf")):
        with pytest.raises(UserError, match="positive"):
            verify(tmp_path, timeout_s=limit)


def _python(code: str) -> Callable[..., list[str]]:
    return lambda folder, low_priority: [sys.executable, "-c", code]


def _ended(process: int) -> bool:
    """Whether a process ends; a killed one may wait to be collected."""
    began = time.monotonic()
    while time.monotonic() - began < HANGS_SECONDS:
        try:
            state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False
