"""Which task of several a process is."""

from __future__ import annotations

import json

import pytest

from apps.errors import UserError
from tuning.trials.task import Task


@pytest.mark.parametrize(
    ("config", "task"),
    [
        ("", Task(0, 1)),
        ({"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 1}}, (1, 2)),
        (
            {
                "cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]},
                "task": {"type": "worker", "index": 0},
            },
            (1, 3),
        ),
    ],
)
def test_the_environment_says_which_task_this_is(
    config: object, task: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", json.dumps(config) if config else "")
    found = Task.from_environment()
    assert found == task or (found.index, found.count) == task


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"cluster": {"worker": ["a"]}, "task": {"type": "ps", "index": 0}}']
)
def test_a_malformed_cluster_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(UserError, match=r"^TF_CONFIG: "):
        Task.from_environment()
