"""Which of the processes that train one model together this one is."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Self

from apps.errors import UserError


@dataclass(frozen=True)
class Task:
    """A process's place among those that train one model.

    Attributes:
        index: 0 for the one that reports.
        count: of all tasks.
    """

    index: int = 0
    count: int = 1

    @classmethod
    def from_environment(cls) -> Self:
        """What `TF_CONFIG` says; the only task where it is not set.

        Raises:
            UserError: it is malformed.
        """
        text = os.environ.get("TF_CONFIG")
        if not text:
            return cls()
        try:
            config = json.loads(text)
            cluster, own = config["cluster"], config["task"]
            chiefs, workers = cluster.get("chief", []), cluster.get("worker", [])
            index = {"chief": 0, "worker": len(chiefs)}[own["type"]] + int(own["index"])
            count = len(chiefs) + len(workers)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"TF_CONFIG: cannot be read ({type(error).__name__} {error}); give "
                '{"cluster": {"worker": ["HOST:PORT", …]}, "task": {"type": "worker", "index": 0}}'
            ) from None
        if not 0 <= index < count:
            raise UserError(f"TF_CONFIG: task {index} is not one of the cluster's {count}")
        return cls(index, count)
