"""Hyperband, Bayesian optimisation, random and grid search of KerasTuner."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from threadpoolctl import threadpool_limits

from tuning.clock import Clock
from tuning.oracles.durable import DurableOracle
from tuning.record import DEFAULT
from tuning.settings import SearchSettings
from tuning.space import Space

_FACTOR = 3
_CANDIDATES, _CENTRES = 2000, 5


class RandomOracle(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    """Points drawn at random, none twice."""


class HyperbandOracle(DurableOracle, keras_tuner.oracles.HyperbandOracle):
    """Many short trainings, of which the best go on: Li et al. 2018, "Hyperband", JMLR 18.

    The longest training has the epochs of the Config. A promoted trial continues the training of
    the trial that it comes from, on the same learning-rate schedule.
    """

    hyperband_iterations: float

    def _ended(self, trial: Trial) -> None:
        """Let another point replace one that failed, before its bracket halves."""
        if trial.status != TrialStatus.FAILED:
            return
        for bracket in self._brackets:
            first = bracket["rounds"][0]
            replaced = bracket.setdefault("replaced", 0)
            known = [info for info in first if info["id"] == trial.trial_id]
            # Even where everything fails, a bracket has to end.
            if known and replaced < self._get_size(bracket["bracket_num"], 0):
                first.remove(known[0])
                bracket["replaced"] = replaced + 1

    def set_state(self, state: Mapping[str, Any]) -> None:
        # The present call says how often to begin anew: without end if it has minutes or trials.
        asked = self.hyperband_iterations
        super().set_state(state)
        self.hyperband_iterations = asked

    def _promotable(self) -> set[str]:
        if self._search_over:
            return set()
        began = {info["id"] for b in self._brackets for halving in b["rounds"] for info in halving}
        went_on = {
            info["past_id"] for b in self._brackets for halving in b["rounds"] for info in halving
        }
        # A promoted trial reads the checkpoints of its past when it begins.
        read = {row.continues for row in self.rows.values() if row.status == "RUNNING"}
        return (began - went_on) | {name for name in read if name is not None}


class BayesianOracle(DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """A Gaussian process over the trials so far proposes the next one."""

    def _make_gpr(self) -> GaussianProcessRegressor:
        """A process with a length scale for each hyperparameter, and with noise in the scores.

        KerasTuner's has one length scale for all, and no noise, which another seed makes.
        """
        dimensions = len(self._nonfixed_space())
        kernel = Matern(np.full(dimensions, 0.5), (0.1, 10.0), nu=2.5)
        return GaussianProcessRegressor(
            ConstantKernel(1.0, (0.1, 10.0)) * kernel + WhiteKernel(0.1, (1e-3, 1.0)),
            n_restarts_optimizer=2,
            normalize_y=True,
            random_state=self.seed,
        )

    def populate_space(self, trial_id: str) -> Mapping[str, Any]:
        """The point with the best lower confidence bound; random points until there are a few.

        KerasTuner climbs from 50 places with numerical gradients, which takes seconds. Judging a
        few thousand points at once, and then others close to the best, takes a fraction of that.
        """
        # KerasTuner does not save the state of its generator.
        draw = np.random.default_rng(self.seed + len(self.trials))
        done = sum(trial.status == TrialStatus.COMPLETED for trial in self.trials.values())
        if done < self.num_initial_points:
            return self._random_populate_space()
        points, scores = self._vectorize_trials()
        # On such small matrices several threads are slower, and take time from the trials.
        with threadpool_limits(1), warnings.catch_warnings():
            # A hyperparameter that does nothing reaches the bounds of the kernel, as intended.
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.gpr.fit(points, scores)
        dimensions = points.shape[1]
        centres = points[np.argsort(scores)[:_CENTRES]]
        near = [c + draw.normal(0.0, 0.15, (_CANDIDATES // 10, dimensions)) for c in centres]
        candidates = np.concatenate([draw.uniform(size=(_CANDIDATES, dimensions)), *near])
        for width in (0.05, 0.02):
            chosen = self._promising(candidates)[:_CENTRES]
            near = [c + draw.normal(0.0, width, (_CANDIDATES // 10, dimensions)) for c in chosen]
            candidates = np.concatenate([chosen, *near])
        for point in self._promising(candidates):
            values = self._vector_to_values(point)
            if not self._duplicate(values):
                return {"status": TrialStatus.RUNNING, "values": values}
        return self._random_populate_space()

    def _promising(self, candidates: np.ndarray) -> np.ndarray:
        """Candidates inside the space, best lower confidence bound first."""
        # At exactly 1 KerasTuner's whole numbers exceed their upper bound by one.
        inside = np.clip(candidates, 0.0, 1.0 - 1e-9)
        mean, deviation = self.gpr.predict(inside, return_std=True)
        return inside[np.argsort(mean - self.beta * deviation)]

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        """Trials as points; failed ones get the worst score, so that the process avoids them."""
        everything = self.trials
        running = {trial.trial_id for trial in self.ongoing_trials.values()}
        done = [t.score for t in everything.values() if t.status == TrialStatus.COMPLETED]
        worst = min(done) if self.settings.maximise else max(done)
        self.trials = {}
        for name, trial in everything.items():
            if trial.status == TrialStatus.FAILED:
                trial = copy.copy(trial)
                trial.status, trial.score = TrialStatus.COMPLETED, worst
            # Others neither run nor have a score: they wait to be handed out again.
            if trial.status == TrialStatus.COMPLETED or name in running:
                self.trials[name] = trial
        try:
            return super()._vectorize_trials()
        finally:
            self.trials = everything


class GridOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """Every combination of a few values of each hyperparameter, the default first."""

    def _begin(self, trial_id: str, values: Mapping[str, Any]) -> Trial:
        if trial_id == DEFAULT:
            self._ordered_ids.insert(trial_id)
            self._populate_next.append(trial_id)
        return super()._begin(trial_id, values)

    def _ended(self, trial: Trial) -> None:
        if trial.trial_id.isdigit():
            self._populate_next.append(trial.trial_id)

    def get_state(self) -> dict[str, Any]:
        ordered = self._ordered_ids
        chain, index = [], ordered._next_index[None]
        while index is not None:
            chain.append(ordered._memory[index])
            index = ordered._next_index[index]
        return {**super().get_state(), "ordered": chain, "next": self._populate_next}

    def set_state(self, state: Mapping[str, Any]) -> None:
        super().set_state(state)
        previous = None
        for trial_id in state["ordered"]:
            self._ordered_ids.insert(trial_id, previous)
            previous = trial_id
        self._populate_next = list(state["next"])


def make_oracle(
    settings: SearchSettings, space: Space, folder: Path, clock: Clock, *, epochs: int
) -> DurableOracle:
    """The oracle of a search, with nothing tried yet.

    Args:
        settings: what the search was asked for.
        space: what it varies.
        folder: of the search.
        clock: counts its seconds.
        epochs: of the longest training, for Hyperband.
    """
    common: dict[str, Any] = {
        "settings": settings,
        "space": space,
        "folder": folder,
        "clock": clock,
    }
    if settings.algorithm == "hyperband":
        unlimited = settings.minutes is not None or settings.trials is not None
        return HyperbandOracle(
            **common,
            max_epochs=epochs,
            factor=_FACTOR,
            # None is without end, until trials or minutes are used up.
            hyperband_iterations=None if unlimited else 1,
        )
    if settings.algorithm == "bayesian":
        # With KerasTuner's own 3 per hyperparameter most searches would only draw at random.
        first = max(4, len(space.dimensions) // 2)
        return BayesianOracle(**common, num_initial_points=first)
    return {"random": RandomOracle, "grid": GridOracle}[settings.algorithm](**common)
