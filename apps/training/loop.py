"""The fit loop: budgeted, early-stopped, checkpointed, resumable to the same data order."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from apps.application import Application
from apps.data import View, dataset
from apps.data.views.pipeline import Elements
from apps.errors import UserError
from apps.layers.kernels.dispatch import for_this_process
from apps.training.carried import Carried, as_arrays
from apps.training.checkpoints import Checkpoints, Position
from apps.training.choosing import Score
from apps.training.distribution import Distribution
from apps.training.gradients import batch_gradients
from apps.training.interrupt import interrupt_between_steps
from apps.training.measuring import provisional_metrics
from apps.training.optimizer import LazyAdam
from apps.training.pacing import Pacing
from apps.training.prediction import Predictor
from apps.training.run_folder import RunFolder

_ENDS = {
    "epochs": "all epochs are done",
    "patience": "validation stopped improving",
    "minutes": "the minutes are used up",
}


_REASONS = {
    "epochs": "the learning rate has come down to nothing; a larger --epochs makes it fall later",
    "patience": "more passes would learn the training rows by heart; a larger patience makes them",
}
# Epochs of fewer steps have no progress bar; of many epochs, so many are told of.
_SHORT, _LINES = 10, 100


@dataclass(frozen=True)
class Budget:
    """How long training may take.

    Attributes:
        started: `time.monotonic()` at the start of the whole command.
        minutes: for the whole command; None for as long as the epochs take.
        anneal: whether the learning rate falls to zero within the minutes, if the epochs do not
            end before; else it depends on no clock.
        checkpoint_seconds: longest time between two checkpoints.
    """

    started: float
    minutes: float | None = None
    checkpoint_seconds: float = 30.0
    anneal: bool = True

    def spent(self, earlier: float = 0.0) -> float:
        """Share of the minutes that are gone, 0 where they are unlimited.

        Args:
            earlier: seconds that earlier sessions of the run have taken.
        """
        if self.minutes is None:
            return 0.0
        return (time.monotonic() - self.started + earlier) / (60 * self.minutes)


class Training:
    """Trains an application's model on the units of a view.

    Args:
        application: with its model built.
        train: units to learn from, with targets.
        validation: units to choose by, with targets.
        truth: what the task gives for the latter beside targets, if anything.
        folder: the run folder, for checkpoints and history.
        budget: how long it may take.
        log: takes a line for the user.
        distribution: where it runs, the application's model made in its scope; one device unless
            given.
    """

    def __init__(
        self,
        application: Application,
        train: View,
        validation: View,
        truth: np.ndarray | None,
        folder: RunFolder,
        budget: Budget,
        log: Callable[[str], None],
        distribution: Distribution | None = None,
    ) -> None:
        config = application.config
        self.application = application
        self.train, self.validation, self.truth = train, validation, truth
        self.folder, self.budget, self.log = folder, budget, log
        self.model = application.model
        self.predictor = Predictor(application)
        self.carried = Carried(self.model)
        self.pacing = Pacing(self.model, application.paces())
        self.distribution = distribution or Distribution()
        with self.distribution.scope():
            self.optimizer = LazyAdam(
                config.learning_rate,
                weight_decay=config.weight_decay,
                epsilon=1e-8,
                use_ema=config.averaging > 0,
                ema_momentum=config.averaging,
            )
            self.optimizer.exclude_from_weight_decay(var_names=["embedding", "bias"])
            self.optimizer.build(self.model.trainable_variables)
        self.checkpoints = Checkpoints(folder, self.model, self.optimizer, self.distribution)
        self.steps = train.steps(config.batch_size)
        self._earlier = 0.0
        self._position: Position | None = None
        self._ended = False
        self._step: Callable[[Mapping[str, tf.Tensor]], Any] | None = None
        # How many stages have begun that all is arranged for.
        self._arranged: int | None = None
        self._views, self._validating = (train, validation), self.predictor
        self._states: dict[str, tf.Tensor] = {}
        self._paced: tuple[float, int] | None = None

    def run(
        self,
        epochs: int | None = None,
        on_epoch: Callable[[Position], None] | None = None,
        on_step: Callable[[Position], None] | None = None,
    ) -> Position:
        """Train to the end, from the last checkpoint if there is one, and load the best weights.

        Args:
            epochs: return once so many epochs in all are complete, with the weights of the last.
            on_epoch: is called after each epoch, its checkpoint written.
            on_step: is called after each step.

        Returns:
            The position reached; its history has a row for each epoch.

        Raises:
            UserError: the loss is not finite.
            KeyboardInterrupt: after a checkpoint was written.
        """
        with self.distribution.together():
            position = self._position
            if position is None:
                position, carried = self.checkpoints.restore()
                self._position, self._earlier = position, position.seconds
                self._states = {name: tf.constant(state) for name, state in carried.items()}
            while not position.stopped and (epochs is None or position.epoch < epochs):
                self._run_epoch(position, on_step)
                self._close_epoch(position)
                if on_epoch:
                    on_epoch(position)
            self.folder.write_history(position.history)
            if position.stopped and not self._ended:
                self._ended = True
                self.checkpoints.restore_best(position)
                best = position.best or {}
                end = _ENDS[position.stopped]
                self.log(f"{end}; the weights of epoch {best.get('epoch')} are kept")
                if position.stopped != "minutes" and self.budget.minutes is not None:
                    self.log(
                        f"{self.minutes_left(position):.1f} of {self.budget.minutes:g} minutes are "
                        f"left: {_REASONS[position.stopped]}"
                    )
        return position

    def _run_epoch(self, position: Position, on_step: Callable[[Position], None] | None) -> None:
        config = self.application.config
        # It may take long, and may be interrupted.
        self._let_layers_begin(position)
        if self.carried and not self._states:
            self._states = self.carried.zeros(config.batch_size)
        losses: list[tf.Tensor] = []
        saved = time.monotonic()
        progress = tqdm(
            total=self.steps,
            initial=position.step,
            desc=f"epoch {position.epoch + 1}/{config.epochs}",
            unit="step",
            file=sys.stderr,
            mininterval=0.5 if sys.stderr.isatty() else 20.0,
            dynamic_ncols=True,
            disable=not self.distribution.chief or self.steps < _SHORT,
        )
        with progress as bar, interrupt_between_steps() as interrupted:
            for batch in self._batches(position):
                rate = self._learning_rate(position)
                if self.budget.minutes is not None:
                    rate = self.distribution.rate(rate)
                self.optimizer.learning_rate.assign(rate)
                assert self._step is not None
                loss, self._states = self._step({**batch, **self._states})
                losses.append(loss)
                position.step += 1
                position.total += 1
                bar.update()
                if on_step:
                    on_step(position)
                if len(losses) >= 10:
                    self._count(losses, position)
                    bar.set_postfix_str(
                        f"loss {position.loss_sum / position.loss_steps:.4f}", refresh=False
                    )
                stopping, saving, late = self.distribution.agreed(
                    interrupted(),
                    time.monotonic() - saved > self.budget.checkpoint_seconds,
                    self._out_of_time(position),
                )
                if stopping or saving:
                    self._count(losses, position)
                    self._save(position)
                    saved = time.monotonic()
                if stopping:
                    raise KeyboardInterrupt
                if late:
                    position.stopped = "minutes"
                    break
            self._count(losses, position)

    def _close_epoch(self, position: Position) -> None:
        with self.optimizer.averaged():
            self._judge_epoch(position)
        self._save(position)
        self.folder.write_history(position.history)

    def _judge_epoch(self, position: Position) -> None:
        application, config = self.application, self.application.config
        metrics, score = self._validated()
        loss = position.loss_sum / max(position.loss_steps, 1)
        position.epoch += 1
        position.history.append(
            {
                "epoch": position.epoch,
                "step": position.total,
                "seconds": round(self._seconds(), 2),
                "learning_rate": float(self.optimizer.learning_rate.numpy()),
                "loss": loss,
                "val_loss": score.loss,
                **{f"val_{name}": value for name, value in metrics.items()},
            }
        )
        position.step, position.loss_sum, position.loss_steps = 0, 0.0, 0
        if score.beats(Score.of(position.best), application.judge):
            at = {"epoch": position.epoch, "total": position.total}
            position.best = {**at, **asdict(score)}
            position.stale = 0
            self.checkpoints.save_best(position)
        else:
            position.stale += 1
        if position.epoch >= config.epochs:
            position.stopped = position.stopped or "epochs"
        elif position.stale >= config.patience and not self.pacing.waiting(position.begun):
            position.stopped = position.stopped or "patience"
        # A line for each of a thousand epochs of two steps would hide all others.
        if position.stopped or position.epoch % max(1, config.epochs // _LINES) == 0:
            known = {name: value for name, value in metrics.items() if math.isfinite(value)}
            shown = "".join(f"  {name} {value:.4f}" for name, value in known.items())
            self.log(f"epoch {position.epoch}: loss {loss:.4f}  validation:{shown}")

    def _validated(self) -> tuple[dict[str, float], Score]:
        """Validation metrics, measured once for all processes, which must not differ over them."""
        _, view = self._views

        def measure() -> bytes:
            metrics, score = provisional_metrics(
                self.application, self._validating, view, self.truth
            )
            return json.dumps([metrics, asdict(score)]).encode()

        metrics, score = json.loads(self.distribution.from_chief(measure))
        return metrics, Score(**score)

    def _batches(self, position: Position) -> Iterator[dict[str, tf.Tensor]]:
        """What is left of the epoch, `_step` being the one that takes the batch."""
        config = self.application.config
        while True:
            view, _ = self._views
            batches = view.epoch(config.batch_size, self.application.seed, position.epoch)
            data = dataset(view, batches, start=position.step)
            if self._step is None:
                self._step = self._traced(data, position)
            for batch in data:
                if self._let_layers_begin(position):
                    break
                yield batch
            else:
                return

    def _let_layers_begin(self, position: Position) -> bool:
        """Arrange all for the layers that learn from here on; tells whether that is a change."""
        while self.pacing.waiting(position.begun):
            share = self._done(position)
            if self.budget.minutes is not None:
                share = self.distribution.rate(share)
            names = self.pacing.due(position.begun, share)
            if not names:
                break
            position.begun.append(position.total)
            position.stale = 0
            self.log(f"epoch {position.epoch + 1}: begin to learn: {', '.join(names)}")
        if self._arranged == len(position.begun):
            return False
        self._arranged, self._step = len(position.begun), None
        self.optimizer.pace(self.pacing.learning(position.begun))
        with self.pacing.frozen(position.begun):
            short = self.application.shortcut()
        self._views, self._validating = (self.train, self.validation), self.predictor
        if short:
            self._views = (short.view(self.train), short.view(self.validation))
            self._validating = Predictor(self.application, short.model)
        return True

    def _traced(self, data: Elements, position: Position) -> Callable[..., Any]:
        """The step as one graph that takes every batch, of whatever length."""
        step = tf.function(self._train_step)
        # What does not learn has no part in it.
        with self.pacing.frozen(position.begun), for_this_process():
            return step.get_concrete_function({**data.element_spec, **self.carried.specs()})

    def _train_step(self, batch: Mapping[str, tf.Tensor]) -> tuple[tf.Tensor, Any]:
        return self.distribution.run(self._replica_step, self.carried.begun(batch))

    def _replica_step(self, batch: Mapping[str, tf.Tensor], weight: Any) -> tuple[tf.Tensor, Any]:
        """A device's own share of a step; every device ends with the same weights."""
        config = self.application.config
        own = batch_gradients(self.application, batch, weight, config.accumulation_steps)
        loss, gradients = self.distribution.summed((own.loss, own.gradients))
        gradients, _ = tf.clip_by_global_norm(gradients, config.clip_norm)
        self.optimizer.apply(gradients, self.model.trainable_variables)
        return loss, own.states

    def _learning_rate(self, position: Position) -> float:
        """Linear warm-up, then linear decay to zero at the last epoch or the last minute.

        Where the minutes will not suffice for all epochs, they end the warm-up sooner too.
        """
        config = self.application.config
        steps = self.steps * config.epochs
        rise = (position.total + 1) / max(1.0, config.warmup * steps)
        if self.budget.minutes and self.budget.anneal and self._paced and config.warmup:
            trained = (time.monotonic() - self._paced[0]) / (60 * self.budget.minutes)
            rise = max(rise, trained / config.warmup)
        return config.learning_rate * min(1.0, rise) * max(1.0 - self._done(position), 1e-3)

    def _done(self, position: Position) -> float:
        """Share of the training that is done, by epochs or by minutes, whichever is further."""
        spent = self.budget.spent(self._earlier) if self.budget.anneal else 0.0
        steps = self.steps * self.application.config.epochs
        return max(position.total / steps, min(1.0, spent))

    def _out_of_time(self, position: Position) -> bool:
        """Whether what is left of the budget only just suffices to validate and to report."""
        if self.budget.minutes is None:
            return False
        left = 60 * self.budget.minutes * (1 - self.budget.spent(self._earlier))
        # Counted from the end of the first step, which traces, so that preparation is left out too.
        self._paced = self._paced or (time.monotonic(), position.total)
        began, before = self._paced
        rows = max(position.total - before, 1) * self.application.config.batch_size
        pace = (time.monotonic() - began) / rows
        return left < 5 + self.budget.minutes + 2 * pace * len(self.validation)

    def minutes_left(self, position: Position) -> float:
        """Minutes of the budget that training ended without; 0 where there is no budget."""
        return max(0.0, (self.budget.minutes or 0.0) - position.seconds / 60)

    def _seconds(self) -> float:
        return self._earlier + time.monotonic() - self.budget.started

    def _count(self, losses: list[tf.Tensor], position: Position) -> None:
        values = [float(loss) for loss in losses]
        losses.clear()
        if not all(map(math.isfinite, values)):
            raise UserError(
                f"the loss is not finite at step {position.total}; lower learning_rate (now "
                f"{self.application.config.learning_rate:g}) or clip_norm"
            )
        # One by one: sums of parts would depend on where a checkpoint has cut the epoch.
        for value in values:
            position.loss_sum += value
        position.loss_steps += len(values)

    def _save(self, position: Position) -> None:
        position.seconds = self._seconds()
        self.checkpoints.save(position, as_arrays(self._states))
