"""The gate's C program: it answers as a session does, and is compiled once, or not at all."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gate_models import export_classifier, export_function

from apps.export.gate.graph import open_version
from apps.export.gate.native import answers_without_python
from apps.export.gate.requests import requests_for
from apps.export.gate.session import answers_in_session
from apps.export.gate.verdict import RefusedError, SkippedError


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_classifier(tmp_path_factory.mktemp("exported") / "1")


def test_the_c_program_gives_the_sessions_answers(tmp_path: Path) -> None:
    def echo(text: tf.Tensor, number: tf.Tensor) -> dict[str, tf.Tensor]:
        return {
            "long": tf.strings.join([text] * 50, "–"),
            "scalar": tf.strings.reduce_join(text),
            "half": tf.cast(number, tf.bfloat16),
            "none": number[:0],
        }

    specs = [tf.TensorSpec([None], tf.string, "text"), tf.TensorSpec([None, 2], tf.int64, "number")]
    version = open_version(export_function(tmp_path / "1", echo, *specs))
    requests = requests_for(version)
    pairs = zip(
        answers_in_session(version, requests, lambda what: None),
        answers_without_python(version, requests),
        strict=True,
    )
    for in_session, without_python in pairs:
        assert not in_session.code
        assert in_session.outputs.keys() == without_python.outputs.keys()
        for name, expected in in_session.outputs.items():
            got = without_python.outputs[name]
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
            np.testing.assert_array_equal(got, expected)


def test_without_a_working_compiler_the_check_is_skipped(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = open_version(exported)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(SkippedError, match="no C compiler"):
        answers_without_python(version, [])
    monkeypatch.setenv("CC", "false")
    with pytest.raises(SkippedError, match="false failed"):
        answers_without_python(version, [])


def test_where_programs_may_not_run_the_check_is_skipped(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a mount without exec: what the compiler left cannot be started."""
    compiler = tmp_path / "compiler"
    compiler.write_text("#!/bin/sh\nfor out; do :; done\n: > $out\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SkippedError, match="cannot be run there"):
        answers_without_python(open_version(exported), [])


def test_without_a_home_folder_the_check_is_skipped(
    exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(SkippedError, match="no home folder"):
        answers_without_python(open_version(exported), [])


def test_two_at_once_compile_one_program(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its compiler writes, in two steps, a program that refuses every model."""
    compiler = tmp_path / "compiler"
    compiler.write_text(
        "#!/bin/sh\nfor out; do :; done\nprintf '#!/bin/sh\\n' > $out\nchmod +x $out\nsleep 0.3\n"
        "echo 'echo no such tag >&2; exit 2' >> $out\n"
    )
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    version = open_version(exported)
    found: list[str] = []

    def ask() -> None:
        try:
            answers_without_python(version, [])
        except RefusedError as error:
            found.append(error.detail)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["cannot be loaded: no such tag"] * 3
    assert len(list((tmp_path / "cache" / "apps-lstm").iterdir())) == 1
