"""From a data source to a finished run folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from apps import catalogue, environment
from apps.application import Application
from apps.data import Examples, Prepared, read, split
from apps.errors import UserError
from apps.training.bootstrap import bootstrap_interval
from apps.training.golden import golden_answers, to_arrays
from apps.training.loop import Budget, Training, predict
from apps.training.provenance import describe_environment, peak_memory_mb
from apps.training.run import Run
from apps.training.run_folder import RunFolder, new_run_folder


def train(
    application: str,
    data: Any = "sample",
    *,
    validation: Any = None,
    columns: Mapping[str, str] | None = None,
    minutes: float | None = None,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    resume: bool = False,
    log: Callable[[str], None] | None = None,
    **settings: Any,
) -> Run:
    """Train an application on a data source.

    Args:
        application: a name of the catalogue.
        data: a source: file, folder, `tfds:NAME`, `sample` or an iterable of rows.
        validation: a source to choose by; a part of `data` is held out where it is None.
        columns: the application's column names to the source's, where they differ.
        minutes: budget of the whole call; the learning rate falls to zero within it.
        seed: seeds weights, dropout, data order and splits.
        run: the run folder; named after application and time unless given.
        resume: go on with a run that was interrupted, from its start where it had not got as far
            as making its folder.
        log: takes progress lines; standard error unless given.
        **settings: hyperparameters of the application.

    Returns:
        The finished run.

    Raises:
        UserError: settings, data or folder are at fault; nothing is left half-written.
        KeyboardInterrupt: with everything on disk that `resume` needs.
    """
    started = time.monotonic()
    say = log or environment.say
    kind = catalogue.load(application)
    config = kind.Config.from_values(settings)
    if minutes is not None and not 0 < minutes < 1e6:
        raise UserError(f"minutes={minutes}: give a positive number of minutes")
    if not 0 <= seed < 2**31:
        raise UserError(f"seed={seed}: give a whole number from 0 to {2**31 - 1}")
    folder = RunFolder(run or new_run_folder(application))
    about = {
        "application": application,
        "config": config.to_dict(),
        "data": {
            "train": _name(data),
            "validation": None if validation is None else _name(validation),
        },
        "columns": dict(columns or {}),
        "seed": seed,
    }
    going_on = resume and not folder.unbegun()
    if going_on:
        _check_same(folder, about)
        if folder.metrics.is_file() and folder.model.is_file():
            say(f"{folder.path}: training has finished already")
            finished = Run(folder.path)
            if not folder.report.is_file():
                say(f"report: {finished.report()}")
            return finished
    elif resume:
        say(f"{folder.path}: holds nothing to go on from; training starts from the beginning")
    keras.utils.set_random_seed(seed)
    learner = kind(config, seed)
    rows = read(data, kind.columns, rename=dict(columns or {}), sample=kind.sample, seed=seed)
    training, held_out, skipped = _divide(learner, rows, validation, columns)
    about["fingerprint"] = _fingerprint(training, held_out)
    if going_on:
        _check_same(folder, about)
    # Whatever the data or the settings have wrong shows before anything is written.
    learner.learn(training)
    usable = learner.check(held_out, learning=False)
    skipped += len(held_out) - len(usable)
    held_out = usable
    truth = learner.truth(held_out)
    learner.build()
    if going_on:
        folder.sweep()
    else:
        folder.create(about, describe_environment(seed))
    say(
        f"{len(training)} training rows, {len(held_out)} validation rows, {skipped} skipped (empty)"
    )
    baselines = _fit_baselines(learner, training, held_out, truth, folder, say)
    prepared = learner.prepare(held_out)
    session = Training(
        learner, learner.prepare(training), prepared, truth, folder, Budget(started, minutes), say
    )
    position = session.run()
    outputs = predict(learner.model, prepared)
    folder.write_model(learner.served())
    folder.write_arrays(folder.golden, to_arrays(golden_answers(learner, held_out)))
    folder.write_rows(folder.predictions, learner.predictions(held_out, outputs))
    metrics = {
        "examples": {"train": len(training), "validation": len(held_out), "skipped": skipped},
        "metrics": learner.measure(truth, outputs),
        "interval": bootstrap_interval(learner.measure, truth, outputs, seed=seed),
        "baselines": baselines,
        "cost": {
            "parameters": learner.model.count_params(),
            "ms_per_example": _milliseconds(learner.model, prepared),
            "peak_memory_mb": round(peak_memory_mb(), 1),
            "size_mb": round(folder.model.stat().st_size / 1e6, 3),
        },
        "seconds": round(position.seconds, 1),
        "stopped": position.stopped,
        "best": {"epoch": position.best["epoch"], "step": position.best["total"]}
        if position.best
        else {},
    }
    folder.write_json(folder.metrics, metrics)
    finished = Run(folder.path)
    say(f"report: {finished.report()}")
    return finished


def _divide(
    learner: Application, rows: Examples, validation: Any, columns: Mapping[str, str] | None
) -> tuple[Examples, Examples, int]:
    """Checked training and validation rows, and how many were dropped."""
    checked = learner.check(rows, learning=True)
    if validation is None:
        training, held_out = split(
            checked, learner.config.validation_fraction, learner.seed, stratify=learner.stratify
        )
        return training, held_out, len(rows) - len(checked)
    held_out = read(
        validation,
        learner.columns,
        rename=dict(columns or {}),
        sample=learner.sample,
        seed=learner.seed + 1,
    )
    return checked, held_out, len(rows) - len(checked)


def _fit_baselines(
    learner: Application,
    training: Examples,
    held_out: Examples,
    truth: np.ndarray,
    folder: RunFolder,
    say: Callable[[str], None],
) -> dict[str, dict[str, float]]:
    """Fit each baseline once, keep it in the run folder, and measure it on the validation rows."""
    measured = {}
    for name, baseline in learner.baselines().items():
        file = folder.baselines / f"{name}.npz"
        if file.is_file():
            baseline.restore(folder.read_arrays(file))
        else:
            baseline.fit(training)
            folder.write_arrays(file, baseline.state())
        measured[name] = learner.measure(truth, baseline.predict(held_out))
        score = measured[name][learner.objective]
        say(f"baseline {name}: {learner.objective} {score:.4f}")
    return measured


def _milliseconds(model: keras.Model, prepared: Prepared, rows: int = 20) -> float:
    """Median time of one example in a batch of its own, in milliseconds."""
    import tensorflow as tf

    call = tf.function(lambda inputs: model(inputs, training=False), reduce_retracing=True)
    times = []
    for row in range(min(rows, len(prepared.lengths)) * 2):
        number = row % len(prepared.lengths)
        batch = prepared.fetch(np.array([number]), int(prepared.lengths[number]))
        inputs = {tensor.name: tf.constant(batch[tensor.name]) for tensor in model.inputs}
        start = time.perf_counter()
        call(inputs).numpy()
        times.append(time.perf_counter() - start)
    return round(1e3 * float(np.median(times[len(times) // 2 :])), 3)


def _check_same(folder: RunFolder, about: Mapping[str, Any]) -> None:
    """Refuse to resume with other settings or other data than the run began with."""
    folder.require_started()
    before = folder.about()
    for key in ("application", "seed", "columns", "fingerprint"):
        if key in about and before[key] != about[key]:
            raise UserError(
                f"{folder.path}: was started with {_other(key, before[key])}; resume with the same"
            )
    for key, value in about["config"].items():
        if before["config"].get(key) != value:
            raise UserError(
                f"{folder.path}: was started with {key}={before['config'].get(key)}, not {value}; "
                "resume with the same settings"
            )


def _other(key: str, value: Any) -> str:
    return "other data" if key == "fingerprint" else f"{key} {value!r}"


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else f"<{type(source).__name__}>"


def _fingerprint(*parts: Examples) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for name in sorted(part.columns):
            digest.update(name.encode())
            for value in part[name]:
                digest.update(str(value).encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()[:16]
