"""What a run was made with: versions, machine, revision, command."""

from __future__ import annotations

import platform
import resource
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

_PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn", "tensorflow-datasets")


def describe_environment(seed: int) -> dict[str, Any]:
    """Flat description of versions, machine and command, ready for JSON."""
    import tensorflow as tf

    gpus = [
        tf.config.experimental.get_device_details(g) for g in tf.config.list_physical_devices("GPU")
    ]
    return {
        "seed": seed,
        "device": gpus[0].get("device_name", "GPU") if gpus else "CPU",
        "processor": _processor(),
        "cores": len(_affinity()),
        "platform": platform.platform(),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in _PACKAGES},
        "git_revision": _revision(),
        "command": shlex.join([Path(sys.executable).name, *_orig_arguments()]),
    }


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        2**20 if sys.platform == "darwin" else 2**10
    )


def _affinity() -> list[int]:
    import os

    return (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )


def _orig_arguments() -> list[str]:
    return sys.orig_argv[1:]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _revision() -> str:
    """The commit of the checkout that holds this file, or the version that was installed."""
    file = Path(__file__).resolve()
    for installed in file.parents[2].glob("lstm_applications-*.dist-info"):
        return f"lstm-applications {metadata.Distribution.at(installed).version}"
    try:
        # A copy of the package may lie in a repository of something else, which does not track it.
        if not _git(file.parent, "ls-files", file.name):
            return "unknown"
        return _git(file.parent, "describe", "--always", "--dirty", "--abbrev=12") or "unknown"
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10
    )
    return done.stdout.strip()
