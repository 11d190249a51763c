"""The sources of a search, read and checked before any trial starts."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from apps.application import Application
from apps.data import Examples, read
from apps.data.fingerprint import fingerprint
from apps.training.plan import Plan
from tuning.folder import SOURCES, SearchFolder
from tuning.settings import SearchSettings

_BUILT_IN = "sample"


def read_sources(
    asked: SearchSettings,
    probe: Application,
    folder: SearchFolder,
    data: Any,
    validation: Any,
    test: Any,
) -> tuple[SearchSettings, dict[str, Examples]]:
    """Read and check all sources of a search, so that a bad one is refused before anything trains.

    Args:
        asked: what the search is asked for.
        probe: the application with the values that all trials share; it learns the labels.
        folder: of the search.
        data, validation, test: sources; None where there is none.

    Returns:
        The settings with the sources' places, the rows' fingerprint and how many test rows are
        also searched on; and the rows of those sources that are in memory, by name.

    Raises:
        UserError: a source cannot be read, or no model can be trained or measured on it.
    """
    checked: dict[str, Examples] = {}
    places: dict[str, str] = {}
    in_memory: dict[str, Examples] = {}
    limits = {
        "data": (asked.since, asked.until),
        "validation": (None, None),
        "test": (asked.test_since, asked.test_until),
    }
    for name, source in zip(SOURCES, (data, validation, test), strict=True):
        if source is None:
            continue
        rows = read(
            source,
            probe.columns(),
            rename=asked.columns,
            sample=probe.sample,
            seed=asked.seed + (name != "data"),
        )
        counting = probe.input.within(rows, *limits[name])
        if (labels := asked.test_labels if name == "test" else asked.labels) is not None:
            counting = probe.input.labelled(counting, labels)
            places["test_labels" if name == "test" else "labels"] = os.path.abspath(labels)
        if name == "data" and asked.folds:
            probe.input.origins(counting, asked.folds, asked.since is not None)
        checked[name] = probe.check(counting, learning=name == "data")
        if name == "data":
            _learn(probe, asked, checked[name], divided=validation is None)
        if not isinstance(source, (str, os.PathLike)):
            in_memory[name] = rows
            places[name] = str(folder.rows_of(name))
        elif source != _BUILT_IN and os.path.exists(source):
            places[name] = os.path.abspath(source)
    searched = [rows for name, rows in checked.items() if name != "test"]
    digest = fingerprint(*searched, columns=probe.columns())
    about: dict[str, Any] = {**places, "fingerprint": digest}
    if test is not None:
        about["test_overlap"] = probe.input.overlap(checked["test"], searched)
    return dataclasses.replace(asked, **about), in_memory


def _learn(probe: Application, asked: SearchSettings, rows: Examples, *, divided: bool) -> None:
    """Have the probe learn what a trial learns before its model is built.

    Args:
        probe: the application.
        asked: what the search is asked for.
        rows: checked rows.
        divided: whether a part of them is held out.
    """
    training = rows
    if divided:
        fraction = probe.config.validation_fraction
        training, _ = probe.input.split(rows, fraction, probe.task.stratify)
    chosen = probe.settings_for(probe.input.units(training))
    settings = {**asked.fix, "objective": asked.objective}
    probe.configure(Plan(asked.application, settings=settings).choosing(chosen).config)
    probe.adapted.update(probe.input.adapt(rows))
    probe.adapted.update(probe.task.adapt(rows))
