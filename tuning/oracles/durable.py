"""What all oracles share: KerasTuner's proposals, with a state that survives being killed.

An oracle of KerasTuner proposes points of the space. This class decides which trial runs where and
what became of it, and keeps all of it in one file that is replaced in one step. KerasTuner's own
bookkeeping loses or repeats trials when it is killed between two of its files.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial, TrialStatus

from apps.atomic import write_atomically
from apps.errors import UserError
from tuning.clock import Clock
from tuning.finals import Finals, first_retraining
from tuning.folder import FORMAT, STATE, damaged, read_state
from tuning.record import DEFAULT, TrialRow, ranked
from tuning.settings import SearchSettings
from tuning.space import Space
from tuning.trials.job import COMPLETED, FAILED, Outcome


class DurableOracle(keras_tuner.Oracle):
    """Hands out trials: first those begun before, then the default, the search, and the finals.

    Args:
        settings: what the search was asked for.
        space: what is varied.
        folder: of the search.
        clock: counts the seconds that the search takes.
        **arguments: of KerasTuner's oracle.
    """

    def __init__(
        self,
        settings: SearchSettings,
        space: Space,
        folder: Path,
        clock: Clock,
        **arguments: Any,
    ) -> None:
        direction = "max" if settings.maximise else "min"
        super().__init__(
            objective=keras_tuner.Objective(settings.objective, direction),
            hyperparameters=space.hyperparameters(grid=settings.algorithm == "grid"),
            # KerasTuner takes a seed of 0 for none.
            seed=settings.seed + 1,
            **arguments,
        )
        self.verbose = 0
        self.settings, self.space, self.clock = settings, space, clock
        self.finals = Finals(settings, clock)
        self.rows: dict[str, TrialRow] = {}
        self._limits: dict[str, float] = {}
        self.folder = folder
        self.lock = threading.RLock()
        self._search_over = False
        self._set_project_dir(str(folder.parent), folder.name)

    # What workers ask for

    def create_trial(self, tuner_id: str) -> Trial:
        """The trial for a worker to run: the one it has, or the next.

        Returns:
            A trial whose status is RUNNING, or an empty one that says IDLE (wait) or STOPPED.
        """
        with self.lock:
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            trial = self._next()
            if trial.status == TrialStatus.RUNNING:
                self.ongoing_trials[tuner_id] = trial
                row = self.rows[trial.trial_id]
                if row.started is None:
                    self._set_row(trial.trial_id, started=self.clock.elapsed())
                self.limit(trial.trial_id)
                self._save_trial(trial)
                self.save()
            return trial

    def _next(self) -> Trial:
        if self._retry_queue:
            trial = self.trials[self._retry_queue.pop(0)]
            trial.status = TrialStatus.RUNNING
            return trial
        if DEFAULT not in self.trials:
            return self._begin(DEFAULT, self._default_values())
        if not self._search_over:
            response = self._proposal()
            if response["status"] == TrialStatus.RUNNING:
                return self._begin(self._new_id(), response["values"])
            if response["status"] == TrialStatus.IDLE or self.ongoing_trials:
                return self._empty(TrialStatus.IDLE)
            self._search_over = True
            self.finals.choose(self.rows)
            self.save()
        planned = self.finals.next(self.rows)
        if planned is not None:
            name, source = planned
            values = self.trials[source].hyperparameters.values
            return self._begin(
                name, {k: v for k, v in values.items() if not k.startswith("tuner/")}
            )
        return self._empty(TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED)

    def _proposal(self) -> Mapping[str, Any]:
        """The algorithm's next proposal, or that trials or minutes are used up."""
        searched = [row for row in self.rows.values() if row.id.isdigit()]
        counted = [row for row in searched if row.feasible]
        most = self.settings.trials
        # Trials over the budget do not count, but a space that holds no others must end too.
        if most is not None and (len(counted) >= most or len(searched) >= 10 * most):
            return {"status": TrialStatus.STOPPED}
        if not self.finals.time_for_another(self.rows):
            return {"status": TrialStatus.STOPPED}
        return self.populate_space(self._new_id())

    def _default_values(self) -> dict[str, Any]:
        space = self.get_space()
        space.values = {}
        for one in space.space:
            if space.is_active(one):
                space.values[one.name] = one.default
        return dict(space.values)

    def _begin(self, trial_id: str, values: Mapping[str, Any]) -> Trial:
        point = self.hyperparameters.copy()
        point.values = dict(values)
        trial = Trial(hyperparameters=point, trial_id=trial_id, status=TrialStatus.RUNNING)
        self._record_values(trial)
        self.trials[trial_id] = trial
        self.start_order.append(trial_id)
        self.rows[trial_id] = TrialRow(
            trial_id,
            "RUNNING",
            values=self.space.shown(trial.hyperparameters.values),
            round=values.get("tuner/round"),
            continues=values.get("tuner/trial_id"),
        )
        return trial

    def _new_id(self) -> str:
        return f"{1 + max((int(i) for i in self.trials if i.isdigit()), default=-1):04d}"

    def _empty(self, status: str) -> Trial:
        return Trial(hyperparameters=self.hyperparameters.copy(), trial_id="", status=status)

    def limit(self, trial_id: str) -> float:
        """Seconds that a trial may take, fixed when it is first handed out.

        A trial that is resumed has used a part of them, and its learning rate depends on them.
        """
        with self.lock:
            if trial_id not in self._limits:
                self._limits[trial_id] = self.finals.limit(self.rows, trial_id)
            return self._limits[trial_id]

    # What workers report

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Record what became of a trial; a trial that has ended already stays as it is."""
        with self.lock:
            trial = self.trials[trial_id]
            if trial.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):
                return
            if outcome.status not in (COMPLETED, FAILED):
                self.requeue(trial_id)
                return
            score, reason = outcome.score, outcome.reason
            if outcome.status == COMPLETED and (score is None or not math.isfinite(score)):
                score, reason = None, f"the score is {outcome.score}"
            # KerasTuner takes an infinite score for the best.
            completed = outcome.status == COMPLETED and score is not None
            trial.status = TrialStatus.COMPLETED if completed else TrialStatus.FAILED
            trial.message = reason or None
            if completed and score is not None:
                trial.score, trial.best_step = score, outcome.epochs
                for name, value in {**outcome.metrics, self.settings.objective: score}.items():
                    self._note(trial, name, value, outcome.epochs)
            self._forget(trial_id)
            self.end_order.append(trial_id)
            self._set_row(
                trial_id,
                status="COMPLETED" if completed else "FAILED",
                score=score if completed else None,
                seconds=outcome.seconds,
                reason="" if completed else reason,
                metrics={k: v for k, v in outcome.metrics.items() if math.isfinite(v)},
                cost=outcome.cost,
                epochs=outcome.epochs,
                accumulation_steps=outcome.accumulation_steps,
                feasible=not _beyond(outcome.cost, self.settings.budget),
                ended=self.clock.elapsed(),
            )
            self._ended(trial)
            self._save_trial(trial)
            self.save()

    def _ended(self, trial: Trial) -> None:
        """Tell the algorithm that a trial has ended."""

    def end_trial(self, trial: Trial) -> None:
        """Record the end that one of KerasTuner's own workers reports, by status and metrics."""
        metrics = (
            {name: trial.metrics.get_best_value(name) for name in trial.metrics.metrics}
            if trial.metrics
            else {}
        )
        done = trial.status == TrialStatus.COMPLETED
        outcome = Outcome(
            "COMPLETED" if done else "FAILED",
            reason="" if done else (trial.message or "reported as failed").split("\n")[-1],
            score=metrics.get(self.settings.objective),
            metrics=metrics,
        )
        self.end(trial.trial_id, outcome)

    def update_trial(self, trial_id: str, metrics: Mapping[str, float], step: int = 0) -> Trial:
        """Record intermediate results of KerasTuner's own workers."""
        with self.lock:
            trial = self.trials[trial_id]
            for name, value in metrics.items():
                self._note(trial, name, value, step)
            return trial

    def _note(self, trial: Trial, name: str, value: float, step: int) -> None:
        """Enter a metric in KerasTuner's own record of a trial."""
        if not trial.metrics.exists(name):
            up = self.settings.metric(name).better == "higher"
            trial.metrics.register(name, direction="max" if up else "min")
        trial.metrics.update(name, value, step=step)

    def requeue(self, trial_id: str) -> None:
        """Queue a running trial whose worker is gone or was interrupted."""
        with self.lock:
            if self.trials[trial_id].status != TrialStatus.RUNNING:
                return
            self._forget(trial_id)
            if trial_id not in self._retry_queue:
                self._retry_queue.append(trial_id)
            self.save()

    def release(self, tuner_id: str) -> None:
        """Take a worker's trial back, if it has one."""
        with self.lock:
            trial = self.ongoing_trials.get(tuner_id)
            if trial is not None:
                self.requeue(trial.trial_id)

    def owner(self, trial_id: str) -> str | None:
        """The worker that runs a trial."""
        with self.lock:
            for tuner_id, trial in self.ongoing_trials.items():
                if trial.trial_id == trial_id:
                    return tuner_id
            return None

    def _forget(self, trial_id: str) -> None:
        owner = self.owner(trial_id)
        if owner is not None:
            del self.ongoing_trials[owner]

    @property
    def over(self) -> bool:
        """Whether nothing is left to hand out or to wait for."""
        with self.lock:
            idle = not self.ongoing_trials and not self._retry_queue
            return idle and self._search_over and self.finals.next(self.rows) is None

    def superfluous(self) -> list[str]:
        """Ended trials whose checkpoints nothing will continue."""
        with self.lock:
            kept = self._promotable() | {row.id for row in self._leaders()}
            return [
                name
                for name, row in self.rows.items()
                if row.status != "RUNNING" and name not in kept
            ]

    def _promotable(self) -> set[str]:
        """Trials that the algorithm may still continue."""
        return set()

    def _leaders(self) -> list[TrialRow]:
        """The trials that may become the final run: the best, and first retrainings."""
        searched = [row for row in self.rows.values() if row.id.isdigit()]
        best = ranked(searched, self.settings.maximise)[:1]
        finalists = [
            self.rows[first_retraining(self.rows, name)]
            for name in self.finals.chosen
            if any(
                r.id.startswith(f"final-{name}-") and r.score is not None
                for r in self.rows.values()
            )
        ]
        return best + finalists

    @property
    def phase(self) -> str:
        """`searching`, `finals` or `done`."""
        if not self._search_over:
            return "searching"
        return "done" if self.over else "finals"

    # What is on disk

    def _set_row(self, trial_id: str, **changes: Any) -> None:
        self.rows[trial_id] = TrialRow(**{**asdict(self.rows[trial_id]), **changes})

    def save(self) -> None:
        """Replace the state on disk in one step."""
        with self.lock:
            state = {
                "format": FORMAT,
                "phase": self.phase,
                "elapsed": self.clock.elapsed(),
                "search_over": self._search_over,
                "finalists": self.finals.chosen,
                "limits": self._limits,
                "rows": {name: asdict(row) for name, row in self.rows.items()},
                "trials": {name: trial.get_state() for name, trial in self.trials.items()},
                "oracle": self.get_state(),
            }
            text = json.dumps(state)
            write_atomically(self.folder / STATE, lambda stream: stream.write(text.encode()))

    def reload(self, *, keep_ongoing: bool = False) -> None:
        """Read the state back.

        Args:
            keep_ongoing: leave running trials with their workers, which may live elsewhere; else
                hand them out again.

        Raises:
            UserError: the file is damaged.
        """
        file = self.folder / STATE
        with self.lock:
            state = read_state(self.folder)
            try:
                self.trials = {
                    name: Trial.from_state(trial) for name, trial in state["trials"].items()
                }
                self.rows = {name: TrialRow(**row) for name, row in state["rows"].items()}
                self.set_state(state["oracle"])
                self._search_over = state["search_over"]
                self.finals.chosen = state["finalists"]
                self._limits = dict(state["limits"])
                self.clock.earlier = float(state["elapsed"])
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                raise UserError(damaged(file, f"{type(error).__name__} {error}")) from error
            for trial in self.trials.values():
                self._save_trial(trial)
            if not keep_ongoing:
                for trial in list(self.ongoing_trials.values()):
                    self.requeue(trial.trial_id)

    def _save_trial(self, trial: Trial) -> None:
        """Write KerasTuner's file of a trial, which nothing here reads."""
        folder = self.folder / f"trial_{trial.trial_id}"
        folder.mkdir(exist_ok=True)
        text = json.dumps(trial.get_state(), indent=2)
        write_atomically(folder / "trial.json", lambda stream: stream.write(text.encode()))


def _beyond(cost: Mapping[str, float], budget: Mapping[str, float]) -> bool:
    return any(cost.get(name, 0.0) > bound for name, bound in budget.items())
