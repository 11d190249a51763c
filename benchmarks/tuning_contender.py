"""One contender of `benchmarks.tuning`: prints its result as one line of JSON."""

from __future__ import annotations

import json
import math
import sys
import time
from typing import Any

import optuna

import apps
import tuning
from apps import catalogue
from apps.training.plan import Plan
from apps.training.session import Session
from tuning.space import Space


def main() -> None:
    """Run the contender that the first argument describes."""
    task = json.loads(sys.argv[1])
    run = {"default": _default, "optuna": _optuna}.get(task["contender"], _tuning)
    print(json.dumps(run(task)))


def _default(task: dict[str, Any]) -> dict[str, Any]:
    """The default configuration within the space, trained for at most the whole time."""
    began = time.monotonic()
    space = Space(catalogue.load(task["application"]).Config, task["fixed"], task["space"])
    default = space.settings(space.hyperparameters().values)
    run = apps.train(
        task["application"],
        task["train"],
        seed=task["seed"],
        run=task["folder"],
        minutes=task["minutes"],
        **{**default, "objective": task["objective"]},
    )
    seconds = time.monotonic() - began
    score = run.metrics["metrics"][task["objective"]]
    return {
        "test": run.evaluate(task["test"])["accuracy"],
        "score": score,
        "maximise": run.application.judge.better == "higher",
        "trials": 1,
        "seconds": seconds,
        "curve": [(seconds, score)],
    }


def _tuning(task: dict[str, Any]) -> dict[str, Any]:
    """One of our searches, retraining included."""
    began = time.monotonic()
    found = tuning.search(
        task["application"],
        task["train"],
        algorithm=task["contender"],
        minutes=task["minutes"],
        objective=task["objective"],
        fix=task["fixed"],
        space=task["space"],
        seed=task["seed"],
        finalists=task["finalists"],
        seeds=task["final_seeds"],
        run=task["folder"],
        log=lambda line: None,
    )
    seconds = time.monotonic() - began
    record = found.record
    sign = 1.0 if record.settings.maximise else -1.0
    ended = sorted((row.ended or 0.0, row.score) for row in record.leaderboard())
    curve, best = [], -math.inf
    for when, score in ended:
        if score is not None and sign * score > best:
            best = sign * score
            curve.append((when, score))
    fits = sum(row.seconds for row in record.trials)
    return {
        "test": found.run.evaluate(task["test"])["accuracy"],
        "score": curve[-1][1],
        "maximise": record.settings.maximise,
        "trials": len(record.trials),
        "seconds": seconds,
        "trial_seconds": fits,
        "finals": [(final.trial, final.mean, final.spread) for final in record.finals],
        "winner": found.best,
        "curve": curve,
    }


def _optuna(task: dict[str, Any]) -> dict[str, Any]:
    """Optuna's TPE with its median pruner, over the same space, with the same loop."""
    began = time.monotonic()
    kind = catalogue.load(task["application"])
    space = Space(kind.Config, task["fixed"], task["space"])
    judge = kind(kind.Config.from_values({"objective": task["objective"]})).judge
    maximise = judge.better == "higher"
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize" if maximise else "minimize",
        sampler=optuna.samplers.TPESampler(seed=task["seed"]),
        pruner=optuna.pruners.MedianPruner(),
    )
    study.enqueue_trial(space.hyperparameters().values)
    deadline = began + 60 * task["minutes"]
    curve: list[tuple[float, float]] = []

    def objective(trial: optuna.Trial) -> float:
        session = Session(
            _plan(task, space.settings(_suggested(trial, space))),
            run=f"{task['folder']}-{trial.number}",
            # As in our searches, a trial may take at most a quarter of the time, and what is left.
            minutes=max(0.1, min(task["minutes"] / 4, (deadline - time.monotonic()) / 60)),
            log=lambda line: None,
        )

        def report(position: Any) -> None:
            trial.report(position.best["value"], position.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        best = session.fit(on_epoch=report).best
        assert best is not None
        score = best["value"]
        curve.append((time.monotonic() - began, score))
        return score

    left = deadline - time.monotonic()
    study.optimize(objective, timeout=left, catch=(apps.UserError,))
    seconds = time.monotonic() - began
    best = study.best_trial
    session = Session(
        _plan(task, space.settings(best.params)),
        run=f"{task['folder']}-{best.number}",
        minutes=task["minutes"] / 4,
        resume=True,
        log=lambda line: None,
    )
    session.fit()
    return {
        "test": apps.load(session.finish()).evaluate(task["test"])["accuracy"],
        "score": best.value,
        "maximise": maximise,
        "trials": len(study.trials),
        "seconds": seconds,
        "curve": curve,
    }


def _plan(task: dict[str, Any], settings: dict[str, Any]) -> Plan:
    settings = {**settings, "objective": task["objective"]}
    return Plan(task["application"], task["train"], seed=task["seed"], settings=settings)


def _suggested(trial: optuna.Trial, space: Space) -> dict[str, Any]:
    """A point of the space, each hyperparameter drawn where its condition holds."""
    import keras_tuner

    point = keras_tuner.HyperParameters()
    for one in space.hyperparameters().space:
        point.merge([one])
        if not point.is_active(one):
            continue
        if isinstance(one, keras_tuner.engine.hyperparameters.Choice):
            value = trial.suggest_categorical(one.name, one.values)
        else:
            whole = isinstance(one, keras_tuner.engine.hyperparameters.Int)
            suggest = trial.suggest_int if whole else trial.suggest_float
            value = suggest(one.name, one.min_value, one.max_value, log=one.sampling == "log")
        point.values[one.name] = value
    return point.values


if __name__ == "__main__":
    main()
