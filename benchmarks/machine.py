"""The machine and versions that the figures of a benchmark depend on."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import Any


def installed(package: str) -> str | None:
    """The version of a package, if it is installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def about_machine(*packages: str) -> dict[str, Any]:
    """Processor, cores, load before the start, date and versions of some packages."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0].split(":", 1)[1].strip() if names else model
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
        "versions": {name: installed(name) for name in packages},
        "date": date.today().isoformat(),
    }


def sentence(about: Mapping[str, Any]) -> str:
    """The same in one line: processor, cores, versions, date, load."""
    versions = ", ".join(f"{k} {v or 'not installed'}" for k, v in about["versions"].items())
    return (
        f"{about['processor']}, {about['cores']} cores, {versions}, {about['date']}, "
        f"load average before the start {about['load']}"
    )
