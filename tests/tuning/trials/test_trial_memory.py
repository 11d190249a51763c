"""What is left of memory, on the machine and in a container."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tuning.trials import memory

MB = 2**20


def test_what_is_available_is_no_more_than_the_machine_has() -> None:
    assert 0 < memory.available_mb() <= psutil.virtual_memory().available / MB * 1.1
    assert memory.out_of_memory_kills() >= 0


@pytest.mark.parametrize(
    ("controllers", "files"),
    [
        (
            "",
            {
                "memory.max": f"{100 * MB}\n",
                "memory.current": f"{70 * MB}\n",
                "memory.stat": f"anon 1\nactive_file {10 * MB}\ninactive_file {5 * MB}\n",
            },
        ),
        (
            "memory",
            {
                "memory.limit_in_bytes": f"{100 * MB}\n",
                "memory.usage_in_bytes": f"{70 * MB}\n",
                "memory.stat": f"total_active_file {10 * MB}\ntotal_inactive_file {5 * MB}\n",
            },
        ),
    ],
)
def test_a_container_leaves_its_limit_without_what_is_taken_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, controllers: str, files: dict[str, str]
) -> None:
    group = tmp_path / controllers / "outer" / "inner"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("max\n")
    for name, text in files.items():
        (group.parent / name).write_text(text)
    membership = tmp_path / "cgroup"
    membership.write_text(f"5:cpu:/\n4:{controllers}:/outer/inner\n")
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_MEMBERSHIP", membership)
    assert memory.available_mb() == pytest.approx(45)
