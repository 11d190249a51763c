"""A version run through TensorFlow's C API by a program without Python."""

from __future__ import annotations

import hashlib
import os
import signal
import struct
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import tensorflow as tf

from apps.compilation import CompilationError, compile_once, find_compiler
from apps.export.gate.answers import Answer
from apps.export.gate.graph import Version
from apps.export.gate.requests import Request
from apps.export.gate.verdict import RefusedError, SkippedError

SOURCE = Path(__file__).with_name("run_model.c")
NOT_LOADED = 2


def answers_without_python(version: Version, requests: Sequence[Request]) -> list[Answer]:
    """Load a version in the C program and run requests there.

    Args:
        version: the opened version.
        requests: what to ask.

    Returns:
        An answer for each request.

    Raises:
        RefusedError: the program did not load the version, or did not survive the requests.
        SkippedError: there is no C compiler, or it failed.
    """
    program = _program()
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "requests", Path(folder) / "answers"
        with asked.open("wb") as file:
            _write_requests(file, requests)
        # Output is read as bytes, since names may be in other encodings.
        try:
            done = subprocess.run(
                [program, version.folder, asked, answered],
                stdin=subprocess.DEVNULL,
                capture_output=True,
            )
        except PermissionError as error:
            raise SkippedError(
                f"{program} cannot be run there; set XDG_CACHE_HOME to another folder"
            ) from error
        if done.returncode:
            raise RefusedError(_failure(done), "export or copy the model again")
        with answered.open("rb") as file:
            return [_read_answer(file, request) for request in requests]


def _failure(done: subprocess.CompletedProcess[bytes]) -> str:
    lines = [line for line in done.stderr.decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1][:300] if lines else "no reason given"
    if done.returncode == NOT_LOADED:
        return f"cannot be loaded: {last}"
    if done.returncode < 0:
        return f"the program was ended by {signal.Signals(-done.returncode).name}"
    return f"the program failed: {last}"


def _program() -> Path:
    """The compiled program; from the cache if the same source was compiled before."""
    compiler = find_compiler("CC", ["cc", "gcc", "clang"])
    if compiler is None:
        raise SkippedError(
            "no C compiler, so not run without Python (install gcc to enable this check)"
        )
    libraries = Path(tf.sysconfig.get_lib())
    command = [
        compiler,
        "-O1",
        f"-I{tf.sysconfig.get_include()}",
        os.fspath(SOURCE),
        *(os.fspath(libraries / f"libtensorflow_{part}.so.2") for part in ("cc", "framework")),
        f"-Wl,-rpath,{libraries}",
    ]
    key = hashlib.sha256(SOURCE.read_bytes() + tf.__version__.encode())
    key.update("\0".join(command).encode())
    try:
        return compile_once(command, "run_model", lambda: key.hexdigest()[:24])
    except CompilationError as error:
        raise SkippedError(f"no C program: {error}") from error


def _write_requests(file: BinaryIO, requests: Sequence[Request]) -> None:
    """Write the format described in `run_model.c`."""
    file.write(struct.pack("=i", len(requests)))
    for request in requests:
        file.write(struct.pack("=i", len(request.inputs)))
        for tensor, value in request.inputs.items():
            _write_output(file, tensor)
            _write_tensor(file, value)
        file.write(struct.pack("=i", len(request.outputs)))
        for tensor in request.outputs.values():
            _write_output(file, tensor)


def _write_output(file: BinaryIO, tensor: str) -> None:
    operation, _, index = tensor.partition(":")
    _write_text(file, operation.encode())
    file.write(struct.pack("=i", int(index or 0)))


def _write_text(file: BinaryIO, text: bytes) -> None:
    file.write(struct.pack("=q", len(text)) + text)


def _write_tensor(file: BinaryIO, value: np.ndarray) -> None:
    dtype = tf.dtypes.as_dtype(value.dtype)
    shape = value.shape
    file.write(struct.pack(f"=ii{len(shape)}q", dtype.as_datatype_enum, len(shape), *shape))
    if dtype == tf.string:
        for text in value.reshape(-1):
            _write_text(file, text)
    else:
        _write_text(file, value.tobytes())


def _read_answer(file: BinaryIO, request: Request) -> Answer:
    (code,) = _read(file, "i")
    message = _read_text(file).decode(errors="replace")
    if code:
        return Answer(code=code, message=message)
    return Answer({name: _read_tensor(file) for name in request.outputs})


def _read_tensor(file: BinaryIO) -> np.ndarray:
    number, rank = _read(file, "ii")
    shape = _read(file, f"{rank}q")
    dtype = tf.dtypes.as_dtype(number)
    if dtype != tf.string:
        return np.frombuffer(_read_text(file), dtype.as_numpy_dtype).reshape(shape)
    texts = np.empty(int(np.prod(shape)), dtype=object)
    for index in range(texts.size):
        texts[index] = _read_text(file)
    return texts.reshape(shape)


def _read_text(file: BinaryIO) -> bytes:
    (size,) = _read(file, "q")
    return file.read(size)


def _read(file: BinaryIO, fields: str) -> tuple[int, ...]:
    fields = f"={fields}"
    return struct.unpack(fields, file.read(struct.calcsize(fields)))
