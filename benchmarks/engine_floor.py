"""What a machine allows an LSTM: a contender of `benchmarks.engine` that does nothing else.

    python engine_floor.py arithmetic|memory

`arithmetic` is the time of the layer's products alone, register-blocked and from packed weights of
the same sizes, on all cores without waiting for one another: those with the inputs in one piece,
those of the recurrence step by step, and in training twice as many more for the gradients. `memory`
is the time of reading the recurrent weights at each step, in training in both directions, from the
cache that holds them. No layer can be faster than the larger one, in float32 and with these
registers; a layer also has gates, states and threads that wait for one another at each step.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
from pathlib import Path

from apps.compilation import compile_once, find_compiler
from apps.layers.kernels.native import SOURCES

SOURCE = Path(__file__).with_suffix(".cc")


def library() -> ctypes.CDLL:
    """The compiled products, with the flags of the engine's own."""
    compiler = find_compiler("CXX", ["g++", "clang++", "c++"])
    if compiler is None:
        raise SystemExit("no C++ compiler: install g++")
    flags = ["-O3", "-march=native", "-ffp-contract=fast", "-mprefer-vector-width=512"]
    command = [compiler, "-std=c++17", *flags, "-fPIC", "-shared", "-pthread"]
    command += [f"-I{SOURCES}", os.fspath(SOURCE)]
    content = SOURCE.read_bytes() + (SOURCES / "vectors.h").read_bytes()
    content += Path("/proc/cpuinfo").read_bytes()[:2000]
    key = hashlib.sha256(content + "\0".join(command).encode()).hexdigest()[:24]
    found = ctypes.CDLL(str(compile_once(command, "engine-floor", lambda: key, ".so")))
    found.ProductMilliseconds.restype = found.ReadMilliseconds.restype = ctypes.c_double
    found.ProductMilliseconds.argtypes = [ctypes.c_int64] * 3 + [ctypes.c_int]
    found.ReadMilliseconds.argtypes = [ctypes.c_int64, ctypes.c_int]
    return found


def milliseconds(
    made: ctypes.CDLL,
    kind: str,
    *,
    batch: int,
    time: int,
    features: int,
    units: int,
    gradient: bool,
) -> float:
    """The least time that one run of a layer can take."""
    threads = len(os.sched_getaffinity(0))
    if kind == "memory":
        once = made.ReadMilliseconds(4 * units * units, threads)
        return time * once * (2 if gradient else 1)
    inputs = made.ProductMilliseconds(batch * time, features, units, threads)
    steps = time * made.ProductMilliseconds(batch, units, units, threads)
    return (inputs + steps) * (3 if gradient else 1)


def main() -> None:
    kind, made = sys.argv[1], library()
    for line in sys.stdin:
        request = json.loads(line)
        task = request.pop("task")
        answer = 0.0 if task == "prepare" else milliseconds(made, kind, **request)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
