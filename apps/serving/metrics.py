"""Prometheus metrics, under the names that TensorFlow Serving gives them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import grpc
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from apps.serving.models.observer import Observer
from apps.serving.models.states import VersionStatus

PATH = "/monitoring/prometheus/metrics"
CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

_TF = ":tensorflow:serving:"
_MICROSECONDS = tuple(float(f"{10 * 1.8**step:.6g}") for step in range(33))  # to 20 minutes
_QUEUING = tuple(float(f"{100 * 1.2**step:.6g}") for step in range(52))  # to about 1 second
_ROWS = tuple(2.0**step for step in range(15))
# The library appends _total to every counter's name; TensorFlow Serving does not.
_COUNTERS = re.compile(rf"^((?:# (?:HELP|TYPE) )?{_TF}[\w:]*_count)_total\b".encode(), re.MULTILINE)

Entrypoint = Literal["GRPC", "REST"]


class Metrics(Observer):
    """Counts what happens in one server; scrapes read `page`."""

    def __init__(self) -> None:
        disable_created_metrics()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            f"{_TF}request_count", "Requests.", ("model_name", "status"), registry=registry
        )
        self._latency = Histogram(
            f"{_TF}request_latency",
            "Microseconds from a request's arrival to its answer, where it succeeded.",
            ("model_name", "API", "entrypoint"),
            buckets=_MICROSECONDS,
            registry=registry,
        )
        self._queuing = Histogram(
            f"{_TF}batching_session:queuing_latency",
            "Microseconds that a request waited for its batch.",
            ("thread_pool_name",),
            buckets=_QUEUING,
            registry=registry,
        )
        self._batches = Counter(
            f"{_TF}batching_session:wrapped_run_count", "Batches computed.", registry=registry
        )
        self._batch_rows = Histogram(
            f"{_TF}batching_session:processed_batch_size",
            "Rows of a batch, with padding.",
            ("model_name",),
            buckets=_ROWS,
            registry=registry,
        )
        self._padding = Histogram(
            f"{_TF}batching_session:padding_size",
            "Rows of padding of a batch.",
            ("model_name",),
            buckets=(0.0, *_ROWS),
            registry=registry,
        )
        self._warm_up = Histogram(
            f"{_TF}model_warmup_latency",
            "Microseconds that a version's warm-up took.",
            ("model_path", "status"),
            buckets=_MICROSECONDS,
            registry=registry,
        )
        self._queue = Gauge(
            "apps_serving_queue_rows",
            "Rows that wait for a batch.",
            ("model_name", "version"),
            registry=registry,
        )
        self._states = Gauge(
            "apps_serving_version_state",
            "1 for the state that a version is in; END for a version that was refused.",
            ("model_name", "version", "state"),
            registry=registry,
        )
        self._state_of: dict[tuple[str, str], str] = {}
        self._names: set[str] = set()

    def page(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return _COUNTERS.sub(rb"\1", generate_latest(self._registry))

    def answered(
        self, name: str, api: str, entrypoint: Entrypoint, code: grpc.StatusCode, seconds: float
    ) -> None:
        """Count a request when its answer is ready to be sent.

        Args:
            name: the model that the client named; counted as an empty name where no such model is
                served, so that clients cannot make the page grow.
            api: the method, as the protocol spells it.
            entrypoint: the protocol.
            code: `OK`, or the error's code.
            seconds: since its arrival.
        """
        known = name if name in self._names else ""
        self._requests.labels(known, code.name).inc()
        if code is grpc.StatusCode.OK:
            self._latency.labels(known, api, entrypoint).observe(seconds * 1e6)

    def batch_executed(
        self, name: str, version: int, rows: int, padded_rows: int, waits: Sequence[float]
    ) -> None:
        self._batches.inc()
        self._batch_rows.labels(name).observe(padded_rows)
        self._padding.labels(name).observe(padded_rows - rows)
        queuing = self._queuing.labels(name)
        for seconds in waits:
            queuing.observe(seconds * 1e6)

    def queue_changed(self, name: str, version: int, rows: int) -> None:
        self._queue.labels(name, str(version)).set(rows)

    def version_changed(self, name: str, status: VersionStatus) -> None:
        self._names.add(name)
        key = (name, str(status.version))
        if key in self._state_of:
            self._states.remove(*key, self._state_of.pop(key))
        ended = status.state == "END"
        if ended:
            self._queue.remove(*key)
        if not ended or status.error_message:
            self._state_of[key] = status.state
            self._states.labels(*key, status.state).set(1)

    def warmed_up(self, name: str, version: int, records: int, seconds: float) -> None:
        self._warm_up.labels(f"{name}/{version}", "OK").observe(seconds * 1e6)
