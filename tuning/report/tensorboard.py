"""TensorBoard's HParams logs of a search, written without running TensorFlow.

Each trial is a run of TensorBoard with one event file; the experiment has one in the folder itself.
Files are made in memory and renamed into place, so that a reader never sees half of one, and a
trial that is written again does not appear twice.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from apps.atomic import write_atomically
from apps.report.quantities import finite
from tuning.record import SearchRecord, TrialRow
from tuning.report.columns import columns, range_of, read_range, searched

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary

_EXPERIMENT = "events.out.tfevents.0.experiment"
_TRIAL = "events.out.tfevents.0.trial"
_COSTS = ("latency_ms", "parameters", "size_mb", "memory_mb")


def write_trial(
    folder: Path, row: TrialRow, history: Sequence[Mapping[str, Any]], record: SearchRecord
) -> None:
    """Log a trial that has ended; a trial that is logged already stays as it is.

    Args:
        folder: the one to give to `tensorboard --logdir`.
        row: a trial that has completed or failed.
        history: its epochs, as the rows of `history.csv`: numbers or their texts by column.
        record: the search that it belongs to.

    Raises:
        ValueError: the trial still runs.
        OSError: it cannot be written.
    """
    if row.status == "RUNNING":
        raise ValueError(f"trial {row.id} still runs")
    _write_experiment(folder, record)
    file = folder / row.id / _TRIAL
    if not file.exists():
        _write(file, _trial_events(row, history, record))


def _write_experiment(folder: Path, record: SearchRecord) -> None:
    """Write which hyperparameters and metrics there are; trials may add to them."""
    file = folder / _EXPERIMENT
    content = _serialised([_event(_experiment(record), wall_time=0.0)], wall_time=0.0)
    if not file.exists() or file.read_bytes() != content:
        _put(file, content)


def _experiment(record: SearchRecord) -> Summary:
    from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2

    measured = [name for row in record.trials for name in row.metrics]
    costs = [name for name in _COSTS if any(name in row.cost for row in record.trials)]
    tags = dict.fromkeys([record.settings.objective, *measured, *costs, "seconds", "epochs"])
    experiment = api_pb2.Experiment(
        hparam_infos=[_hyperparameter(name, record) for name in searched(record)],
        metric_infos=[api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in tags],
    )
    data = plugin_data_pb2.HParamsPluginData(experiment=experiment)
    return _plugin_summary(metadata.EXPERIMENT_TAG, data)


def _hyperparameter(name: str, record: SearchRecord) -> Any:
    """A searched hyperparameter and its domain: its range, or the values of the trials."""
    from tensorboard.plugins.hparams import api_pb2, summary_v2

    low, high, _, choices = read_range(range_of(name, record.settings))
    values = [t[name] for t in _tables(record) if name in t]
    domain: summary_v2.Domain
    if all(isinstance(value, bool) for value in values):
        domain = summary_v2.Discrete([False, True])
    elif all(finite(value) for value in values):
        ends = [float(v) for v in (*values, low, high) if v is not None]
        domain = summary_v2.RealInterval(min(ends), max(ends))
    else:
        domain = summary_v2.Discrete(sorted({*map(str, values), *choices}), dtype=str)
    # By default TensorBoard hides a hyperparameter as one that does not differ.
    info = api_pb2.HParamInfo(name=name, differs=True)
    domain.update_hparam_info(info)
    return info


def _tables(record: SearchRecord) -> list[dict[str, Any]]:
    return [columns(row.values) for row in record.trials]


def _trial_events(
    row: TrialRow, history: Sequence[Mapping[str, Any]], record: SearchRecord
) -> Iterator[Event]:
    """Values, a curve for each column of the history, the figures of the best epoch, the end."""
    from tensorboard.plugins.hparams import (
        api_pb2,
        metadata,
        plugin_data_pb2,
        summary_v2,
    )

    now = time.time()
    began = now - row.seconds
    texts = {
        name
        for table in _tables(record)
        for name, value in table.items()
        if not isinstance(value, bool) and not finite(value)
    }
    names = searched(record)
    values = {
        name: str(value) if name in texts else value
        for name, value in columns(row.values).items()
        if name in names
    }
    start = summary_v2.hparams_pb(values, trial_id=row.id, start_time_secs=began)
    yield _event(start, wall_time=began)
    for epoch in history:
        step, seconds = _number(epoch.get("epoch")), _number(epoch.get("seconds"))
        for name, text in epoch.items():
            value = _number(text)
            if step is not None and value is not None and name not in ("epoch", "seconds"):
                at = min(began + (seconds or 0.0), now)
                yield _scalar(f"epoch/{name}", value, int(step), at)
    # The HParams table shows the last value of a tag, which has to be that of the best epoch.
    figures = {**row.metrics, **row.cost, "seconds": row.seconds, "epochs": row.epochs}
    if row.score is not None:
        figures[record.settings.objective] = row.score
    for name, figure in figures.items():
        if finite(figure):
            yield _scalar(name, figure, row.epochs, now)
    ended = plugin_data_pb2.SessionEndInfo(
        status=api_pb2.STATUS_SUCCESS if row.status == "COMPLETED" else api_pb2.STATUS_FAILURE,
        end_time_secs=now,
    )
    data = plugin_data_pb2.HParamsPluginData(session_end_info=ended)
    yield _event(_plugin_summary(metadata.SESSION_END_INFO_TAG, data), wall_time=now)


def _plugin_summary(tag: str, data: Any) -> Summary:
    """A summary that carries plugin data and no value of its own."""
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.plugins.hparams import metadata

    summary = Summary()
    about = metadata.create_summary_metadata(data)
    summary.value.add(tag=tag, metadata=about, tensor=metadata.NULL_TENSOR)
    return summary


def _number(value: Any) -> float | None:
    """A cell of a history as a number; None where it is empty or not finite."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if finite(number) else None


def _scalar(tag: str, value: float, step: int, wall_time: float) -> Event:
    from tensorboard.plugins.scalar.summary_v2 import scalar_pb

    return _event(scalar_pb(tag, value), step=step, wall_time=wall_time)


def _event(summary: Summary, *, step: int = 0, wall_time: float) -> Event:
    from tensorboard.compat.proto.event_pb2 import Event

    return Event(summary=summary, step=step, wall_time=wall_time)


def _write(file: Path, events: Iterable[Event]) -> None:
    _put(file, _serialised(events, wall_time=time.time()))


def _serialised(events: Iterable[Event], wall_time: float) -> bytes:
    """An event file: the version, then the events, each with its length and checksums."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    buffer = io.BytesIO()
    writer = RecordWriter(buffer)
    first = Event(wall_time=wall_time, file_version="brain.Event:2")
    for event in (first, *events):
        writer.write(event.SerializeToString(deterministic=True))
    return buffer.getvalue()


def _put(file: Path, content: bytes) -> None:
    # TensorBoard reads any file with "tfevents" in its name, so that the rename comes last.
    complete = file.parent / ".complete"
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(complete, lambda stream: stream.write(content))
    os.replace(complete, file)
