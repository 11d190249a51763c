"""A server under more load than its queue takes, while versions are published, one broken."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from apps.export.saved_model import BATCHING
from apps.serving import Client
from benchmarks.load_test import load_test

MODEL = "sentiment"
CLIENTS = {"gRPC": 40, "REST": 24}
# A short queue, so that it is nearly always full.
QUEUE = """
max_batch_size { value: 8 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 2 }
num_batch_threads { value: 1 }
"""
# The codes with which a server declines a request for the moment.
CLEAR = {"UNAVAILABLE", "RESOURCE_EXHAUSTED"}
Server = Callable[[Path], AbstractContextManager[dict[str, str]]]


def soak(folder: Path, server: Server, texts: Sequence[str], minutes: float) -> dict:
    """Load a server while four versions are published, the third of them truncated.

    Args:
        folder: holds version 1 of the model.
        server: starts a server on a folder and gives its addresses.
        texts: the inputs to send.
        minutes: duration of the load.

    Returns:
        Answers by code and protocol, the versions at the end, and a sentence for the table.
    """
    (folder / MODEL / "1" / BATCHING).write_text(QUEUE)
    seconds = 60 * minutes
    with server(folder) as urls, ThreadPoolExecutor(len(urls)) as threads:
        running = {
            protocol: threads.submit(
                load_test,
                url,
                list(texts),
                model=MODEL,
                clients=CLIENTS[protocol],
                seconds=seconds,
            )
            for protocol, url in urls.items()
        }
        for number in range(2, 6):
            time.sleep(seconds / 6)
            publish(folder / MODEL, number, broken=number == 4)
        results = {protocol: asdict(each.result()) for protocol, each in running.items()}
        with Client(urls["gRPC"]) as client:
            states = {one.version: one.state for one in client.status(MODEL)}
    codes = Counter({"OK": sum(one["requests"] for one in results.values())})
    for one in results.values():
        codes.update(one["errors"])
    failed = sum(count for code, count in codes.items() if code not in CLEAR | {"OK"})
    refused = sum(codes[code] for code in CLEAR)
    text = (
        f"{minutes:g} minutes, {sum(CLIENTS.values())} clients without retries, places for 16 "
        "waiting requests; versions 2, 3 and 5 published whole and 4 with truncated variables: "
        f"{codes['OK']:,} answers, {refused:,} refusals (UNAVAILABLE or 503, the queue was full), "
        f"**{failed} other failures**. At the end: "
        + ", ".join(f"{version} {state}" for version, state in sorted(states.items()))
        + "."
    )
    print(text, flush=True)
    return {"text": text, "codes": dict(codes), "results": results, "states": states}


def publish(model: Path, number: int, *, broken: bool) -> None:
    """Copy version 1 beside its place, truncate it if `broken`, and rename it into place."""
    beside = model / f".copy-{number}"
    shutil.copytree(model / "1", beside)
    if broken:
        data = next((beside / "variables").glob("variables.data-*"))
        os.truncate(data, data.stat().st_size // 2)
    beside.rename(model / str(number))
