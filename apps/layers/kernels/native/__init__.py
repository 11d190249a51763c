"""CPU kernels in C++ for two of TensorFlow's own operations, compiled on the user's machine.

They replace TensorFlow's kernels of `BlockLSTMV2` and `BlockLSTMGrad` in this process only. The
graph holds TensorFlow's operations, so a SavedModel also runs where these kernels are missing.
"""

import ctypes
import functools
import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf

from apps.compilation import CompilationError, compile_once, find_compiler

SOURCES = Path(__file__).parent
ENTRY = "register.cc"


@dataclass(frozen=True)
class Status:
    """Whether the kernels are in use in this process.

    Attributes:
        active: whether `BlockLSTMV2` and `BlockLSTMGrad` run on them.
        reason: why they are not, in one line; empty where they are.
    """

    active: bool
    reason: str = ""


@functools.cache
def load() -> Status:
    """Register the kernels once per process, and compile them if this machine has not before.

    Without a compiler, or with the environment variable `APPS_NATIVE_LSTM=0`, nothing happens
    and the layer runs on TensorFlow's own kernels.

    Returns:
        Whether they are in use, or why not.
    """
    if os.environ.get("APPS_NATIVE_LSTM") == "0":
        return Status(False, "switched off by APPS_NATIVE_LSTM=0")
    try:
        library = ctypes.CDLL(str(_build()))
    except (OSError, CompilationError) as error:
        return Status(False, " ".join(str(error).split()))
    library.RegisterLstmKernels.restype = ctypes.c_bool
    if not library.RegisterLstmKernels(_threads()):
        return Status(False, "TensorFlow refused to register the kernels")
    return Status(True)


def _threads() -> int:
    """Number of threads that TensorFlow uses within one operation."""
    return tf.config.threading.get_intra_op_parallelism_threads() or len(os.sched_getaffinity(0))


def _build() -> Path:
    """The compiled library, from the cache if the same sources were compiled before."""
    compiler = find_compiler("CXX", ["g++", "clang++", "c++"])
    if compiler is None:
        raise CompilationError("no C++ compiler: install g++ to have the fast CPU kernel")
    command = [compiler, *_flags(), str(SOURCES / ENTRY), *tf.sysconfig.get_link_flags()]
    return compile_once(command, "lstm", lambda: _fingerprint(command), ".so")


def _flags() -> list[str]:
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-fPIC", "-shared", "-pthread"]
    if platform.machine() == "x86_64":
        flags.append("-mprefer-vector-width=512")
    return flags + tf.sysconfig.get_compile_flags()


def _fingerprint(command: list[str]) -> str:
    """Digest of what the library depends on: sources, compiler, TensorFlow, instruction sets."""
    digest = hashlib.sha256()
    for source in [*sorted(SOURCES.glob("*.h")), SOURCES / ENTRY]:
        digest.update(source.read_bytes())
    version = subprocess.run([command[0], "--version"], capture_output=True, check=True).stdout
    digest.update(version + tf.__version__.encode() + "\0".join(command).encode())
    digest.update(platform.machine().encode() + _processor())
    return digest.hexdigest()[:24]


def _processor() -> bytes:
    """This processor's instruction sets, since machines may share the folder of the cache."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return platform.processor().encode()
    wanted = (b"model name", b"flags", b"Features")
    return b"\n".join(sorted({line for line in lines if line.startswith(wanted)}))
